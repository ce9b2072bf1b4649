"""What versions that are gone had counted: whoever looks now and then would miss it."""

from __future__ import annotations

from msgspec import Struct

from andon.adapters.haproxy.model import Front
from andon.api.v1.actions import Counts
from andon.kernel.clock import Clock

TOLD_SECONDS = 60.0
"""So long the last counts of a version are told: several looks of the collector."""


class _Last(Struct, frozen=True):
    at: float
    source: str
    counts: Counts


class Departed:
    """Remembers last counts for a while.

    Args:
        clock: The time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._of: dict[str, dict[str, _Last]] = {}

    def note(self, front: Front, version: str, source: str, counts: Counts) -> None:
        """Keep the last counts of a version that goes."""
        last = _Last(self._clock.now(), source, counts)
        self._of.setdefault(front.name, {})[version] = last

    def of(self, front: Front, source: str) -> dict[str, Counts]:
        """Return last counts by version, of this source and none that is back."""
        since = self._clock.now() - TOLD_SECONDS
        known = {
            version: last
            for version, last in self._of.get(front.name, {}).items()
            if last.at >= since and last.source == source and version not in front.backends
        }
        self._of[front.name] = known
        return {version: last.counts for version, last in known.items()}
