"""Splits a suite over the shards of a job, by recorded duration.

Every shard computes the whole split and takes its own part. So all of them have to be given the same
tests and the same durations: the order of the tests does not matter, and nothing else is looked at.
"""

from __future__ import annotations

import heapq
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

UNKNOWN_SECONDS = 1.0
"""A test's duration where none at all is known."""


def split(durations: Mapping[str, float], shards: int) -> list[list[str]]:
    """Share tests out so that the longest share is short: always the longest test to the shortest share.

    The longest share takes at most (4/3 - 1/(3 shards)) times what the best split would.

    Source: R. L. Graham, "Bounds on multiprocessing timing anomalies", SIAM Journal on Applied
    Mathematics 17 (1969), 416-429.

    Args:
        durations: Seconds by test.
        shards: Number of shares.

    Returns:
        The shares; each test is in exactly one.

    >>> split({"a": 3, "b": 2, "c": 2, "d": 1}, 2)
    [['a', 'd'], ['b', 'c']]
    """
    shares: list[list[str]] = [[] for _ in range(shards)]
    loads = [(0.0, 0, number) for number in range(shards)]
    for test in sorted(durations, key=lambda one: (-durations[one], one)):
        load, count, number = heapq.heappop(loads)
        shares[number].append(test)
        heapq.heappush(loads, (load + durations[test], count + 1, number))
    return shares


def expected(tests: Iterable[str], recorded: Mapping[str, float]) -> dict[str, float]:
    """Return how long each test will take; one that is not known takes as long as most do.

    Args:
        tests: What is to be split: ids of tests, files, or classes, as the test runner takes them.
        recorded: Seconds by id of a test, as reports name them.

    >>> expected(["tests/test_a.py", "tests/test_b.py::test_x", "new"], {
    ...     "tests.test_a::test_1": 2.0, "tests.test_a.TestB::test_2": 1.0, "tests.test_b::test_x": 5.0})
    {'tests/test_a.py': 3.0, 'tests/test_b.py::test_x': 5.0, 'new': 4.0}
    """
    tests = list(dict.fromkeys(tests))
    index = _Index(recorded)
    known = {test: seconds for test in tests if (seconds := index.seconds(test)) is not None}
    usual = median(known.values()) if known else UNKNOWN_SECONDS
    return {test: known.get(test, usual) for test in tests}


def share(
    tests: Sequence[str], recorded: Mapping[str, float], shard: int, shards: int
) -> list[str]:
    """Return the share of one shard, in the order in which the tests were given.

    Args:
        tests: All tests.
        recorded: Seconds by id.
        shard: Which share, from 1.
        shards: Of how many.
    """
    mine = set(split(expected(tests, recorded), shards)[shard - 1])
    return [test for test in dict.fromkeys(tests) if test in mine]


class _Index:
    """Finds durations by how test runners name tests, and by how reports do.

    A report says ``tests.test_cart.TestTotal::test_adds``; pytest takes ``tests/test_cart.py``, or
    ``tests/test_cart.py::TestTotal::test_adds``; Maven takes ``src/test/java/shop/CartTest.java`` or
    ``shop.CartTest``. All of them are read as words between dots. What is named has the durations of all
    that begins with its words, or else with the longest end of them that anything begins with.
    """

    def __init__(self, recorded: Mapping[str, float]) -> None:
        self._exact = recorded
        self._below: dict[tuple[str, ...], float] = {}
        for id, seconds in recorded.items():
            words = words_of(id)
            for length in range(1, len(words) + 1):
                key = words[:length]
                self._below[key] = self._below.get(key, 0.0) + seconds

    def seconds(self, test: str) -> float | None:
        if test in self._exact:
            return self._exact[test]
        words = words_of(test)
        # One word alone, such as ``tests``, is too little to go by, unless it is all there is.
        for start in range(max(1, len(words) - 1)):
            found = self._below.get(words[start:])
            if found is not None:
                return found
        return None


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a test's name, without the ending of its file.

    >>> words_of("./tests/test_a.py::TestB::test_c[x.y]"), words_of("tests.test_a.TestB::test_c[x.y]")
    (('tests', 'test_a', 'TestB', 'test_c[x.y]'), ('tests', 'test_a', 'TestB', 'test_c[x.y]'))
    """
    place, *inside = name.split("::")
    last = inside.pop() if inside else ""
    if "/" in place or place.endswith(_ENDINGS):
        place = posixpath.splitext(place.removeprefix("./"))[0].replace("/", ".")
    words = [word for part in (place, *inside) for word in part.split(".") if word]
    return (*words, last) if last else tuple(words)


_ENDINGS = (".py", ".js", ".ts", ".tsx", ".jsx", ".mjs", ".java", ".kt", ".rb", ".go", ".php")
