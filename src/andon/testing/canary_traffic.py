"""Synthetic traffic for the canary judge: what a gateway would have counted, from a seeded generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from andon.api.v1.latency import BUCKETS, FIRST_SECONDS, GROWTH
from andon.domains.delivery.judge import ArmCounts, Sample

if TYPE_CHECKING:
    import numpy as np

_WINDOW_SECONDS = 10.0


class Version(Struct, frozen=True, kw_only=True):
    """How a version behaves.

    Args:
        errors: Share of requests that fail.
        median_seconds: Median latency; 0 leaves latency uncounted.
        spread: Standard deviation of the log of the latency.
        slow: Share of requests that take ``slow_seconds`` longer.
        slow_seconds: See ``slow``.
        stall: Chance per second that one replica stalls.
        stalled: Share of that second's requests that then take half a second longer.
    """

    errors: float = 0.0
    median_seconds: float = 0.0
    spread: float = 0.6
    slow: float = 0.0
    slow_seconds: float = 1.0
    stall: float = 0.0
    stalled: float = 0.3


class Traffic:
    """An open-loop load shared between two versions.

    Args:
        chance: Seeded generator.
        rps: Requests per second of both versions together.
        clients: Distinct clients, each equally busy.
        storms: Chance per second that one client, bound to one version, retries an error.
        storm_errors: Mean number of errors of a storm.
    """

    def __init__(
        self,
        chance: np.random.Generator,
        rps: float,
        *,
        clients: int = 100_000,
        storms: float = 0.0,
        storm_errors: float = 30.0,
    ) -> None:
        self._chance = chance
        self._rps = rps
        self._clients = clients
        self._storms = storms
        self._storm_errors = storm_errors
        self._window = -1
        self._failed: dict[str, set[int]] = {}

    def interval(
        self, at: float, seconds: float, weight: float, canary: Version, stable: Version | None
    ) -> Sample:
        """Count one interval ending at ``at``."""
        if int(at // _WINDOW_SECONDS) != self._window:
            self._window = int(at // _WINDOW_SECONDS)
            self._failed = {"canary": set(), "stable": set()}
        share = weight / 100 if stable else 1.0
        storm = self._storm(seconds)
        to_canary = self._chance.random() < share
        return Sample(
            at=at,
            seconds=seconds,
            weight=weight,
            canary=self._arm("canary", share, seconds, canary, storm * to_canary),
            stable=self._arm("stable", 1 - share, seconds, stable, storm * (not to_canary))
            if stable
            else None,
        )

    def _storm(self, seconds: float) -> int:
        if not self._storms or self._chance.random() >= self._storms * seconds:
            return 0
        return int(self._chance.geometric(1 / self._storm_errors))

    def _arm(
        self, name: str, share: float, seconds: float, version: Version, storm: int
    ) -> ArmCounts:
        requests = int(self._chance.poisson(self._rps * share * seconds))
        errors = int(self._chance.binomial(requests, version.errors)) if requests else 0
        return ArmCounts(
            requests=requests + storm,
            errors=errors + storm,
            client_errors=self._newly_failed(name, errors) + bool(storm),
            clients=self._seen(share),
            latency=self._latency(requests, seconds, version),
        )

    def _newly_failed(self, name: str, errors: int) -> int:
        failed = self._failed[name]
        before = len(failed)
        failed.update(self._chance.integers(self._clients, size=errors).tolist())
        return len(failed) - before

    def _seen(self, share: float) -> int:
        requests = self._rps * share * _WINDOW_SECONDS
        unseen = float((1 - 1 / self._clients) ** requests)
        return round(self._clients * (1 - unseen))

    def _latency(self, requests: int, seconds: float, version: Version) -> dict[int, int]:
        if not version.median_seconds or not requests:
            return {}
        chance = self._chance
        times = version.median_seconds * chance.lognormal(0.0, version.spread, requests)
        if version.slow:
            times += version.slow_seconds * (chance.random(requests) < version.slow)
        if version.stall and chance.random() < version.stall * seconds:
            times += 0.5 * (chance.random(requests) < version.stalled / seconds)
        return _histogram(times)


def _histogram(times: np.ndarray) -> dict[int, int]:
    import numpy as np

    buckets = np.ceil(np.log(times / FIRST_SECONDS) / np.log(GROWTH) - 1e-9).astype(int)
    counts = np.bincount(np.clip(buckets, 0, BUCKETS - 1))
    return {int(bucket): int(counts[bucket]) for bucket in np.flatnonzero(counts)}
