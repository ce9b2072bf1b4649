"""Asks once, and again at once if that failed, and says what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable

from andon.adapters.checks.place import Answered, Place
from andon.api.v1.checks import CheckResult, CheckSpec
from andon.kernel.errors import AndonError

Question = Callable[[CheckSpec, Place], Answered]


def ask(name: str, check: CheckSpec, place: Place, *, slot: float = 0) -> CheckResult:
    """Ask a Check's question until it passes or all tries are used up; blocks for so long.

    Args:
        name: The Check's.
        check: What is asked.
        place: From where.
        slot: The moment it was due, seconds since the Unix epoch; 0: nobody waited for it.
    """
    question = _question(check)
    at = place.now()
    tries = 0
    while True:
        tries += 1
        began = time.monotonic()
        try:
            answered = question(check, place)
        except AndonError as error:
            answered = Answered(message=str(error))
        seconds = time.monotonic() - began
        if not answered.message or tries > check.retries:
            return CheckResult(
                check=name,
                worker=place.worker,
                slot=slot or at,
                at=at,
                seconds=round(seconds, 6),
                passed=not answered.message,
                tries=tries,
                message=answered.message[:1000],
                phases={key: round(value, 6) for key, value in answered.phases.items()},
                days_left=answered.days_left,
            )


def _question(check: CheckSpec) -> Question:
    """Import what asks, and nothing else."""
    match check.questions[0]:
        case "http" | "steps":
            from andon.adapters.checks.http import ask_http as found
        case "tcp":
            from andon.adapters.checks.lines import ask_tcp as found
        case "tls":
            from andon.adapters.checks.lines import ask_tls as found
        case "dns":
            from andon.adapters.checks.names import ask_dns as found
        case _:
            from andon.adapters.checks.browser import ask_browser as found
    return found
