"""What the page about metrics shows is accepted, and what it names is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args, get_type_hints

import msgspec
import ryaml

from andon.adapters.telemetry.metrics.counters import PATIENCE
from andon.adapters.telemetry.metrics.upkeep import THINNINGS
from andon.adapters.telemetry.scrape import host
from andon.api.v1.definitions import MetricsEndpoint, ServiceSpec
from andon.api.v1.telemetry import MetricsSpec, Relabel
from andon.app.configuration import load_installation
from andon.app.telemetry import gateway
from andon.calc.relabel import rules_of

PAGE = (Path(__file__).resolve().parents[2] / "docs/metrics.md").read_text()
SERVICE, INSTALLATION = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_service_of_the_page_tells_metrics() -> None:
    told = ryaml.loads(SERVICE)
    assert msgspec.convert(told["spec"], ServiceSpec).metrics == MetricsEndpoint()


def test_installation_of_the_page_is_accepted_and_shows_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "andon.yaml").write_text(INSTALLATION)
    found = load_installation(tmp_path / "andon.yaml").telemetry.metrics
    (target,) = found.targets
    assert rules_of(target.relabel)
    assert found == MetricsSpec(targets=(target,))


def test_every_action_is_named() -> None:
    known = get_args(get_type_hints(Relabel)["action"])
    assert [name for name in known if f"`{name}`" not in PAGE] == []


def test_names_and_figures_are_those_of_the_program() -> None:
    assert gateway.REQUESTS in PAGE
    assert gateway.DURATION in PAGE
    for name in host.FAMILIES:
        beginning = re.match(r"[a-z]+_[a-z]+", name)
        assert beginning
        assert beginning[0] in PAGE
    assert f"{PATIENCE} times" in PAGE
    assert [(one.after_days, one.step_ms) for one in THINNINGS] == [(2, 60_000), (30, 300_000)]
