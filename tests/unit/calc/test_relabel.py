"""Rules do what Prometheus's documentation says."""

from __future__ import annotations

import pytest

from andon.api.v1.telemetry import Relabel
from andon.calc.relabel import relabelled, rules_of
from andon.kernel.errors import InvalidDocument

LABELS = {"__name__": "m", "a": "One", "b": "two", "meta_zone": "west"}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"source_labels": ("a", "b"), "target_label": "c"}, {**LABELS, "c": "One;two"}),
        (
            {"source_labels": ("b",), "regex": "(t)(w)o", "target_label": "c", "replacement": "${2}$1$$"},
            {**LABELS, "c": "wt$"},
        ),
        ({"source_labels": ("b",), "regex": "tw", "target_label": "c"}, LABELS),
        ({"target_label": "b", "replacement": ""}, {k: v for k, v in LABELS.items() if k != "b"}),
        (
            {"source_labels": ("b",), "target_label": "x_$1", "replacement": "$2"},
            LABELS,
        ),
        ({"action": "keep", "source_labels": ("b",), "regex": "two|three"}, LABELS),
        ({"action": "keep", "source_labels": ("b",), "regex": "three"}, None),
        ({"action": "drop", "source_labels": ("b",), "regex": "t.o"}, None),
        ({"action": "drop", "source_labels": ("none",), "regex": "x"}, LABELS),
        ({"action": "keepequal", "source_labels": ("a",), "target_label": "b"}, None),
        ({"action": "dropequal", "source_labels": ("b",), "target_label": "b"}, None),
        ({"action": "labelmap", "regex": "meta_(.*)"}, {**LABELS, "zone": "west"}),
        ({"action": "labeldrop", "regex": "a|b"}, {"__name__": "m", "meta_zone": "west"}),
        ({"action": "labelkeep", "regex": "__name__|a"}, {"__name__": "m", "a": "One"}),
        ({"action": "lowercase", "source_labels": ("a",), "target_label": "a"}, {**LABELS, "a": "one"}),
        ({"action": "uppercase", "source_labels": ("a",), "target_label": "a"}, {**LABELS, "a": "ONE"}),
        (
            {"action": "hashmod", "source_labels": ("b",), "target_label": "h", "modulus": 1000},
            {**LABELS, "h": "777"},
        ),
    ],
)  # fmt: skip
def test_each_action(rule, expected):
    assert relabelled(rules_of([Relabel(**rule)]), dict(LABELS)) == expected


@pytest.mark.parametrize(
    "rule", [{"regex": "("}, {"action": "hashmod", "target_label": "h"}, {"action": "replace"}]
)
def test_rule_that_cannot_be_carried_out_is_told(rule):
    with pytest.raises(InvalidDocument, match="relabel"):
        rules_of([Relabel(**rule)])
