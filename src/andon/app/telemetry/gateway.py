"""Turns what the gateway has counted into counters of the metric store.

The gateway's counts begin anew with a new ``source`` (agent or gateway restarted), and a new count may
soon be larger than the old one. So a change of source is written as what it is: the counters were zero in
between. A version, or a service, that was not there at the look before has counted from zero since then.
Counts that disagree are not written: what happened is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

import msgspec
from msgspec import Struct

from andon.api.v1.actions import Counts, TrafficObserved
from andon.api.v1.latency import BUCKETS, upper_bound
from andon.calc.staleness import STALE
from andon.ports.telemetry import Labels, Metadata, MetricStore

REQUESTS = "andon_gateway_requests_total"
DURATION = "andon_gateway_request_duration_seconds"
CLASSES = ("2xx", "3xx", "4xx", "5xx", "failed")
BOUNDS = tuple(range(0, BUCKETS, 2))
"""Buckets of the latency scale that are told as such: each bound is 21 % above the one before."""
FAMILIES: Mapping[str, Metadata] = {
    REQUESTS: Metadata("counter", "Requests by version and what became of them."),
    DURATION: Metadata("histogram", "How long requests took, as the gateway saw it.", "seconds"),
}
RECENT = 2.5
"""In intervals: a look longer ago says nothing of when the counts since then were made."""

Rows = list[tuple[Labels, float]]


class Front(Struct):
    """A service's counts as they were last seen."""

    source: str
    at_ms: int
    versions: set[str]


class GatewayCounters:
    """Writes counts of services.

    Args:
        store: Where to.
        interval_ms: Between two looks.
        memory: What ``remembered`` returned before a restart; empty: nothing.
    """

    def __init__(self, store: MetricStore, interval_ms: int, memory: bytes = b"") -> None:
        self._store = store
        self._interval_ms = interval_ms
        self._fronts = msgspec.json.decode(memory, type=dict[str, Front]) if memory else {}
        self._looked_ms = 0

    def remembered(self) -> bytes:
        """Return what has to be known after a restart."""
        return msgspec.json.encode(self._fronts)

    def looked(self, at_ms: int) -> None:
        """Say that all services of the gateway were looked at."""
        self._looked_ms = at_ms

    def take(self, environment: str, service: str, seen: TrafficObserved, at_ms: int) -> None:
        """Write the counts of a service's versions.

        Args:
            environment: Where.
            service: Which.
            seen: Its counts.
            at_ms: When; later than the time before.
        """
        if not seen.consistent:
            return
        key = f"{environment}/{service}"
        before = self._fronts.get(key)
        labels = {version: (environment, service, version) for version in seen.versions}
        rows = {version: _rows(*labels[version], seen.versions[version]) for version in labels}
        if before is not None and before.source != seen.source:
            self._begin_anew(rows.values(), before.at_ms, at_ms)
        else:
            if before is not None and not self._is_recent(before.at_ms, at_ms):
                self._mark_gap(environment, service, before)
            self._begin(rows, before, at_ms)
        gone = sorted((before.versions if before else set()) - set(rows))
        ended = [(one, STALE) for name in gone for one in _series(environment, service, name)]
        self._store.append(at_ms, [*(row for each in rows.values() for row in each), *ended])
        self._fronts[key] = Front(seen.source, at_ms, set(rows))

    def _mark_gap(self, environment: str, service: str, before: Front) -> None:
        """Write that nothing is known from the last look on, also of a series too young to tell."""
        names = [
            one for name in sorted(before.versions) for one in _series(environment, service, name)
        ]
        self._store.append(before.at_ms + 1, [(one, STALE) for one in names])

    def _begin_anew(self, rows: Iterable[Rows], before_ms: int, at_ms: int) -> None:
        """Write that counters were zero: just now, or when they may have begun long ago."""
        if self._is_recent(before_ms, at_ms):
            marks = ((at_ms - 2, STALE), (at_ms - 1, 0.0))
        else:  # What they have counted since then belongs to no window that begins later.
            marks = ((before_ms + 1, 0.0), (before_ms + 2, STALE))
        labels = [labels for each in rows for labels, _ in each]
        for moment_ms, value in marks:
            self._store.append(moment_ms, [(one, value) for one in labels])

    def _begin(self, rows: Mapping[str, Rows], before: Front | None, at_ms: int) -> None:
        """Write that counters of what is new were zero at the look before."""
        known = before.versions if before else set()
        looked_ms = before.at_ms if before else self._looked_ms
        if looked_ms:
            new = [labels for name in rows if name not in known for labels, _ in rows[name]]
            self._store.append(looked_ms, [(labels, 0.0) for labels in new])

    def _is_recent(self, before_ms: int, at_ms: int) -> bool:
        return at_ms - before_ms <= RECENT * self._interval_ms


@lru_cache(maxsize=1024)
def _series(environment: str, service: str, version: str) -> tuple[Labels, ...]:
    """Return the labels of all series of a version, in the order of ``_values``."""
    place = {"environment": environment, "service": service, "version": version}

    def labels(name: str, **more: str) -> Labels:
        return tuple(sorted({**place, **more, "__name__": name}.items()))

    return (
        *(labels(REQUESTS, **{"class": one}) for one in CLASSES),
        *(labels(f"{DURATION}_bucket", le=f"{upper_bound(one):.4g}") for one in BOUNDS),
        labels(f"{DURATION}_bucket", le="+Inf"),
        labels(f"{DURATION}_count"),
        labels(f"{DURATION}_sum"),
    )


def _rows(environment: str, service: str, version: str, counts: Counts) -> Rows:
    return list(zip(_series(environment, service, version), _values(counts), strict=True))


def _values(counts: Counts) -> list[float]:
    classes = counts.classes or {"2xx": counts.requests - counts.errors, "5xx": counts.errors}
    below, buckets, at = 0, [], 0
    for bound in BOUNDS:
        while at <= bound:
            below += counts.latency.get(at, 0)
            at += 1
        buckets.append(float(below))
    whole = float(sum(counts.latency.values()))
    return [
        *(float(classes.get(one, 0)) for one in CLASSES),
        *buckets, whole, whole, counts.latency_ms / 1000,
    ]  # fmt: skip
