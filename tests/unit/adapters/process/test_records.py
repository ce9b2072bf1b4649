from __future__ import annotations

from andon.adapters.process.records import KEPT_IN_MEMORY, JobRecord, Journal, forget_oldest
from andon.adapters.process.spawn import Group
from andon.api.v1.actions import JobDone


def record(key: str, *, ended: bool = True) -> JobRecord:
    return JobRecord(
        key=key,
        run="r",
        name="j",
        log="",
        started_at=0,
        timeout_seconds=1,
        group=Group(marker=key),
        outcome=JobDone(state="passed") if ended else None,
    )


def test_what_was_left_by_a_killed_process_is_known_until_somebody_asked() -> None:
    inherited = {key: record(key) for key in ("left-a", "left-b")}
    records = dict(inherited)
    for number in range(2 * KEPT_IN_MEMORY):
        key = str(number)
        records[key] = record(key, ended=number != 0)
        forget_oldest(records, len(inherited))
    assert records.keys() >= {*inherited, "0"}, "or its job would run again"
    assert len(records) == len(inherited) + KEPT_IN_MEMORY
    assert "1" not in records


def test_a_job_that_may_have_started_when_its_process_was_killed_is_known(tmp_path) -> None:
    Journal(tmp_path).save(record("begun", ended=False))
    after = Journal(tmp_path)
    assert after.was_left
    assert [(one.key, one.outcome) for one in after.load()] == [("begun", None)]
