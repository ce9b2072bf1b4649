"""A full disk, a killed process, a damaged file: told, survived, and unknown is unknown."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from andon.adapters.telemetry.metrics.store import FILE, MetricChunks
from andon.adapters.telemetry.metrics.upkeep import DAY_MS, Upkeep
from andon.kernel.errors import Unavailable
from andon.ports.telemetry import Matcher
from andon.testing.disks import fill as fill_disk
from andon.testing.disks import small_disk

START_MS = 1_800_000_000_000 // DAY_MS * DAY_MS
STEP_MS = 15_000
LABELS = (("__name__", "c_total"), ("i", "0"))
ALL = [Matcher("__name__", "=", "c_total")]
APPENDING = """
import sys
from pathlib import Path
from andon.adapters.telemetry.metrics.store import MetricChunks
store = MetricChunks(Path(sys.argv[1]))
step = 0
while True:
    store.append({start} + step * {step}, [((("__name__", "c_total"), ("i", str(i))), float(step)) for i in range(50)])
    print(step, flush=True)
    step += 1
"""


def fill(store, steps, start=0):
    for step in range(start, steps):
        store.append(START_MS + step * STEP_MS, [(LABELS, float(step))])


def values(store):
    return [series.values.tolist() for series in store.select(ALL, 0, START_MS + DAY_MS)]


def test_kill_loses_nothing_that_was_acknowledged(tmp_path):
    program = APPENDING.format(start=START_MS, step=STEP_MS)
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            if int(line) == 200:
                process.send_signal(signal.SIGKILL)
                break
        acknowledged = 200 + sum(1 for _ in process.stdout)
    store = MetricChunks(tmp_path)
    found = values(store)
    assert len(found) == 50
    assert all(
        one[: acknowledged + 1] == [float(s) for s in range(acknowledged + 1)] for one in found
    )
    assert all(len(one) in (acknowledged + 1, acknowledged + 2) for one in found)
    store.close()


def test_full_disk_is_told_and_what_is_there_stays_readable(tmp_path):
    store = MetricChunks(tmp_path)
    fill(store, 10)
    with store.database.write() as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
    store.database.limit_pages(pages)
    with pytest.raises(Unavailable, match="full"):
        fill(store, 5000, start=10)
    kept = values(store)[0]
    assert kept == [float(step) for step in range(len(kept))]
    store.database.limit_pages(1 << 30)
    fill(store, len(kept) + 1, start=len(kept))
    store.close()
    again = MetricChunks(tmp_path)
    assert values(again)[0] == [float(step) for step in range(len(kept) + 1)]
    again.close()


def test_disk_without_a_byte_left_is_told_and_survived(tmp_path):
    with small_disk(tmp_path / "disk", "4m") as disk:
        store = MetricChunks(disk)
        fill(store, 10)
        ballast = fill_disk(disk)
        with pytest.raises(Unavailable):
            fill(store, 5000, start=10)
        with pytest.raises(Unavailable):
            Upkeep(store, keep_days=400, max_bytes=1 << 30).seal(START_MS + 2 * DAY_MS)
        kept = len(values(store)[0])
        assert kept >= 10
        ballast.unlink()
        fill(store, kept + 1, start=kept)
        assert values(store) == [[float(step) for step in range(kept + 1)]]
        store.close()


def test_damaged_row_of_the_head_is_skipped_and_told(tmp_path, caplog):
    store = MetricChunks(tmp_path)
    fill(store, 10)
    store.close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("UPDATE head SET body = x'0000000001' WHERE id = 4")
    again = MetricChunks(tmp_path)
    assert values(again) == [[0, 1, 2, 4, 5, 6, 7, 8, 9]]
    assert "row 4 of the head is damaged" in caplog.text
    assert again.damaged == 1
    again.close()


def test_damaged_chunk_is_unknown_and_the_others_are_not(tmp_path, caplog):
    store = MetricChunks(tmp_path)
    fill(store, 1440)
    whole = store.increase(ALL, START_MS, START_MS + DAY_MS)[LABELS]
    Upkeep(store, keep_days=400, max_bytes=1 << 30).seal(START_MS + DAY_MS)
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute(
            "UPDATE chunks SET body = x'00' WHERE id = (SELECT id FROM chunks LIMIT 1 OFFSET 1)"
        )
    assert values(store) == [[*map(float, range(480)), *map(float, range(960, 1440))]]
    assert "damaged" in caplog.text
    begun = store.increase(ALL, START_MS + 500 * STEP_MS, START_MS + DAY_MS)[LABELS]
    assert begun.covered_seconds == 480 * 15
    ended = store.increase(ALL, START_MS, START_MS + 500 * STEP_MS)[LABELS]
    assert ended.covered_seconds == 480 * 15
    assert store.increase(ALL, START_MS, START_MS + DAY_MS)[LABELS] == whole
    store.close()


def test_file_that_is_none_is_set_aside(tmp_path, caplog):
    (tmp_path / FILE).write_bytes(b"this is no database" * 1000)
    store = MetricChunks(tmp_path)
    fill(store, 2)
    assert values(store) == [[0, 1]]
    assert "set aside" in caplog.text
    assert (tmp_path / f"{FILE}.broken-1").exists()
    store.close()


def test_file_damaged_within_is_set_aside_and_the_rest_goes_on(tmp_path, caplog):
    store = MetricChunks(tmp_path)
    fill(store, 2)
    store.close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("UPDATE series SET labels = '[[broken'")
    again = MetricChunks(tmp_path)
    assert values(again) == []
    assert "set aside" in caplog.text
    fill(again, 3)
    assert values(again) == [[0, 1, 2]]
    again.close()


def test_samples_of_a_clock_that_was_wrong_are_forgotten_at_the_next_start(tmp_path, caplog):
    store = MetricChunks(tmp_path)
    fill(store, 2)
    store.append(START_MS + 365 * DAY_MS, [(LABELS, 2.0)])
    assert store.append(START_MS + 2 * STEP_MS, [(LABELS, 2.0)]).late == 1
    store.close()
    again = MetricChunks(tmp_path, now_ms=START_MS + 2 * STEP_MS)
    assert again.append(START_MS + 2 * STEP_MS, [(LABELS, 2.0)]).stored == 1
    assert values(again) == [[0, 1, 2]]
    assert "ahead of the clock" in caplog.text
    again.close()


def test_threads_that_append_seal_and_ask_at_once_see_whole_answers(tmp_path):
    store = MetricChunks(tmp_path)
    upkeep = Upkeep(store, keep_days=400, max_bytes=1 << 30)
    names = [(("__name__", "c_total"), ("i", str(i))) for i in range(20)]
    stop = threading.Event()

    def seal():
        while not stop.is_set():
            upkeep.run(START_MS + DAY_MS)

    def ask():
        while not stop.is_set():
            for series in store.select(ALL, 0, START_MS + DAY_MS):
                assert series.values.tolist() == [float(n) for n in range(len(series.values))]
            for window in store.increase(ALL, START_MS, START_MS + DAY_MS).values():
                assert window.increase == window.samples

    with ThreadPoolExecutor() as threads:
        others = [threads.submit(seal), threads.submit(ask)]
        for step in range(600):
            store.append(START_MS + step * STEP_MS, [(name, float(step)) for name in names])
        stop.set()
        for other in others:
            other.result()
    store.close()


def test_targets_that_take_turns_and_change_come_back_in_order(tmp_path):
    store = MetricChunks(tmp_path)
    names = [(("__name__", "c_total"), ("i", str(i))) for i in range(4)]
    turns = [(0, 1), (2,), (0, 1), (0,), (2, 3), (0, 1), (1, 0), (3, 2)]
    for step in range(1500):
        chosen = turns[step % len(turns)]
        store.append(START_MS + step * STEP_MS, [(names[i], float(step)) for i in chosen])
    Upkeep(store, keep_days=400, max_bytes=1 << 30).seal(START_MS + 1000 * STEP_MS)
    before = values(store)
    heads = [list(line.times) for line in store.index.lines.values()]
    store.close()
    again = MetricChunks(tmp_path)
    assert values(again) == before
    assert [list(line.times) for line in again.index.lines.values()] == heads
    assert again.live == store.live
    again.close()
