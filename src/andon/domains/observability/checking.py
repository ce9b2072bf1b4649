"""When a Check is due, what was missed, and how it stands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal
from zlib import crc32

from msgspec import Struct

from andon.api.v1.checks import CheckResult, CheckSpec

Standing = Literal["passing", "failing", "unsteady", "unknown"]
LATE_SLOTS = 2.0
"""A result this many intervals old says nothing of now."""


class Stand(Struct, frozen=True, kw_only=True):
    """How a Check stands, as one worker sees it.

    Args:
        standing: ``failing`` after so many failures in a row as the Check says; ``unsteady`` while
            there are fewer, or the last try was not the first; ``unknown`` without a fresh result.
        since: When the first result of the present run of passes or failures was due; 0: never.
        message: What the last one said.
    """

    standing: Standing
    since: float = 0
    message: str = ""


def slot_at(name: str, every_seconds: float, now: float) -> float:
    """Return the latest moment at which a Check was due.

    Checks of the same interval are spread over it by their names, so that not all ask at once.

    Args:
        name: The Check's.
        every_seconds: Its interval.
        now: Seconds since the Unix epoch.

    >>> slot = slot_at("front", 30, 1000.0)
    >>> 970 < slot <= 1000, slot_at("front", 30, slot) == slot, slot_at("front", 30, slot + 29.9) == slot
    (True, True, True)
    """
    offset = crc32(name.encode()) % 1000 / 1000 * every_seconds
    passed = math.floor((now - offset) / every_seconds + 1e-9)
    return round(passed * every_seconds + offset, 3)


def missed_slots(before: float, slot: float, every_seconds: float) -> int:
    """Return how many moments lie between two slots at which it was due and nobody asked.

    >>> missed_slots(60, 90, 30), missed_slots(60, 180, 30), missed_slots(0, 180, 30)
    (0, 3, 0)
    """
    if not before:
        return 0
    return max(0, round((slot - before) / every_seconds) - 1)


def stand(spec: CheckSpec, results: Sequence[CheckResult], now: float) -> Stand:
    """Say how a Check stands, by one worker's results, newest first.

    >>> stand(CheckSpec(), [], 0.0).standing
    'unknown'
    >>> bad = [CheckResult(check="a", slot=slot, passed=False, message="no") for slot in (60, 30)]
    >>> stand(CheckSpec(failing_after=2), bad, 70.0)
    Stand(standing='failing', since=30.0, message='no')
    """
    if not results:
        return Stand(standing="unknown", message="never asked yet")
    last = results[0]
    if now - last.slot > LATE_SLOTS * spec.every_seconds + spec.timeout_seconds:
        return Stand(standing="unknown", since=last.slot, message="not asked lately")
    alike = [last]
    for one in results[1:]:
        if one.passed != last.passed:
            break
        alike.append(one)
    since = float(alike[-1].slot)
    if not last.passed:
        word: Standing = "failing" if len(alike) >= spec.failing_after else "unsteady"
        return Stand(standing=word, since=since, message=last.message)
    return Stand(standing="unsteady" if last.tries > 1 else "passing", since=since)


def worst(stands: Sequence[Stand]) -> Standing:
    """Return how a Check stands that several workers ask: failing only where most of those who know say so.

    One worker alone may have lost its own way out.

    >>> worst([Stand(standing="failing"), Stand(standing="passing"), Stand(standing="unknown")])
    'unsteady'
    >>> worst([Stand(standing="failing"), Stand(standing="unknown")])
    'failing'
    """
    known = [one.standing for one in stands if one.standing != "unknown"]
    if not known:
        return "unknown"
    failing = known.count("failing")
    if 2 * failing > len(known):
        return "failing"
    return "passing" if set(known) == {"passing"} else "unsteady"
