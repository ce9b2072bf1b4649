"""Sealing, thinning and forgetting change no total; a kill anywhere loses nothing."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest

from andon.adapters.telemetry.metrics.pieces import SLOT_MS
from andon.adapters.telemetry.metrics.store import FILE, MetricChunks
from andon.adapters.telemetry.metrics.upkeep import DAY_MS, Thinning, Upkeep
from andon.calc.staleness import STALE
from andon.kernel.errors import Unavailable
from andon.ports.telemetry import Accepted, Matcher

MIDNIGHT_MS = 1_800_000_000_000 // DAY_MS * DAY_MS
LABELS = (("__name__", "c_total"), ("service", "shop"))
ALL = [Matcher("__name__", "=", "c_total")]
STEP_MS = 15_000
A_DAY = DAY_MS // STEP_MS


@pytest.fixture
def store(tmp_path):
    store = MetricChunks(tmp_path)
    yield store
    store.close()


def upkeep_of(store, **told):
    return Upkeep(store, **{"keep_days": 400, "max_bytes": 1 << 30, **told})


def told(days, seed=1):
    """A counter with resets, a gap of ten minutes and staleness marks."""
    rng = np.random.default_rng(seed)
    times = MIDNIGHT_MS + np.arange(days * A_DAY) * STEP_MS
    values = np.cumsum(rng.poisson(3, len(times))).astype(float)
    for place in rng.integers(10, len(times), 5):
        values[place:] -= values[place]
    values[1000] = STALE
    keep = np.ones(len(times), bool)
    keep[2000:2040] = False
    return times[keep], values[keep]


def window(store, start_ms, end_ms):
    return store.increase(ALL, start_ms, end_ms)[LABELS]


def test_sealed_chunks_answer_as_the_head_did(store):
    times, values = told(1)
    for at_ms, value in zip(times.tolist(), values.tolist(), strict=True):
        store.append(at_ms, [(LABELS, value)])
    cuts = [
        (times[i] + 7000, times[j]) for i, j in ((0, 5000), (470, 490), (990, 1010), (1990, 2100))
    ]
    before = [window(store, *cut) for cut in cuts]
    (series,) = store.select(ALL, 0, times[-1])
    upkeep_of(store).seal(int(times[-1]) + SLOT_MS)
    assert [window(store, *cut) for cut in cuts] == before
    (again,) = store.select(ALL, 0, times[-1])
    assert again.values.tobytes() == series.values.tobytes() == values.tobytes()
    assert again.times_ms.tobytes() == times.tobytes()


def test_thinning_keeps_totals_coverage_and_counts(store):
    times, values = told(3)
    upkeep = upkeep_of(store, thinnings=(Thinning(1, 60_000), Thinning(2, 300_000)))
    upkeep.load(LABELS, times, values)
    days = [(MIDNIGHT_MS + day * DAY_MS, MIDNIGHT_MS + (day + 1) * DAY_MS) for day in range(3)]
    edges = [(low - STEP_MS, high - STEP_MS) for low, high in days[1:]] + [
        (MIDNIGHT_MS, days[-1][1])
    ]
    before = [window(store, *edge) for edge in edges]
    upkeep.thin(MIDNIGHT_MS + 4 * DAY_MS)
    assert [window(store, *edge) for edge in edges] == before
    (series,) = store.select(ALL, *days[0])
    assert len(series.times_ms) < A_DAY / 15


def test_thinned_once_is_not_thinned_again(store):
    upkeep = upkeep_of(store)
    upkeep.load(LABELS, *told(2))
    now = MIDNIGHT_MS + 5 * DAY_MS
    assert upkeep.thin(now) == 2
    assert upkeep.thin(now) == 0


def test_old_days_are_forgotten_and_the_rest_still_adds_up(store):
    times, values = told(3)
    upkeep = upkeep_of(store, keep_days=2)
    upkeep.load(LABELS, times, values)
    last = MIDNIGHT_MS + DAY_MS, int(times[-1])
    before = window(store, *last)
    upkeep.forget(MIDNIGHT_MS + 3 * DAY_MS)
    assert window(store, *last) == before
    assert store.select(ALL, 0, MIDNIGHT_MS + DAY_MS - 1) == []


def test_series_of_which_nothing_is_left_is_forgotten(store, tmp_path):
    upkeep = upkeep_of(store, keep_days=2)
    upkeep.load(LABELS, *told(1))
    upkeep.forget(MIDNIGHT_MS + 30 * DAY_MS)
    assert store.names_of([], 0, MIDNIGHT_MS + 30 * DAY_MS) == []
    assert store.append(MIDNIGHT_MS, [(LABELS, 1)]) == Accepted(1)


def test_oldest_days_go_when_there_is_too_much(store):
    upkeep = upkeep_of(store)
    for number in range(20):
        labels = (("__name__", "c_total"), ("i", str(number)))
        upkeep.load(labels, *told(6, seed=number))
    used = store.database.used_bytes()
    gone = upkeep_of(store, max_bytes=used * 2 // 3).forget(MIDNIGHT_MS + 6 * DAY_MS)
    assert gone >= 1
    assert store.database.used_bytes() <= used * 2 // 3
    assert store.select(ALL, MIDNIGHT_MS + gone * DAY_MS, MIDNIGHT_MS + 6 * DAY_MS)


def test_kill_between_chunks_and_the_heads_end_counts_nothing_twice(store, tmp_path):
    for step in range(1000):
        store.append(MIDNIGHT_MS + step * STEP_MS, [(LABELS, float(step))])
    before = window(store, MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS)
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("CREATE TRIGGER kill BEFORE DELETE ON head BEGIN SELECT RAISE(FAIL, 'x'); END")
    with pytest.raises(Unavailable):
        upkeep_of(store).seal(MIDNIGHT_MS + DAY_MS)
    again = MetricChunks(tmp_path)
    assert window(again, MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS) == before
    (series,) = again.select(ALL, 0, MIDNIGHT_MS + DAY_MS)
    assert series.values.tolist() == [float(step) for step in range(1000)]
    again.close()


def test_sample_that_comes_after_its_slot_was_sealed_is_put_behind(store):
    for step in range(10):
        store.append(MIDNIGHT_MS + step * STEP_MS, [(LABELS, float(step))])
    upkeep = upkeep_of(store)
    upkeep.seal(MIDNIGHT_MS + DAY_MS)
    for step in range(10, 20):
        store.append(MIDNIGHT_MS + step * STEP_MS, [(LABELS, float(step))])
    upkeep.seal(MIDNIGHT_MS + DAY_MS)
    (series,) = store.select(ALL, 0, MIDNIGHT_MS + DAY_MS)
    assert series.values.tolist() == [float(step) for step in range(20)]
    assert window(store, MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS).increase == 19


def test_clock_that_jumps_back_makes_a_gap_and_nothing_worse(store):
    for step in range(100):
        store.append(MIDNIGHT_MS + step * STEP_MS, [(LABELS, float(step))])
    assert store.append(MIDNIGHT_MS, [(LABELS, 100.0)]) == Accepted(0, late=1)
    for step in range(140, 150):
        store.append(MIDNIGHT_MS + step * STEP_MS, [(LABELS, float(step))])
    found = window(store, MIDNIGHT_MS, MIDNIGHT_MS + 149 * STEP_MS)
    assert found.increase == 149
    assert found.covered_seconds == (99 + 9) * 15


def test_series_beyond_the_limit_are_refused_until_others_are_gone(tmp_path):
    store = MetricChunks(tmp_path, max_series=2)
    rows = [((("__name__", "g"), ("i", str(i))), 1.0) for i in range(3)]
    assert store.append(MIDNIGHT_MS, rows) == Accepted(2, refused=1)
    upkeep_of(store).seal(MIDNIGHT_MS + DAY_MS)
    assert store.append(MIDNIGHT_MS + DAY_MS, rows[1:]) == Accepted(2)
    store.close()
