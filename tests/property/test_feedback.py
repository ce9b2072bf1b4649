"""The critical path of any Run: it makes up all of the time, and no advice promises too much."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from andon.domains.pipelines.feedback import (
    LATE_RATIO,
    WINDOW,
    Awaiting,
    TimedJob,
    coffee,
    critical_path,
)

SECONDS = st.integers(0, 50)


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[TimedJob], float]:
    """A Run as it may have been: each job after its needs, some waiting, some not ended, some never begun."""
    jobs: list[TimedJob] = []
    for number in range(draw(st.integers(1, 12))):
        before = [job for job in jobs if job.finished_at]
        needs = draw(st.lists(st.sampled_from(before), max_size=3, unique=True)) if before else []
        ready = max((job.finished_at for job in needs), default=1)
        start = ready + draw(SECONDS)
        ran = draw(SECONDS)
        queued = draw(SECONDS)
        how = draw(st.sampled_from(["ended", "ended", "ended", "running", "never"]))
        jobs.append(
            TimedJob(
                name=f"j{number}",
                needs=tuple(job.name for job in needs),
                started_at=0 if how == "never" else start,
                finished_at=start + queued + ran if how == "ended" else 0,
                ran_seconds=draw(st.sampled_from([None, float(ran)])),
                awaits=draw(st.sampled_from(["place", "lock", "people", "worker"])),
            )
        )
    last = max(job.finished_at or job.started_at for job in jobs)
    return jobs, max(last, 1) + draw(SECONDS)


@given(runs())
def test_stretches_and_tail_make_up_all_of_the_time(run: tuple[list[TimedJob], float]) -> None:
    jobs, ended = run
    path = critical_path(jobs, began_at=1, ended_at=ended)
    parts = sum(one.waited_seconds + one.ran_seconds for one in path.stretches)
    assert abs(parts + path.tail_seconds - path.total_seconds) < 1e-6
    assert all(one.waited_seconds >= 0 and one.ran_seconds >= 0 for one in path.stretches)
    moments = [one.ready_at for one in path.stretches]
    assert moments == sorted(moments)


@given(runs())
def test_nothing_saves_more_than_there_is(run: tuple[list[TimedJob], float]) -> None:
    jobs, ended = run
    path = critical_path(jobs, began_at=1, ended_at=ended, most=100)
    took = {one.job: one.waited_seconds + one.ran_seconds for one in path.stretches}
    waited = sum(one.waited_seconds for one in path.stretches)
    for one in path.advice:
        bound = took[one.job] if one.kind == "instant" else waited
        assert 0 < one.saves_seconds <= bound + 1e-6


@given(st.lists(st.tuples(st.integers(0, 600), st.booleans()), max_size=130))
def test_the_budget_counts_exactly(waits: list[tuple[int, bool]]) -> None:
    now = 1000.0
    commits = [
        Awaiting(
            run=f"r{number}",
            arrived_at=now - wait,
            verdict_at=now if decided else 0,
            limit_seconds=300,
        )
        for number, (wait, decided) in enumerate(waits)
    ]
    told = coffee(commits, now)
    counted = [wait for wait, decided in waits if decided or wait > 300][:WINDOW]
    late = sum(wait > 300 for wait in counted)
    assert (told.verdicts, told.late) == (len(counted), late)
    assert (told.state == "no-data") is (not counted)
    assert told.low <= (late / len(counted) if counted else 0) <= told.high
    if counted:
        assert abs((told.burn_rate or 0) - late / len(counted) / LATE_RATIO) < 1e-5
        assert (told.state == "exhausted") is (late > told.allowed)
