"""Shares of a suite: nothing is lost or done twice, and they are balanced."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from andon.domains.pipelines.split import expected, share, split

SECONDS = st.floats(0, 1000, allow_nan=False) | st.sampled_from([0.0, 1.0, 2.0])
NAMES = st.text("abc/.:[]", min_size=1, max_size=12)
SUITES = st.dictionaries(NAMES, SECONDS, max_size=60)
SHARDS = st.integers(1, 12)


@settings(max_examples=200, deadline=None)
@given(SUITES, SHARDS)
def test_the_shares_are_a_partition(durations: dict[str, float], shards: int) -> None:
    shares = split(durations, shards)
    assert len(shares) == shards
    assert sorted(test for one in shares for test in one) == sorted(durations)


@settings(max_examples=200, deadline=None)
@given(SUITES, SHARDS)
def test_the_longest_share_is_within_grahams_bound(
    durations: dict[str, float], shards: int
) -> None:
    loads = [sum(durations[test] for test in one) for one in split(durations, shards)]
    # The best split is at least this long; the greedy one is at most one longest test above the mean.
    least = max([sum(durations.values()) / shards, *durations.values()])
    assert max(loads) <= (2 - 1 / shards) * least + 1e-6


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=6),
    st.integers(1, 3),
)
def test_it_is_near_the_best_there_is(seconds: list[int], shards: int) -> None:
    durations = {str(n): float(value) for n, value in enumerate(seconds)}
    found = max(sum(durations[test] for test in one) for one in split(durations, shards))
    best = min(
        max(
            sum(value for value, place in zip(seconds, places, strict=True) if place == shard)
            for shard in range(shards)
        )
        for places in product(range(shards), repeat=len(seconds))
    )
    assert found <= (4 / 3 - 1 / (3 * shards)) * best + 1e-9


@settings(max_examples=100, deadline=None)
@given(st.lists(NAMES, max_size=30), SUITES, SHARDS, st.randoms(use_true_random=False))
def test_every_shard_alone_comes_to_the_same_split_in_any_order(
    tests: list[str],
    recorded: dict[str, float],
    shards: int,
    chance: object,
) -> None:
    found: list[str] = []
    for shard in range(1, shards + 1):
        chance.shuffle(tests)
        found += share(tests, recorded, shard, shards)
    assert sorted(found) == sorted(set(tests))


@pytest.mark.parametrize(
    ("named", "id"),
    [
        ("tests/test_cart.py", "tests.test_cart.TestTotal::test_adds"),
        ("tests/test_cart.py::TestTotal", "tests.test_cart.TestTotal::test_adds"),
        ("./tests/test_cart.py::TestTotal::test_adds", "tests.test_cart.TestTotal::test_adds"),
        ("src/test/java/shop/CartTest.java", "shop.CartTest::adds"),
        ("shop.CartTest", "shop.CartTest::adds"),
        ("example.org/shop", "example.org/shop::TestAdd"),
    ],
)
def test_what_runners_and_reports_call_differently_is_found(named: str, id: str) -> None:
    assert expected([named, "another"], {id: 7.0, "other.module::test": 1.0})[named] == 7.0


def test_a_test_nobody_knows_takes_as_long_as_most_do() -> None:
    recorded = {"a": 1.0, "b": 2.0, "c": 30.0}
    assert expected(["a", "b", "c", "new"], recorded)["new"] == 2.0
    assert expected(["new"], {}) == {"new": 1.0}
