"""A real installation: what it sees of itself is asked for, and a recording rule goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from api_world import World

CONFIG = """\
apiVersion: andon/v1
kind: Installation
metadata: {name: andon}
spec:
  telemetry:
    metrics:
      intervalSeconds: 1
      rules:
        - {record: "andon:memory", expr: "sum(process_resident_memory_bytes)", intervalSeconds: 1}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("queries")
    (root / "config.yaml").write_text(CONFIG)
    world = World(root)
    try:
        world.up(0, "--config", str(root / "config.yaml"))
        yield world
    finally:
        world.close()


def query(world: World, *words: str) -> str:
    command = [sys.executable, "-m", "andon", "query", *words, "--state", str(world.state)]
    done = subprocess.run(command, cwd=world.repository, capture_output=True, text=True, check=True)
    return done.stdout


def recorded(world: World) -> Any:
    return json.loads(query(world, "andon:memory", "--json"))["result"]


def test_a_rule_is_recorded_and_asked_for(world: World) -> None:
    found = world.until(lambda: recorded(world))
    assert found[0]["metric"] == {"__name__": "andon:memory"}
    assert float(found[0]["value"][1]) > 1_000_000
    chart = query(world, "andon:memory", "--range", "1m", "--step", "1s")
    assert "andon:memory" in chart
    assert "1 series" in chart
    rules = world.andon.prometheus_rules()["data"]["groups"][0]["rules"]
    assert [(one["name"], one["health"]) for one in rules] == [("andon:memory", "ok")]


def test_the_typed_client_asks_as_prometheus_is_asked(world: World) -> None:
    world.until(lambda: recorded(world))
    names = world.andon.prometheus_label_values("__name__", match=['{__name__=~"andon:.*"}'])
    assert names["data"] == ["andon:memory"]
    assert world.andon.prometheus_series_form(match=["andon:memory"])["data"]


def test_what_is_refused_is_said_with_where_to_look(world: World) -> None:
    command = [sys.executable, "-m", "andon", "query", "info(up)", "--state", str(world.state)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "the function info() at 1:1 is outside of the PromQL answered here" in done.stderr
    assert "docs/promql.md" in done.stderr
