"""What every MetricStore must do.

The tests of a store subclass ``MetricSuite`` and provide the fixture ``store``; ``settle`` brings a store
to where samples of long ago lie.
"""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

import struct
from itertools import pairwise

import pytest

from andon.calc.staleness import STALE, is_stale
from andon.kernel.errors import UsageError
from andon.ports.telemetry import Accepted, Exemplar, Labels, Matcher, Metadata, MetricStore, Window

START_MS = 1_800_000_000_000
STEP_MS = 15_000


def labels_of(name: str, **others: str) -> Labels:
    """Return a series' labels."""
    return tuple(sorted({"__name__": name, **others}.items()))


def named(name: str) -> list[Matcher]:
    """Ask for a metric."""
    return [Matcher("__name__", "=", name)]


def at(step: float) -> int:
    """Return the time of a step."""
    return int(START_MS + step * STEP_MS)


class MetricSuite:
    """Samples in, samples and counts out."""

    def settle(self, store: MetricStore) -> None:
        """Let what was appended become old."""

    def tell(self, store: MetricStore, labels: Labels, *values: float | None) -> None:
        """Append a value a step; None: the step passes without."""
        for step, value in enumerate(values):
            if value is not None:
                store.append(at(step), [(labels, value)])
        self.settle(store)

    def only(self, found: dict[Labels, Window]) -> Window:
        (window,) = found.values()
        return window

    def test_samples_come_back_with_the_same_64_bits(self, store: MetricStore) -> None:
        other_nan = struct.unpack("<d", struct.pack("<Q", 0x7FF8000000000ABC))[0]
        told = [
            1.0,
            0.1,
            -0.0,
            5e-324,
            1.7e308,
            float("inf"),
            float("-inf"),
            STALE,
            other_nan,
            2e15,
        ]
        self.tell(store, labels_of("g"), *told)
        (series,) = store.select(named("g"), at(0), at(99))
        assert series.times_ms.tolist() == [at(step) for step in range(len(told))]
        assert series.values.tobytes() == struct.pack(f"<{len(told)}d", *told)
        assert [is_stale(value) for value in series.values.tolist()].index(True) == 7

    def test_range_of_samples_is_closed_at_both_ends(self, store: MetricStore) -> None:
        self.tell(store, labels_of("g"), 1, 2, 3, 4)
        (series,) = store.select(named("g"), at(1), at(2))
        assert series.values.tolist() == [2, 3]
        assert store.select(named("g"), at(4), at(9)) == []

    def test_late_sample_is_refused_and_the_first_of_two_stays(self, store: MetricStore) -> None:
        one, two = labels_of("g", i="1"), labels_of("g", i="2")
        store.append(at(1), [(one, 1)])
        assert store.append(at(0), [(one, 5), (two, 5)]) == Accepted(1, late=1)
        assert store.append(at(1), [(one, 5), (two, 6)]) == Accepted(1, duplicate=1)
        assert store.append(at(2), [(one, 7), (one, 8)]) == Accepted(1, duplicate=1)
        found = {one.labels: one.values.tolist() for one in store.select(named("g"), 0, at(9))}
        assert found == {one: [1, 7], two: [5, 6]}

    def test_increase_counts_from_the_last_sample_until_the_start(self, store: MetricStore) -> None:
        self.tell(store, labels_of("c_total"), 10, 13, 17, 30, 31)
        assert self.only(store.increase(named("c_total"), at(1), at(3))) == Window(17, 30.0, 2)
        assert self.only(store.increase(named("c_total"), at(1.5), at(3.5))) == Window(17, 30.0, 2)

    def test_adjacent_windows_add_up_to_the_whole(self, store: MetricStore) -> None:
        self.tell(store, labels_of("c_total"), *range(0, 90, 3))
        cuts = [at(step) for step in (0, 3.3, 7, 11.9, 20, 29)]
        parts = [
            self.only(store.increase(named("c_total"), low, high)) for low, high in pairwise(cuts)
        ]
        assert sum(part.increase for part in parts) == 87
        assert sum(part.covered_seconds for part in parts) == pytest.approx(29 * 15)

    def test_reset_loses_no_count_and_leaves_its_interval_unknown(self, store: MetricStore) -> None:
        self.tell(store, labels_of("c_total"), 100, 110, 4, 5)
        assert self.only(store.increase(named("c_total"), at(0), at(3))) == Window(15, 30.0, 3)
        (series,) = store.select(named("c_total"), at(0), at(9))
        assert series.values.tolist() == [100, 110, 4, 5]

    def test_gap_is_no_covered_time(self, store: MetricStore) -> None:
        values = [*range(8), *[None] * 20, *range(100, 108)]
        self.tell(store, labels_of("c_total"), *values)
        whole = self.only(store.increase(named("c_total"), at(0), at(35)))
        assert whole == Window(107, 14 * 15.0, 15)

    def test_growth_of_a_gap_counts_for_no_window_that_begins_in_it(
        self, store: MetricStore
    ) -> None:
        values = [*range(8), *[None] * 20, *range(100, 108)]
        self.tell(store, labels_of("c_total"), *values)
        begun = self.only(store.increase(named("c_total"), at(20), at(35)))
        assert begun == Window(7, 7 * 15.0, 8)

    def test_no_sample_in_the_window_is_no_answer(self, store: MetricStore) -> None:
        self.tell(store, labels_of("c_total"), 1, 2, *[None] * 30, 3)
        assert store.increase(named("c_total"), at(10), at(20)) == {}
        assert store.increase(named("c_total"), at(40), at(50)) == {}

    def test_staleness_mark_ends_what_is_covered(self, store: MetricStore) -> None:
        self.tell(store, labels_of("c_total"), 1, 2, 3, STALE, 9, 10)
        assert self.only(store.increase(named("c_total"), at(0), at(5))) == Window(9, 45.0, 5)

    def test_first_sample_is_no_growth(self, store: MetricStore) -> None:
        self.tell(store, labels_of("c_total"), 500, 501)
        assert self.only(store.increase(named("c_total"), at(-10), at(5))) == Window(1, 15.0, 2)

    @pytest.mark.parametrize(
        ("matchers", "expected"),
        [
            ([Matcher("job", "=", "a")], {"1", "2"}),
            ([Matcher("job", "!=", "a")], {"3", "4"}),
            ([Matcher("job", "=", "")], {"4"}),
            ([Matcher("job", "=~", "a|b")], {"1", "2", "3"}),
            ([Matcher("job", "=~", "|b")], {"3", "4"}),
            ([Matcher("job", "!~", "a.*")], {"3", "4"}),
            ([Matcher("job", "=", "a"), Matcher("i", "!=", "1")], {"2"}),
            ([Matcher("job", "!~", ".+"), Matcher("i", "=~", "[1-4]")], {"4"}),
            ([Matcher("none", "=", "")], {"1", "2", "3", "4"}),
            ([Matcher("none", "=~", ".+")], set()),
        ],
    )
    def test_matchers_take_an_absent_label_for_empty(
        self, store: MetricStore, matchers: list[Matcher], expected: set[str]
    ) -> None:
        jobs = {"1": {"job": "a"}, "2": {"job": "a"}, "3": {"job": "b"}, "4": {}}
        store.append(at(0), [(labels_of("g", i=i, **rest), 1) for i, rest in jobs.items()])
        self.settle(store)
        found = store.names_of([*named("g"), *matchers], at(0), at(1))
        assert {dict(labels)["i"] for labels in found} == expected

    def test_expression_that_is_none_is_told(self, store: MetricStore) -> None:
        store.append(at(0), [(labels_of("g", job="a"), 1)])
        with pytest.raises(UsageError):
            store.select([Matcher("job", "=~", "(")], at(0), at(1))

    def test_names_are_of_series_with_samples_then(self, store: MetricStore) -> None:
        self.tell(store, labels_of("g"), 1, *[None] * 30, 2)
        assert store.names_of(named("g"), at(0), at(0)) == [labels_of("g")]
        assert store.names_of(named("g"), at(5), at(9)) == []
        assert store.names_of(named("g"), at(31), at(99)) == [labels_of("g")]

    def test_type_that_was_told_goes_before_the_name(self, store: MetricStore) -> None:
        store.describe(
            {"disk_total": Metadata("gauge", "Room.", "bytes"), "odd": Metadata("counter")}
        )
        self.tell(store, labels_of("odd"), 5, 1)
        assert self.only(store.increase(named("odd"), at(0), at(1))).increase == 1
        assert store.metadata()["disk_total"] == Metadata("gauge", "Room.", "bytes")

    def test_exemplars_are_kept_with_their_series(self, store: MetricStore) -> None:
        bucket = labels_of("h_bucket", le="1")
        store.append(at(0), [(bucket, 1)])
        told = [Exemplar(at(step), 0.5, (("trace_id", f"{step:x}"),)) for step in range(30)]
        store.add_exemplars([(bucket, one) for one in told])
        found = store.exemplars(named("h_bucket"), at(25), at(28))
        assert found == {bucket: told[25:29]}
