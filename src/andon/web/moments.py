"""Who asks the same in the same moment gets the same answer, made once.

A moment ends with the next write in this process, so that everybody reads what they wrote, and at the
latest after ``LONGEST_SECONDS``, as another worker may have written, and the time goes on. Only for callers
who see everything: what others get depends on who they are.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from andon.ports.line import LineService

LONGEST_SECONDS = 0.1
MOST_ANSWERS = 512


class Kept(NamedTuple):
    """An answer, and its headers."""

    body: bytes
    headers: dict[str, str]


class _Moment(NamedTuple):
    number: int
    until: float
    answer: asyncio.Future[Kept]


class Moments:
    """Answers of this moment.

    Args:
        line: Tells when it is over.
    """

    def __init__(self, line: LineService) -> None:
        self._line = line
        self._answers: dict[str, _Moment] = {}

    async def answer(self, question: str, make: Callable[[], Awaitable[Kept]]) -> Kept:
        """Return the answer to a question, making it unless it was made in this moment.

        Raises:
            AndonError: The question has none; who asks next asks anew.
        """
        number, now = self._line.moment, time.monotonic()
        found = self._answers.get(question)
        if found is not None and found.number == number and now < found.until:
            return await asyncio.shield(found.answer)
        if len(self._answers) >= MOST_ANSWERS:
            self._answers.clear()
        made = asyncio.ensure_future(make())
        made.add_done_callback(_whoever_listens)
        self._answers[question] = _Moment(number, now + LONGEST_SECONDS, made)
        try:
            return await asyncio.shield(made)
        except Exception:
            self._answers.pop(question, None)
            raise


def _whoever_listens(answer: asyncio.Future[Kept]) -> None:
    """Take note of a failure, should everybody who asked have gone."""
    if not answer.cancelled():
        answer.exception()
