"""A small world for objectives: real samples, real counters, a real store, and time that moves when told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.adapters.telemetry.tallies import Tallies
from andon.api.v1.control import NewObject
from andon.api.v1.definitions import EnvironmentSpec
from andon.api.v1.objectives import ObjectiveSpec, RuleStatus
from andon.api.v1.records import EnvironmentRecordStatus, Object, Version
from andon.app.parts import controllers
from andon.app.telemetry.indicators import asking_values
from andon.app.telemetry.objectives import Objectives, Promise
from andon.domains.reliability.objectives import Standing
from andon.ports.store import Tx
from andon.ports.telemetry import Labels
from andon.runtime.system import SystemRandomness
from andon.runtime.turns import Turns
from andon.store import open_store
from andon.testing.clock import FakeClock

T = TypeVar("T")
SCRAPE_SECONDS = 15
CLASSES = ("2xx", "3xx", "4xx", "5xx", "failed")
BUCKETS = ("0.1", "1", "+Inf")


def requests(service: str, environment: str, status: str, version: str = "v1") -> Labels:
    """Return the series of a gateway's requests."""
    told = {
        "__name__": "andon_gateway_requests_total",
        "class": status,
        "environment": environment,
        "service": service,
        "version": version,
    }
    return tuple(sorted(told.items()))


def durations(service: str, environment: str, bound: str) -> Labels:
    """Return a bucket of a gateway's durations."""
    told = {
        "__name__": "andon_gateway_request_duration_seconds_bucket",
        "environment": environment,
        "le": bound,
        "service": service,
        "version": "v1",
    }
    return tuple(sorted(told.items()))


class Gateway:
    """Counts requests of one service, as the real one does, and forgets them when it restarts."""

    def __init__(self, service: str = "shop", environment: str = "prod") -> None:
        self.service, self.environment = service, environment
        self.restart()

    def serve(self, requests: float, failed: float = 0.0, slow: float = 0.0) -> None:
        """Answer requests, some of them badly, some late."""
        self.counts["2xx"] += requests - failed
        self.counts["5xx"] += failed
        self.slow += slow

    def restart(self) -> None:
        """Begin again with nothing."""
        self.counts = dict.fromkeys(CLASSES, 0.0)
        self.slow = 0.0

    def rows(self) -> list[tuple[Labels, float]]:
        """Tell what was counted."""
        total = sum(self.counts.values())
        fast = {"0.1": total - self.slow, "1": total - self.slow, "+Inf": total}
        place = (self.service, self.environment)
        return [
            *((requests(*place, status), count) for status, count in self.counts.items()),
            *((durations(*place, bound), fast[bound]) for bound in BUCKETS),
        ]


class PromiseWorld:
    """Objectives over real stores.

    Args:
        folder: Where their files lie.
        requires: What the gate of ``prod`` asks for.
        clock_start: When it begins; the first of January 2026 unless told.
    """

    def __init__(
        self,
        folder: Path,
        requires: tuple[str, ...] = (),
        clock_start: float = 1_767_225_600.0007,
    ) -> None:
        self.folder = folder
        self.clock = FakeClock(clock_start)
        self.gateway = Gateway()
        self.metrics = MetricChunks(folder)
        self.store = open_store(f"sqlite:///{folder}/andon.db", source="/andon/test")
        self.turns = Turns(controllers(), SystemRandomness())
        self.restart()
        self.transact(lambda tx: self._deploy(tx, requires))

    def restart(self) -> None:
        """Begin anew with what lies on the disk."""
        self.tallies = Tallies(self.folder / "objectives.db")
        self.objectives = Objectives(
            *(self.store, self.turns, self.metrics, self.tallies, self.clock),
            asking_values(self.metrics),
        )

    def _deploy(self, tx: Tx, requires: tuple[str, ...]) -> None:
        version = Version(digest="sha256:" + "a" * 64, config_hash="c" * 12)
        status = EnvironmentRecordStatus(services={"shop": version})
        spec = EnvironmentSpec(requires=requires)
        new = NewObject(kind="Environment", name="prod", spec=spec, status=status)
        tx.create(new, "environment-prod", self.clock.now())

    def transact(self, fn: Callable[[Tx], T]) -> T:
        """Write to the store."""
        return asyncio.run(self.store.transact(fn))

    def promise(self, name: str, spec: ObjectiveSpec, **known: float) -> None:
        """Put an Objective on the policy branch."""
        status = RuleStatus(repository="r", known=known)
        new = NewObject(kind="Objective", name=name, spec=spec, status=status)
        self.transact(lambda tx: tx.create(new, f"objective-{name}", self.clock.now()))

    def live(
        self,
        seconds: float,
        each: float = 15.0,
        failed: float = 0.0,
        slow: float = 0.0,
        *,
        scraped: bool = True,
    ) -> None:
        """Let time pass with so many requests between two scrapes, and evaluate at its end."""
        for _ in range(round(seconds / SCRAPE_SECONDS)):
            self.clock.advance(SCRAPE_SECONDS)
            self.gateway.serve(each, failed, slow)
            if scraped:
                self.metrics.append(round(self.clock.now() * 1000), self.gateway.rows())
        self.turn()

    def turn(self) -> None:
        """Evaluate once."""
        asyncio.run(self.objectives.turn())

    def standing(self, id: str = "shop-availability/prod/availability") -> Standing:
        """Return how a promise stands."""
        return self.promises[id].standing

    @property
    def promises(self) -> dict[str, Promise]:
        """All promises by id."""
        return self.objectives.view.promises

    def evidence(self) -> Object | None:
        """Return what the gate of ``prod`` is told."""
        return self.transact(lambda tx: tx.get("Evidence", "objective-shop-prod"))

    def forget_running(self) -> None:
        """Let nothing run in ``prod``."""

        def write(tx: Tx) -> None:
            place = tx.require("Environment", "prod")
            tx.put_status(place, replace(place.status, services={}))

        self.transact(write)

    def close(self) -> None:
        """Let go of the files."""
        self.tallies.close()
        self.metrics.close()
        self.store.close()
