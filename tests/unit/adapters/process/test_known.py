"""An agent runs for months: what it holds of jobs that ended is bounded, and it knows all of them."""

from __future__ import annotations

from pathlib import Path

from tests.unit.adapters.process.test_records import record

from andon.adapters.process.known import Known
from andon.adapters.process.records import KEPT_IN_MEMORY, JobRecord, Journal, RecordFiles
from andon.kernel.errors import Unavailable


class Found(RecordFiles):
    """Files that are not flushed, of which one cannot be written; what was looked up is counted."""

    def __init__(self, folder: Path, *unwritable: str) -> None:
        super().__init__(folder)
        self.looked_up: list[str] = []
        self._files: dict[str, JobRecord] = {}
        self._unwritable = unwritable

    def save(self, record: JobRecord) -> None:
        """Keep it."""
        if record.key in self._unwritable and record.outcome:
            raise Unavailable("the disk is full")
        self._files[record.key] = record

    def find(self, key: str) -> JobRecord | None:
        """Find it."""
        self.looked_up.append(key)
        return self._files.get(key)


def ran(known: Known, keys: list[str]) -> None:
    for key in keys:
        known.save(record(key, ended=False))
        known.conclude(record(key))


KEYS = [str(number) for number in range(3 * KEPT_IN_MEMORY)]


def test_jobs_that_ended_long_ago_are_looked_up_and_not_held(tmp_path: Path) -> None:
    files = Found(tmp_path)
    known = Known(files)
    known.inherited()
    ran(known, KEYS)
    assert [known.get(key) for key in KEYS] == [record(key) for key in KEYS]
    assert files.looked_up == KEYS[:-KEPT_IN_MEMORY]
    assert known.get("never") is None


def test_what_could_not_be_written_down_stays_known(tmp_path: Path) -> None:
    known = Known(Found(tmp_path, "0"))
    known.inherited()
    ran(known, KEYS)
    assert known.get("0") == record("0"), "or its job would run again"


def test_what_ended_under_an_earlier_agent_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    RecordFiles(tmp_path).save(record("ended"))
    files = RecordFiles(tmp_path)
    known = Known(files)
    for one in files.load():
        known.inherit(one)
    known.inherited()
    assert known.get("ended") == record("ended")
    assert known.running() == []


def test_what_a_killed_run_left_is_known_though_a_journal_finds_nothing(tmp_path: Path) -> None:
    Journal(tmp_path).save(record("ended"))
    after = Journal(tmp_path)
    known = Known(after)
    for one in after.load():
        known.inherit(one)
    known.inherited()
    ran(known, KEYS)
    assert known.get("ended") == record("ended")
    assert known.get(KEYS[0]) is None
