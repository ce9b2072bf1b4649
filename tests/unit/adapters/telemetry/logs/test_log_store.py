"""The log store where things go wrong."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from andon.adapters.telemetry.logs import SqliteLogStore, reading
from andon.adapters.telemetry.logs import store as stores
from andon.kernel.errors import Unavailable
from andon.testing.disks import fill, small_disk
from andon.testing.log_suite import asked, line, texts

WRITER = """
import sys
from pathlib import Path
from andon.adapters.telemetry.logs import SqliteLogStore
from andon.testing.log_suite import line
store = SqliteLogStore(Path(sys.argv[1]))
for n in range(10**9):
    store.append([line(n, f"said {n}.{part} by thread {n * 31}") for part in range(3)])
    print(n, flush=True)
"""


def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    file = tmp_path / "logs.db"
    known = 0
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            last = 0
            for told in writer.stdout:
                last = int(told)
                if last == 700:
                    writer.kill()
        store = SqliteLogStore(file)
        page = store.search(asked(text=f"said {last}.", limit=100))
        assert len(page.lines) in (3, 6)
        everything = sum(one.count for one in store.templates(asked()))
        known += 3 * (last + 1)
        assert everything >= known
        assert [one.text for one in store.templates(asked())] == ["said <*> by thread <*>"]
        store.close()


def test_template_ids_stay_over_a_restart_and_a_seal(tmp_path: Path) -> None:
    ids = []
    for _ in range(3):
        store = SqliteLogStore(tmp_path / "logs.db")
        store.append([line(1, "order 1 shipped"), line(2, "disk full")])
        ids.append({one.text: one.template for one in store.search(asked()).lines})
        store.seal()
        store.close()
    assert ids[0] == ids[1] == ids[2]


def test_a_full_disk_is_told_and_what_is_there_stays_readable(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "8m") as disk:
        store = SqliteLogStore(disk / "logs.db")
        store.append([line(1, "before")])
        ballast = fill(disk)
        with pytest.raises(Unavailable, match="telemetry"):
            _append_for_ever(store)
        kept = len(store.search(asked(limit=10_000)).lines)
        assert texts(store.search(asked(text="before"))) == ["before"]
        ballast.unlink()
        store.append([line(3, "after")])
        assert len(store.search(asked(limit=10_000)).lines) == kept + 1
        store.close()
        again = SqliteLogStore(disk / "logs.db")
        assert len(again.search(asked(limit=10_000)).lines) == kept + 1
        again.close()


def test_a_broken_file_is_set_aside(tmp_path: Path) -> None:
    file = tmp_path / "logs.db"
    file.write_bytes(b"this is no database" * 1000)
    store = SqliteLogStore(file)
    store.append([line(1, "on")])
    assert texts(store.search(asked())) == ["on"]
    store.close()
    assert [one.name for one in tmp_path.glob("*broken*")] == ["logs.db.broken-1"]


def test_readers_see_every_line_once_while_it_is_sealed(tmp_path: Path) -> None:
    store = SqliteLogStore(tmp_path / "logs.db")
    store.append([line(n, f"{n}") for n in range(3000)])
    ended = threading.Event()

    def seal() -> None:
        for n in range(3000, 3030):
            store.append([line(n, f"{n}")])
            store.seal()
        ended.set()

    thread = threading.Thread(target=seal)
    thread.start()
    question = asked(end_ns=3000 * 10**9, limit=5000)
    looked = 0
    while not ended.is_set() or looked < 3:
        assert len(store.search(question).lines) == 3000
        assert sum(one.count for one in store.templates(question)) == 3000
        looked += 1
    thread.join()
    store.close()


def test_a_question_over_too_much_goes_on_at_its_cursor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_SCANNED_LINES", 100)
    monkeypatch.setattr(stores, "SMALL_LINES", 0)
    store = SqliteLogStore(tmp_path / "logs.db")
    for part in range(10):
        store.append([line(part * 50 + n, "needle" if n == 7 else "hay") for n in range(50)])
        store.seal()
    cursor, found, pages = "", 0, 0
    while pages == 0 or cursor:
        page = store.search(asked(text="needle", before=cursor))
        found, pages, cursor = found + len(page.lines), pages + 1, page.next
    assert (found, pages) == (10, 5)
    store.close()


def test_too_many_label_sets_keep_the_few_that_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "MOST_LABEL_SETS", 5)
    store = SqliteLogStore(tmp_path / "logs.db")
    for n in range(20):
        store.append([line(n, "a", labels={"request": str(n)})])
    assert len(store.label_sets(0, 10**12)) == 6
    assert store.search(asked(limit=1)).lines[0].labels == {
        "source": "service", "environment": "prod", "service": "shop",
    }  # fmt: skip
    store.close()


def _append_for_ever(store: SqliteLogStore) -> None:
    for n in range(2000):
        store.append([line(2, f"{n} " * 2000)])


def test_label_sets_that_no_line_has_are_forgotten(tmp_path: Path) -> None:
    store = SqliteLogStore(tmp_path / "logs.db")
    for n in range(20):
        store.append([line(n, "a", labels={"run": str(n)})])
    store.seal()
    store.append([line(10**6, "b", labels={"run": "3"})])
    assert store.forget(10**6 * 10**9, 1 << 30) == 20
    store.append([line(10**6 + 1, "c", labels={"run": "4"})])
    store.close()
    again = SqliteLogStore(tmp_path / "logs.db")
    assert [one.labels["run"] for one in again.search(asked(end_ns=10**18)).lines] == ["4", "3"]
    again.close()
