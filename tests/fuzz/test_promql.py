"""Whatever is sent as a query is answered or refused in one message; nothing else ever comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from andon.domains.observability.promql.engine import Row, instant, ranged
from andon.domains.observability.promql.nodes import Matcher
from andon.domains.observability.promql.supported import AGGREGATIONS, FUNCTIONS, OPERATORS
from andon.kernel.errors import UsageError

WORDS = (
    *FUNCTIONS, *AGGREGATIONS, *OPERATORS, "x", "x{a='b'}", "x[5m]", "[5m]", "[5m:1m]", "offset 1m", "@ 60",
    "@ end()", "by (a)", "without (a)", "on (a)", "ignoring (a)", "group_left (a)", "bool", "(", ")", ",", "1", "NaN",
    "-Inf", '"a"', "'$1'", "1e400", "5m", "{", "}", "=~", "[", "]", "#", "`", "\\", "\0", "é", "\u2028", "info",
)  # fmt: skip
TIMES = np.arange(0, 3_600_000, 15_000, dtype=np.int64)


def select(matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Row]:
    kept = TIMES[(start_ms <= TIMES) & (end_ms >= TIMES)]
    values = np.where(kept % 60_000 == 0, np.nan, kept % 100_000)
    return [Row((("__name__", "x"), ("a", a), ("le", a)), kept, values) for a in ("1", "+Inf")]


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join) | st.text(max_size=40)
)
def test_query_is_answered_or_refused(query: str) -> None:
    for ask in (
        lambda: instant(query, select, 1_800_000),
        lambda: ranged(query, select, 600_000, 1_800_000, 60_000),
    ):
        with suppress(UsageError):
            ask()
