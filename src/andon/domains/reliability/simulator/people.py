"""Who calls a version, and who of them meets its errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from msgspec import Struct

from andon.api.v1.simulation import Clients

WINDOW_SECONDS = 10.0
Array = Any
"""A numpy array."""


class People(Struct, frozen=True):
    """The clients of one version, by number; those with an odd one are one half.

    Args:
        count: How many.
        until: ``(count,) float64``, up to where each one's part of the requests reaches; None: all alike.
    """

    count: int
    until: Array = None

    def who(self, fates: Array) -> Array:
        """Return who sends requests, one for each number from 0 to 1."""
        if self.until is None:
            return (fates * self.count).astype(int)
        return np.minimum(np.searchsorted(self.until, fates), self.count - 1)

    @property
    def odd(self) -> float:
        """The requests of those with an odd number, as a share of all."""
        if self.until is None:
            return (self.count // 2) / self.count
        return float(np.diff(self.until, prepend=0.0)[1::2].sum())

    def seen(self, requests: float) -> int:
        """Return how many different ones so many requests come from, on average."""
        if self.until is None:
            return round(self.count * -math.expm1(requests * math.log1p(-1 / max(self.count, 2))))
        parts = np.diff(self.until, prepend=0.0)
        return round(float((1 - (1 - parts) ** requests).sum()))


@lru_cache(maxsize=256)
def people_of(count: int, skew: float) -> People:
    """Return so many clients; with a skew of 1 the second one sends half of what the first one does."""
    if not skew:
        return People(count)
    parts = np.arange(1, count + 1) ** -skew
    return People(count, np.cumsum(parts) / parts.sum())


class Failures(Struct, frozen=True):
    """Who failed in which interval; all are ``(n_failures,) int64``.

    Args:
        when: Number of the interval.
        who: Number of the client; those who fail wherever they go have negative ones.
        tries: How often.
    """

    when: Array
    who: Array
    tries: Array

    @classmethod
    def together(cls, *some: Failures) -> Failures:
        """Return failures of several causes, in the order of time."""
        when = np.concatenate([one.when for one in some])
        order = np.argsort(when, kind="stable")
        who, tries = (
            np.concatenate([getattr(one, part) for one in some])[order] for part in ("who", "tries")
        )
        return cls(when[order], who, tries)

    def count(self, windows: Array) -> tuple[Array, Array, Array, Array]:
        """Count tries, and clients that failed first in their window: of all, and of the odd ones.

        Args:
            windows: ``(n_intervals,) int64``, the window in which an interval ends.
        """
        count = len(windows)
        key = windows[self.when] * (1 << 32) + self.who
        first = np.zeros(len(key), bool)
        first[np.unique(key, return_index=True)[1]] = True
        odd = self.who % 2 == 1

        def total(numbers: Array) -> Array:
            return np.bincount(self.when, numbers, count).astype(int)

        return total(self.tries), total(first), total(self.tries * odd), total(first & odd)


def draw_failed(
    people: Sequence[People], events: Array, tries: Array, chance: np.random.Generator
) -> Failures:
    """Draw who fails.

    Args:
        people: Whose requests they are, in each interval.
        events: ``(n_intervals,) int64``, how many fail.
        tries: ``(n_intervals,) int64``, how often each of them does.
        chance: Seeded generator.
    """
    when = np.repeat(np.arange(len(events)), events)
    fates, who = chance.random(len(when)), np.zeros(len(when), int)
    crowds = np.array([one.count for one in people])[when]
    for some in {one.count: one for one in people}.values():
        theirs = crowds == some.count
        who[theirs] = some.who(fates[theirs])
    return Failures(when, who, tries[when])


def clients_of(clients: Clients, mine: Array, rate: Array) -> tuple[list[People], Array]:
    """Return who calls a version in each interval, and how many of them a window sees."""
    counts = np.maximum(1, np.round(clients.count * mine)).astype(int).tolist()
    people = [people_of(count, clients.skew) for count in counts]
    seen = [
        _seen(count, clients.skew, requests)
        for count, requests in zip(counts, (rate * WINDOW_SECONDS).tolist(), strict=True)
    ]
    return people, np.array(seen)


@lru_cache(maxsize=4096)
def _seen(count: int, skew: float, requests: float) -> int:
    return people_of(count, skew).seen(requests)
