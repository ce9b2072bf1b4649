"""Dividing the ten thousand slots of a frontend between versions.

A client's key is hashed to a slot; a version owns slots in proportion to its weight. When weights
change, a version that shrinks gives up its highest slots and a version that grows takes freed ones:
no client moves away from a version whose share did not shrink.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby

from msgspec import Struct

TOTAL = 10_000


class Span(Struct, frozen=True, array_like=True):
    """Slots ``first`` to ``last``, both included, owned by a version."""

    first: int
    last: int
    version: str


def share(spans: Iterable[Span], weights: Mapping[str, float]) -> tuple[Span, ...]:
    """Divide the slots anew, moving as few as possible.

    Args:
        spans: Who owns which slots now.
        weights: Relative weight by version; at least one must be positive.

    >>> share((Span(0, 9999, "a"),), {"a": 90, "b": 10})
    (Span(first=0, last=8999, version='a'), Span(first=9000, last=9999, version='b'))
    """
    owners = _owners(spans)
    excess = {version: owners.count(version) for version in set(owners) if version}
    wanted = slots_of(weights)
    for version, slots in wanted.items():
        excess[version] = excess.get(version, 0) - slots
    for slot in range(TOTAL - 1, -1, -1):
        owner = owners[slot]
        if owner and excess[owner] > 0:
            excess[owner] -= 1
            owners[slot] = ""
    takers = (version for version in wanted for _ in range(-excess[version]))
    return _spans([owner or next(takers) for owner in owners])


def slots_of(weights: Mapping[str, float]) -> dict[str, int]:
    """Round weights to slots that add up; a positive weight gets at least one slot.

    >>> slots_of({"a": 99.99999, "b": 0.00001})
    {'a': 9999, 'b': 1}
    """
    total = sum(weights.values())
    exact = {version: TOTAL * weight / total for version, weight in weights.items()}
    slots = {version: max(int(value), int(value > 0)) for version, value in exact.items()}
    by_rest = sorted(exact, key=lambda version: slots[version] - exact[version])
    for version in by_rest[: max(0, TOTAL - sum(slots.values()))]:
        slots[version] += 1
    slots[max(slots, key=lambda version: slots[version])] -= sum(slots.values()) - TOTAL
    return slots


def weights_of(spans: Iterable[Span]) -> dict[str, int]:
    """Count the slots of each version.

    >>> weights_of((Span(0, 8999, "a"), Span(9000, 9999, "b")))
    {'a': 9000, 'b': 1000}
    """
    slots: dict[str, int] = {}
    for span in spans:
        slots[span.version] = slots.get(span.version, 0) + span.last - span.first + 1
    return slots


def _owners(spans: Iterable[Span]) -> list[str]:
    owners = [""] * TOTAL
    for span in spans:
        owners[span.first : span.last + 1] = [span.version] * (span.last - span.first + 1)
    return owners


def _spans(owners: list[str]) -> tuple[Span, ...]:
    spans, first = [], 0
    for version, run in groupby(owners):
        last = first + sum(1 for _ in run) - 1
        spans.append(Span(first, last, version))
        first = last + 1
    return tuple(spans)
