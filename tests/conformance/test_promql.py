"""Prometheus's own tests of PromQL and Sloth's rules: what we answer is what Prometheus answers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

from andon.domains.observability.promql.engine import Row, instant
from andon.domains.observability.promql.nodes import Matcher
from andon.testing.promqltest import Told, run

EXPERIMENTAL = re.compile(
    "the modifier (anchored|smoothed|fill|fill_left|fill_right) |a duration that is an expression |"
    "the aggregation limit_ratio |the function "
    r"(info|histogram_quantiles|start|end|step|range|min_of|max_of|start_timestamp)\(\) "
)
"""What Prometheus itself answers only behind a switch."""
NATIVE = re.compile(
    r"the function histogram_(count|sum|avg|stddev|stdvar)\(\) |the operator [<>]/ "
)
"""What is asked of native histograms only."""
FILES = [
    "aggregators",
    "at_modifier",
    "collision",
    "duration_expression",
    "extended_vectors",
    "fill-modifier",
    "functions",
    "histograms",
    "info",
    "limit",
    "literals",
    "name_label_dropping",
    "native_histograms",
    "operators",
    "range_queries",
    "selectors",
    "staleness",
    "start_timestamps",
    "subquery",
    "trig_functions",
    "type_and_unit",
]


def _told(folder: Path, name: str) -> list[Told]:
    return run((folder / f"promql/promql/promqltest/testdata/{name}.test").read_text())


def _asked_of_us(one: Told) -> bool:
    if one.outcome in ("native histogram", "start timestamp"):
        return False
    return not (EXPERIMENTAL.match(one.why) or NATIVE.match(one.why))


@pytest.mark.parametrize("name", FILES)
def test_no_answer_differs_from_that_of_prometheus(name: str, conformance_data: Path):
    wrong = [one for one in _told(conformance_data, name) if one.outcome == "wrong"]
    assert not wrong


def test_nearly_all_that_prometheus_answers_without_a_switch_is_answered(
    conformance_data: Path, record_property
):
    asked = [one for name in FILES for one in _told(conformance_data, name) if _asked_of_us(one)]
    counts = Counter(one.outcome for one in asked)
    record_property("share", counts["right"] / len(asked))
    assert len(asked) > 950
    assert counts["right"] / len(asked) >= 0.99


def test_every_file_of_prometheus_is_run(conformance_data: Path):
    folder = conformance_data / "promql/promql/promqltest/testdata"
    assert sorted(path.stem for path in folder.glob("*.test")) == sorted(FILES)


# --- Sloth --------------------------------------------------------------------------------------

OF_OTHERS = "victoria-metrics.yml"
"""Its rules are MetricsQL, which PromQL's grammar refuses."""
SERIES = """\
load 1m
  http_request_duration_seconds_count{job="myservice", code="200"} 0+100x60
  http_request_duration_seconds_count{job="myservice", code="500"} 0+1x60
"""


def _expressions(path: Path) -> list[str]:
    found = []
    for document in yaml.safe_load_all(path.read_text()):
        groups = document.get("groups") or document.get("spec", {}).get("groups") or []
        found += [rule["expr"] for group in groups for rule in group["rules"]]
    return found


def _whatever_is_asked(matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Row]:
    """A counter of exactly the labels that a selector names."""
    labels = tuple(sorted((one.name, one.value) for one in matchers if one.op == "="))
    times = np.arange(max(0, start_ms), end_ms + 1, 60_000, dtype=np.int64)
    return [Row(labels, times, times / 1000)]


def test_rules_of_sloth_evaluate(conformance_data: Path):
    folder = conformance_data / "sloth" / "examples" / "_gen"
    paths = [path for path in sorted(folder.iterdir()) if path.name != OF_OTHERS]
    texts = [text for path in paths for text in _expressions(path)]
    answered = sum(bool(instant(text, _whatever_is_asked, 36_000_000).rows) for text in texts)
    # The others are alerts, which answer with nothing as long as all is well.
    assert len(texts) > 400
    assert answered / len(texts) > 0.85


def test_an_error_ratio_of_sloth_is_that_of_the_counts():
    script = SERIES + """
eval instant at 1h (sum(rate(http_request_duration_seconds_count{job="myservice",code=~"(5..|429)"}[5m])))/(sum(rate(http_request_duration_seconds_count{job="myservice"}[5m])))
  {} 0.0099009900990099
"""  # fmt: skip
    assert [one.outcome for one in run(script)] == ["right"]
