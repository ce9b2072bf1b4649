"""Tests known to be flaky: they run, and their failure alone does not stop the line, until a day."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from msgspec import Struct

from andon.api.v1.actions import JobDone
from andon.api.v1.pipelines import Quarantine

DAY_SECONDS = 86400.0


class Excused(Struct, frozen=True, kw_only=True):
    """What quarantine says of a job that failed.

    Args:
        tests: The failures, where every one of them is in quarantine; else none.
        expired: Quarantines that would have covered a failure and are over, in words.
    """

    tests: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()


def excuse(outcome: JobDone, quarantine: Sequence[Quarantine], now: float) -> Excused:
    """Say whether a job failed only by tests in quarantine.

    Where a failure is not known by name, or something else than a test failed it, it has no excuse.

    Args:
        outcome: How it ended.
        quarantine: The tests known to be flaky.
        now: Seconds since the Unix epoch.
    """
    done = outcome.tests
    by_tests = outcome.state == "failed" and outcome.fault == "change"
    if not quarantine or not by_tests or done is None or not done.failures:
        return Excused()
    if outcome.reason not in {"", "failure"} or done.failed != len(done.failures):
        return Excused()
    names = [case.id for case in done.failures]
    live = [one for one in quarantine if now < ends_at(one)]
    if all(_covered(name, live) for name in names):
        return Excused(tests=tuple(names))
    over = [one for one in quarantine if now >= ends_at(one)]
    return Excused(
        expired=tuple(
            f"the quarantine of {one.test} ended on {one.until} ({one.owner} was to mend it)"
            for one in over
            if any(_covered(name, [one]) for name in names)
        )
    )


def ends_at(one: Quarantine) -> float:
    """Return when a quarantine is over: at the end of its last day, UTC."""
    year, month, day = map(int, one.until.split("-"))
    return datetime(year, month, day, tzinfo=UTC).timestamp() + DAY_SECONDS


def covers(one: Quarantine, name: str) -> bool:
    """Say whether a quarantine is for a test: it names it, or its pattern fits.

    >>> covers(Quarantine(test="shop::*", owner="ann", until="2026-12-01"), "shop::test_pay[1]")
    True
    """
    return one.test == name or bool(_pattern(one.test).fullmatch(name))


def _covered(name: str, quarantine: Iterable[Quarantine]) -> bool:
    return any(covers(one, name) for one in quarantine)


@lru_cache(maxsize=1000)
def _pattern(text: str) -> re.Pattern[str]:
    """Read a pattern: only ``*`` has a meaning, as ids of tests are full of brackets."""
    return re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL)
