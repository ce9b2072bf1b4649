"""A real control plane: its own Changes are traces, and a service's are read where they were told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from api_world import World
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind

from andon.api.v1.access import Grant
from andon.kernel.errors import NotFound


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("traces"))
    try:
        world.up()
        yield world
    finally:
        world.close()


def shown(world: World, name: str) -> Any:
    try:
        return world.andon.traces_show(name)
    except NotFound:
        return None


def test_what_a_service_told_outlives_a_killed_control_plane(world: World) -> None:
    token = world.andon.tokens_make(name="shop", grants=[Grant(role="reporter")])["secret"]
    exporter = OTLPSpanExporter(
        f"{world.url}/api/v1/otlp/v1/traces", headers={"Authorization": f"Bearer {token}"}
    )
    provider = TracerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("t").start_as_current_span("GET /", kind=SpanKind.SERVER) as span:
        trace = f"{span.get_span_context().trace_id:032x}"
    world.kill()
    provider.shutdown()
    world.up()
    (row,) = world.andon.traces_show(trace)["spans"]
    assert (row["service"], row["name"], row["kind"]) == ("shop", "GET /", "server")


def test_a_change_is_a_trace_of_its_runs_and_their_steps(world: World) -> None:
    change = world.andon.ship(repository=str(world.repository), until="@build")["change"]
    found = world.until(
        lambda: (it := shown(world, change)) and it["spans"][0]["name"] == f"change {change}" and it
    )
    names = [(one["depth"], one["name"], one["status"]) for one in found["spans"]]
    assert names[:2] == [(0, f"change {change}", "ok"), (1, "build", "ok")]
    assert (2, "build", "ok") in names, "its job"
    command = [sys.executable, "-m", "andon", "traces", "list", "--json", "--state", world.state]
    said = subprocess.run(command, cwd=world.repository, capture_output=True, check=True)
    assert found["trace"] in {one["trace"] for one in json.loads(said.stdout)}
