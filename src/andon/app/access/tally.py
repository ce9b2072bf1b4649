"""What strangers cause is written down once and then counted: nobody floods the ledger."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from andon.app.access.recording import note
from andon.kernel.clock import Clock
from andon.kernel.errors import AndonError
from andon.ports.store import Store, Tx

WINDOW_SECONDS = 60.0
MOST = 256
"""So many different things are told apart within a minute; all others are one."""
OTHERS = "others"
_log = logging.getLogger("andon.access")


class Fact(Struct, frozen=True, kw_only=True):
    """Something that may happen often.

    Args:
        noun: Of the event, as in ``access.denied``.
        verb: Of the event.
        about: Whom it is about.
        facts: What else is to be said.
    """

    noun: str
    verb: str
    about: str
    facts: tuple[tuple[str, str], ...] = ()


class _Window(Struct):
    until: float
    untold: int = 0


class Tally:
    """Writes the first of each fact at once, and repetitions within a minute as one event.

    Args:
        store: The durable store.
        clock: The time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._windows: dict[Fact, _Window] = {}

    async def count(self, noun: str, verb: str, about: str, facts: Mapping[str, str]) -> bool:
        """Take note of something; it is never refused, even where it cannot be written just now.

        Returns:
            Whether it was written at once.
        """
        fact = Fact(noun=noun, verb=verb, about=about, facts=tuple(sorted(facts.items())))
        if fact not in self._windows and len(self._windows) >= MOST:
            fact = Fact(noun=noun, verb=verb, about=OTHERS)
        window = self._windows.get(fact)
        if window is not None:
            window.untold += 1
            return False
        self._windows[fact] = _Window(self._clock.now() + WINDOW_SECONDS, untold=1)
        await self._tell([fact])
        return True

    async def flush(self, *, all_of_them: bool = False) -> None:
        """Write repetitions whose minute is over.

        Args:
            all_of_them: Whether it is over or not, as this process ends.
        """
        now = self._clock.now()
        over = [fact for fact, one in self._windows.items() if all_of_them or one.until <= now]
        for fact in over:
            if not self._windows[fact].untold:
                del self._windows[fact]
        await self._tell([fact for fact in over if fact in self._windows])

    async def _tell(self, facts: list[Fact]) -> None:
        """Write facts, each with its number; what cannot be written is counted further."""
        if not facts:
            return
        now = self._clock.now()
        told = {fact: self._windows[fact].untold for fact in facts}
        for fact in facts:
            self._windows[fact] = _Window(now + WINDOW_SECONDS)
        try:
            await self._store.transact(lambda tx: _write(tx, now, told))
        except AndonError as error:
            _log.warning("%d refusals are written later: %s", len(facts), error.message)
            for fact, times in told.items():
                self._windows[fact].untold += times


def _write(tx: Tx, now: float, told: Mapping[Fact, int]) -> None:
    for fact, times in told.items():
        content: dict[str, Any] = dict(fact.facts)
        if "environment" in content:
            content["environment"] = {"id": content["environment"]}
        if times > 1:
            content["times"] = times
        note(tx, now, fact.noun, fact.verb, fact.about, **content)
