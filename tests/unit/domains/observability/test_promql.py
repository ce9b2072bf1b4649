"""What is outside of the PromQL answered here is refused by name; nothing goes on for ever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from andon.domains.observability.promql import evaluation, functions, matching
from andon.domains.observability.promql.aggregating import REDUCE
from andon.domains.observability.promql.answers import Limits, Row
from andon.domains.observability.promql.engine import MOST_STEPS, instant, ranged
from andon.domains.observability.promql.nodes import Matcher, TooLarge, Unreadable, Unsupported
from andon.domains.observability.promql.reading import read
from andon.domains.observability.promql.supported import (
    AGGREGATIONS,
    OF_DATES,
    OF_NUMBERS,
    OF_VECTORS,
    OPERATORS,
    OVER_RANGES,
)
from andon.domains.observability.promql.windows import OVER_WINDOWS
from andon.kernel.errors import UsageError


def nothing(*_: Any) -> list[Row]:
    return []


def counter(matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Row]:
    times = np.arange(max(0, start_ms), end_ms + 1, 1000, dtype=np.int64)
    return [Row((("__name__", "up"), ("i", str(i))), times, times / 1000.0) for i in range(20)]


REFUSED = {
    "histogram_sum(x)": "the function histogram_sum() at 1:1",
    "1 +\n  info(x)": "the function info() at 2:3",
    "sum(limit_ratio(0.5, x))": "the aggregation limit_ratio at 1:5",
    "rate(x[5m] smoothed)": "the modifier smoothed at 1:12",
    "x[5m] anchored": "the modifier anchored at 1:7",
    "a + fill(0) b": "the modifier fill at 1:5",
    "rate(x[5m + 1m])": "a duration that is an expression at 1:11",
    "x offset (5m)": "a duration that is an expression at 1:10",
    'x{a="1" or b="2"}': "`or` between matchers at 1:9",
    "x @ -5": "a time before 1970 after @ at 1:3",
    "h >/ 2": "the operator >/ at 1:3",
    "start() + 1": "the function start() at 1:1",
    '"\\xff"': "the byte \\xff at 1:2",
}


@pytest.mark.parametrize("query", REFUSED)
def test_what_is_not_answered_is_refused_by_name_and_place(query: str) -> None:
    with pytest.raises(Unsupported) as refused:
        read(query)
    assert refused.value.message == f"{REFUSED[query]} is outside of the PromQL answered here"


def test_words_in_strings_and_comments_are_no_constructs() -> None:
    read('x{a="rate(x[5m] smoothed)"} # info(x)')
    read("rate(x[5m]) or y{job='anchored'}")


def test_old_names_lead_to_new_ones() -> None:
    with pytest.raises(Unreadable, match=r"holt_winters\(\) at 1:5") as refused:
        read("1 + holt_winters(x[5m], 0.1, 0.1)")
    assert refused.value.hint == "it is called double_exponential_smoothing now"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "  ",
        "x{",
        "foo(x)",
        "x[5m",
        "1 == 2",
        "sum(1)",
        "((((",
        "x @ 1e300",
        "\u00e9",
        "x offset 100000000y",
    ],
)
def test_what_is_no_promql_is_one_message(query: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(query)
    assert refused.value.message


HUGE = {
    "operators": "+".join(["a"] * 20_000),
    "signs": "-" * 50_000 + "x",
    "powers": "^".join(["a"] * 40_000),
    "brackets": "(" * 20_000 + "x" + ")" * 20_000,
    "characters": "x" * 200_000,
}


@pytest.mark.parametrize("what", HUGE)
def test_query_that_would_end_the_parser_never_comes_to_it(what: str) -> None:
    with pytest.raises(Unreadable, match="one has at most"):
        read(HUGE[what])


def test_query_as_large_as_may_be_is_answered() -> None:
    deep = "(" * 30 + "1" + ")" * 30 + " + 1" * 150
    assert instant(deep, nothing, 0).rows[0].values.tolist() == [151.0]
    nested = "abs(" * 59 + "vector(1)" + ")" * 59
    assert instant(nested, nothing, 0).rows[0].values.tolist() == [1.0]


def test_too_many_steps_samples_or_work_are_refused_in_time() -> None:
    with pytest.raises(TooLarge, match="exceeded maximum resolution of 11,000"):
        ranged("up", nothing, 0, (MOST_STEPS + 1) * 1000, 1000)
    with pytest.raises(TooLarge, match="too many samples into memory"):
        instant("up[1h]", counter, 3_600_000, Limits(samples=1000))
    with pytest.raises(TooLarge, match="more work"):
        ranged("sum_over_time(up[1h])", counter, 3_600_000, 9_000_000, 1000, Limits(work=1_000_000))
    with pytest.raises(TooLarge, match=r"too many samples|more work"):
        instant("sum_over_time(up[1000y:1ms])", counter, 3_600_000)


def test_every_name_that_is_published_is_carried_out() -> None:
    assert set(OVER_RANGES) == set(OVER_WINDOWS)
    assert set(OPERATORS) == set(matching.COMPUTE) | {"and", "or", "unless"}
    assert set(AGGREGATIONS) == {*REDUCE, "topk", "bottomk", "limitk", "count_values"}
    carried = {*functions.OF_NUMBERS, *functions.OF_DATES, *evaluation.CALLS}
    assert {*OF_NUMBERS, *OF_DATES, *OF_VECTORS} == carried


def test_gap_is_no_sample() -> None:
    def gap(matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Row]:
        times = np.array([0, 1_000_000], np.int64)
        kept = (times >= start_ms) & (times <= end_ms)
        return [Row((("__name__", "up"),), times[kept], np.ones(kept.sum()))]

    answer = ranged("up", gap, 0, 1_200_000, 100_000)
    assert (answer.rows[0].times_ms // 100_000).tolist() == [0, 1, 2, 10, 11, 12]
    assert instant("rate(up[5m])", gap, 900_000).rows == []
