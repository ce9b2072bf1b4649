"""The check ``objective``: that what was promised of a service, where it runs, is known to be kept.

It is about a running target, not about an artifact: it counts only while it is fresh, and there is
nothing to keep where nothing runs yet.
"""

from __future__ import annotations

from collections.abc import Iterable

CHECK = "objective"
FRESH_SECONDS = 300.0
"""Older than this, it says nothing any more."""


def applicable(requires: Iterable[str], *, runs: bool) -> tuple[str, ...]:
    """Return the checks that a gate asks for, without what no first version can have.

    Args:
        requires: As the Environment says.
        runs: Whether a version of the service runs there.

    >>> applicable(("tests", "objective"), runs=False)
    ('tests',)
    """
    return tuple(check for check in requires if runs or check != CHECK)


def most_age_seconds(check: str, max_age_seconds: float) -> float:
    """Return how old Evidence of a check may be.

    >>> most_age_seconds("tests", 86400.0), most_age_seconds("objective", 86400.0)
    (86400.0, 300.0)
    """
    return min(max_age_seconds, FRESH_SECONDS) if check == CHECK else max_age_seconds
