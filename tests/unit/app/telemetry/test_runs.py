from __future__ import annotations

from pathlib import Path

from andon.adapters.telemetry.traces import SpanStore
from andon.app.telemetry.runs import tell_runs
from andon.app.telemetry.traces import Traces
from andon.domains.observability.own import trace_id
from andon.ports.telemetry import TraceQuestion
from andon.store import open_store
from andon.testing.built import BEGAN, every_state, put_build, put_change
from andon.testing.clock import FakeClock


async def test_a_run_that_ended_is_a_trace_of_its_change_told_once(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "a.db"), source="/test")
    traces = SpanStore(tmp_path / "traces.db")
    for number in (1, 2):
        await put_change(store, number)
    await put_build(store, 1, every_state(BEGAN + 60), phase="Failed", seconds=84)
    await put_build(store, 2, phase="Running")
    assert await tell_runs(store, traces) == 9
    assert await tell_runs(store, traces) == 0
    (summary,) = traces.search(TraceQuestion(start_ns=0, end_ns=2**62))
    assert (summary.trace, summary.failed, summary.spans) == (trace_id("c000001"), True, 9)
    shown = await Traces(traces, store, FakeClock(BEGAN)).show("build-shop-1")
    run, *steps = shown["spans"]
    assert (run["name"], run["seconds"], run["status"]) == ("build", 84, "error")
    states = {one["name"]: (one["attributes"]["andon.step.state"], one["status"]) for one in steps}
    assert states["build"] == ("passed", "ok")
    assert states["test-311"] == ("failed", "error")
    assert states["test-313"] == ("interrupted", "error")
    assert "package" not in states, "it never began"
    assert {one["depth"] for one in steps} == {1}
    traces.close()
    store.close()
