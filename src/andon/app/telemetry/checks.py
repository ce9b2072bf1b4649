"""Asks what Checks say, in time, and counts what came of it; what was not asked is told as missed."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from andon.adapters.agentclient import AgentClient
from andon.adapters.checks import Place, ask
from andon.adapters.checks.results import ResultFile
from andon.adapters.outbound import Guard
from andon.api.v1 import answers
from andon.api.v1.access import Identity
from andon.api.v1.checks import CheckResult, CheckSpec
from andon.api.v1.control import Selector
from andon.domains.observability.checking import missed_slots, slot_at, stand, worst
from andon.kernel.clock import Clock
from andon.kernel.errors import AndonError, Denied, NotFound
from andon.ports.store import Store, Tx
from andon.ports.telemetry import Labels, Metadata, MetricStore

HERE = "here"
LOOK_SECONDS = 0.5
AT_ONCE = 16
KEEP_SECONDS = 30 * 86_400.0
FORGET_EVERY_SECONDS = 3600.0
LATE_SECONDS = 15.0
"""A worker elsewhere has the interval, and so long, to tell what came of it."""
MOST_MISSED = 10_000
RESULTS = ("passed", "failed", "missed")
RESULTS_TOTAL = "andon_check_results_total"
DURATION = "andon_check_duration_seconds"

_log = logging.getLogger("andon.telemetry")
_Who = tuple[str, str]


class Checks:
    """The ``CheckService``, and what goes on round the clock.

    Args:
        store: Where the rules are.
        file: Keeps results.
        metrics: Counts them.
        place: From where this installation asks.
        learn: Has the place know where services are reached just now.
    """

    def __init__(
        self,
        store: Store,
        file: ResultFile,
        metrics: MetricStore,
        place: Place,
        learn: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._file = file
        self._metrics = metrics
        self._place = place
        self._learn = learn
        self._specs: dict[str, CheckSpec] = {}
        self._accounted: dict[_Who, float] = {}
        self._counts: dict[_Who, Counter[str]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)

    # --- round the clock -------------------------------------------------------------------------

    async def run(self) -> None:
        """Ask what is due, until cancelled."""
        forgotten_at = 0.0
        describe = {
            RESULTS_TOTAL: Metadata("counter", "What came of asking, by result."),
            DURATION: Metadata("gauge", "How long the last answer took.", "seconds"),
        }
        await asyncio.to_thread(self._metrics.describe, describe)
        try:
            while True:
                now = self._place.now()
                await self.turn(now)
                if now - forgotten_at > FORGET_EVERY_SECONDS:
                    await asyncio.to_thread(self._file.forget, now - KEEP_SECONDS)
                    forgotten_at = now
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for task in self._tasks.values():
                task.cancel()

    async def turn(self, now: float) -> None:
        """Begin what is due, and count what was missed."""
        self._specs = await self._store.read(_specs)
        for name, spec in self._specs.items():
            slot = slot_at(name, spec.every_seconds, now)
            for worker in spec.workers:
                await self._account(name, spec, worker, now)
            if HERE in spec.workers and name not in self._tasks:
                last = await asyncio.to_thread(self._file.last_slot, name, HERE)
                if last < slot:
                    self._begin(name, spec, slot)

    def _begin(self, name: str, spec: CheckSpec, slot: float) -> None:
        async def go() -> None:
            async with self._room:
                await self._learn()
                result = await asyncio.to_thread(ask, name, spec, self._place, slot=slot)
            await self._count(result)

        task = asyncio.create_task(go(), name=f"check {name}")
        self._tasks[name] = task
        task.add_done_callback(lambda done: self._ended(name, done))

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(name, None)
        if not task.cancelled() and (error := task.exception()):
            _log.error("check %s: %s", name, error)

    async def _account(self, name: str, spec: CheckSpec, worker: str, now: float) -> None:
        """Count as missed what ought to have been told by now."""
        who = (name, worker)
        before = now - spec.every_seconds - spec.timeout_seconds * (1 + spec.retries)
        due = slot_at(name, spec.every_seconds, before - (LATE_SECONDS if worker != HERE else 0))
        if who not in self._accounted:
            last = await asyncio.to_thread(self._file.last_slot, name, worker)
            slot = slot_at(name, spec.every_seconds, now)
            self._accounted[who] = last or (slot - spec.every_seconds if worker == HERE else slot)
            await self._append(name, spec, worker, now)
        accounted = self._accounted[who]
        missed = missed_slots(accounted, due + spec.every_seconds, spec.every_seconds)
        if missed:
            self._accounted[who] = due
            self._counts[who]["missed"] += min(missed, MOST_MISSED)
            _log.warning("check %s was not asked %d times from %s", name, missed, worker)
            await self._append(name, spec, worker, now)

    async def _count(self, result: CheckResult) -> bool:
        """Keep a result and count it, once; False: it comes too late."""
        spec, who = self._specs.get(result.check), (result.check, result.worker)
        if spec is None or result.slot <= self._accounted.get(who, 0.0):
            return False
        if not await asyncio.to_thread(self._file.put, result):
            return False
        now = self._place.now()
        if who not in self._counts:
            await self._append(result.check, spec, result.worker, now)
        before = self._accounted.get(who, 0.0)
        missed = missed_slots(before, result.slot, spec.every_seconds)
        self._accounted[who] = result.slot
        self._counts[who]["missed"] += min(missed, MOST_MISSED)
        self._counts[who]["passed" if result.passed else "failed"] += 1
        await self._append(result.check, spec, result.worker, now, result)
        return True

    async def _append(
        self, name: str, spec: CheckSpec, worker: str, now: float, result: CheckResult | None = None
    ) -> None:
        """Tell the counters as they are; before anything is counted they begin at zero."""
        counts = self._counts.setdefault((name, worker), Counter())
        own = {
            "check": name,
            "worker": worker,
            "service": spec.service or "",
            "environment": spec.environment or "",
        }
        rows = [
            (_labels(RESULTS_TOTAL, {**own, "result": word}), float(counts[word]))
            for word in RESULTS
        ]
        if result is not None:
            rows.append((_labels(DURATION, own), result.seconds))
            if result.days_left is not None:
                days = _labels("andon_check_certificate_days", own)
                rows.append((days, result.days_left))
        await asyncio.to_thread(self._metrics.append, round(now * 1000), rows)

    # --- as people meet them ---------------------------------------------------------------------

    async def list(self) -> builtins.list[answers.Check]:
        """List Checks and how they stand."""
        specs = await self._store.read(_specs)
        return [
            await asyncio.to_thread(self._shown, name, spec) for name, spec in sorted(specs.items())
        ]

    def _shown(self, name: str, spec: CheckSpec) -> answers.Check:
        now = self._place.now()
        views: list[answers.CheckView] = []
        stands = []
        for worker in spec.workers:
            results = self._file.newest(name, worker, spec.failing_after + 20)
            seen = stand(spec, results, now)
            stands.append(seen)
            views.append(
                answers.CheckView(
                    worker=worker,
                    standing=seen.standing,
                    since=seen.since,
                    message=seen.message,
                    lastAt=results[0].at if results else 0,
                    seconds=results[0].seconds if results else 0,
                )
            )
        return answers.Check(
            name=name,
            kind=spec.questions[0],
            service=spec.service or "",
            environment=spec.environment or "",
            everySeconds=spec.every_seconds,
            standing=worst(stands),
            views=views,
        )

    async def show(self, name: str, *, most: int = 100) -> answers.CheckHistory:
        """Return a Check with its results, newest first."""
        spec = await self._require(name)

        def look() -> answers.CheckHistory:
            results = [
                one for worker in spec.workers for one in self._file.newest(name, worker, most)
            ]
            newest = sorted(results, key=lambda one: -one.slot)[:most]
            return answers.CheckHistory(
                check=self._shown(name, spec), results=[_row(one) for one in newest]
            )

        return await asyncio.to_thread(look)

    async def ask(self, name: str) -> answers.CheckResultRow:
        """Ask a Check from here and now; counts nowhere."""
        spec = await self._require(name)
        await self._learn()
        return _row(await asyncio.to_thread(ask, name, spec, self._place))

    async def _require(self, name: str) -> CheckSpec:
        specs = await self._store.read(_specs)
        if name not in specs:
            known = ", ".join(sorted(specs)) or "none; they are documents of kind Check"
            raise NotFound(f"there is no check {name}", hint=f"known checks: {known}")
        return specs[name]

    # --- as workers elsewhere meet them ----------------------------------------------------------

    async def of_worker(self, worker: str, *, who: Identity) -> builtins.list[answers.CheckOrder]:
        """Return what a worker on another machine is to ask."""

        def look(tx: Tx) -> Mapping[str, CheckSpec]:
            _expect_own(tx, worker, who)
            return _specs(tx)

        specs = await self._store.read(look)
        return [
            answers.CheckOrder(name=name, spec=msgspec.json.encode(spec).decode())
            for name, spec in sorted(specs.items())
            if worker in spec.workers
        ]

    async def take(
        self, worker: str, results: Sequence[CheckResult], *, who: Identity
    ) -> answers.CheckTaken:
        """Take what came of a worker's asking."""
        await self._store.read(lambda tx: _expect_own(tx, worker, who))
        counted = 0
        newest = self._place.now() + LATE_SECONDS
        for result in sorted(results, key=lambda one: one.slot):
            spec = self._specs.get(result.check)
            theirs = spec is not None and worker in spec.workers
            if theirs and result.worker == worker and result.slot <= newest:
                counted += await self._count(result)
        return answers.CheckTaken(counted=counted, late=len(results) - counted)


def _specs(tx: Tx) -> dict[str, CheckSpec]:
    return {one.name: one.spec for one in tx.list(Selector(kind="Check"))}


def _expect_own(tx: Tx, worker: str, who: Identity) -> None:
    known = tx.get("Worker", worker)
    if known is None or known.spec.by != who.name:
        raise Denied(f"{who.name} has no worker {worker}", hint="it takes jobs first: andon worker")


def _labels(name: str, labels: Mapping[str, str]) -> Labels:
    told = {key: value for key, value in labels.items() if value}
    return tuple(sorted({**told, "__name__": name}.items()))


def _row(result: CheckResult) -> answers.CheckResultRow:
    return answers.CheckResultRow(
        worker=result.worker,
        at=result.at,
        passed=result.passed,
        seconds=result.seconds,
        tries=result.tries,
        message=result.message,
        phases=result.phases,
        daysLeft=result.days_left,
    )


class Addresses:
    """Where services are reached through the gateway, as of a moment ago.

    Args:
        agent: Knows the gateway.
    """

    def __init__(self, agent: AgentClient) -> None:
        self._agent = agent
        self._known: dict[tuple[str, str], str] = {}

    async def learn(self) -> None:
        """Know them as they are now; while the agent is away, as they were."""
        with contextlib.suppress(AndonError):
            told = (await self._agent.status()).gateway.get("services", ())
            self._known = {(one["environment"], one["service"]): one["address"] for one in told}

    def __call__(self, environment: str, service: str) -> str:
        """Return the address of a service.

        Raises:
            NotFound: The gateway has none.
        """
        if (environment, service) not in self._known:
            raise NotFound(
                f"{service} has no address in {environment}: it was never deployed there"
            )
        return self._known[environment, service]


def open_checks(
    folder: Path, store: Store, metrics: MetricStore, agent: AgentClient, guard: Guard, clock: Clock
) -> tuple[Checks, ResultFile]:
    """Open what asks, and the file that has to be closed."""
    file = ResultFile(folder / "checks.db")
    known = Addresses(agent)
    place = Place(guard=guard, address_of=known, now=clock.now)
    return Checks(store, file, metrics, place, known.learn), file
