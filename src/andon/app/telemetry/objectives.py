"""Evaluates all objectives, all at once, again and again; commits only what changed.

Nothing that is told here was computed when asked for: a board is made every few seconds from counts, and
what it says is as old as it says. What a gate waits for is Evidence about a service in an environment,
renewed while it holds, so that Andon's own silence opens nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from andon.adapters.telemetry.tallies import Lookup, Moment, Tallies
from andon.api.v1.control import Selector
from andon.api.v1.objectives import ObjectiveSpec
from andon.app.telemetry.counting import Counting
from andon.app.telemetry.indicators import AskValue
from andon.app.telemetry.line_counts import asked_of_logs
from andon.app.telemetry.promises import commit_claims, wanted_claims
from andon.app.telemetry.rules import rules_of
from andon.calc.burn import Counts
from andon.domains.reliability.goals import Goal, all_goals
from andon.domains.reliability.objectives import (
    Promise as Promise,
)
from andon.domains.reliability.objectives import (
    Reading,
    Standing,
    composite,
    evaluate,
)
from andon.kernel.clock import Clock
from andon.ports.store import Store, Tx
from andon.ports.telemetry import MetricStore
from andon.runtime.turns import Turns

EVERY_SECONDS = 15.0
"""At most, between two evaluations; sooner where samples come sooner."""
RECENT_SECONDS = 3600.0
REMEMBERED_SECONDS = 300.0
"""How goals stood is kept this often, and whenever it changed."""
THINNED_SECONDS = 3600.0
STALE_SECONDS = 120.0
"""A board older than this says nothing any more."""
COMPOSITE = "composite"


Split = Callable[[Mapping[str, Iterable[Mapping[str, str]]]], None]


class Told(Struct, frozen=True, kw_only=True):
    """What the store says of objectives.

    Args:
        documents: Objectives by name.
        known: When their exclusions were first known, by name.
        running: Environments by the service that runs in them.
        required: Services and environments whose gate asks for an objective.
    """

    documents: dict[str, ObjectiveSpec]
    known: dict[str, dict[str, float]]
    running: dict[str, set[str]]
    required: frozenset[tuple[str, str]]


class View(Struct, frozen=True, kw_only=True):
    """How everything stood at a moment.

    Args:
        at: When, seconds since the Unix epoch; 0: nothing was evaluated yet.
        promises: Every goal, and every composite Objective, by id.
        told: What they follow from.
    """

    at: float = 0.0
    promises: dict[str, Promise]
    told: Told


NOTHING = Told(documents={}, known={}, running={}, required=frozenset())


class Objectives:
    """What was promised, what was counted, and how it stands.

    Args:
        store: Where the rules are, and where claims go.
        turns: Creates objects and wakes who waits for them.
        metrics: The samples.
        tallies: Where counters and history are kept.
        clock: The time.
        ask: Asks PromQL; None: only counters are read.
        every_seconds: Between two evaluations.
        split: Told by which labels log lines are to be counted.
    """

    def __init__(
        self,
        store: Store,
        turns: Turns,
        metrics: MetricStore,
        tallies: Tallies,
        clock: Clock,
        ask: AskValue | None = None,
        every_seconds: float = EVERY_SECONDS,
        split: Split = lambda _: None,
    ) -> None:
        self._split = split
        self._every_seconds = min(every_seconds, EVERY_SECONDS)
        self._store = store
        self._turns = turns
        self._clock = clock
        self.tallies = tallies
        self._counting = Counting(metrics, tallies, ask)
        self._states: dict[str, str] = {}
        self._remembered_at = 0.0
        self._thinned_at = 0.0
        self.view = View(promises={}, told=NOTHING)

    async def run(self) -> None:
        """Evaluate again and again, until cancelled."""
        while True:
            await self.turn()
            await asyncio.sleep(self._every_seconds)

    async def turn(self) -> None:
        """Evaluate everything once.

        Raises:
            Unavailable: Samples or counters are out of reach; what was told before grows old.
        """
        told = await self._store.read(read_told)
        self._split(asked_of_logs(_of_logs(told.documents.values())))
        now = self._clock.now()
        self.view = await asyncio.to_thread(self.look, told, now)
        claims = wanted_claims(self.view.promises.values(), told.required, now)
        if claims:
            await self._store.transact(lambda tx: commit_claims(tx, self._turns, claims, now))

    def look(self, told: Told, now: float) -> View:
        """Count, evaluate and remember, without touching what controls."""
        goals = all_goals(told.documents, told.running)
        self._counting.advance(goals, now)
        with self.tallies.looking() as lookup:
            promises = {goal.id: Promise(goal, self._evaluate(lookup, goal, now)) for goal in goals}
        promises |= _composites(promises.values())
        self._remember(promises, now)
        return View(at=now, promises=promises, told=told)

    def counts(self, goal: Goal, start: float, end: float) -> Counts:
        """Return what was counted for a goal from one moment to another, in seconds.

        Raises:
            Unavailable: The counters cannot be read.
        """
        with self.tallies.looking() as lookup:
            return self.counts_in(lookup, goal, start, end)

    def since(self, goal: Goal) -> float:
        """Return when counting began, seconds since the Unix epoch; 0: it did not."""
        counter = self._counting.counter(goal)
        return counter.since_ms / 1000 if counter is not None else 0.0

    def counts_in(self, lookup: Lookup, goal: Goal, start: float, end: float) -> Counts:
        """Return the same, of many windows looked up together."""
        counter = self._counting.counter(goal)
        seconds = max(0.0, end - start)
        if counter is None:
            return Counts(seconds=seconds)
        bad, total, covered = lookup.between(counter, round(start * 1000), round(end * 1000))
        expected = seconds / goal.slice_seconds if goal.slice_seconds else 0.0
        return Counts(bad, total, seconds, min(covered, seconds), expected)

    def _evaluate(self, lookup: Lookup, goal: Goal, now: float) -> Standing:
        counter = self._counting.counter(goal)
        if counter is None:
            return evaluate(goal, Reading(), now)
        begin, end = goal.window_at(now)
        since = counter.since_ms / 1000
        upto = min(now, counter.last_ms / 1000) if goal.slice_seconds else now
        window = self.counts_in(lookup, goal, max(begin, min(since, upto)), upto)
        slices = (end - begin) / goal.slice_seconds if goal.slice_seconds else 0.0
        reading = Reading(
            window=window,
            recent=self.counts_in(lookup, goal, max(upto - RECENT_SECONDS, begin), upto),
            since=since,
            heard_at=counter.heard_ms / 1000,
            expected_slices=slices,
        )
        return evaluate(goal, reading, now)

    def _remember(self, promises: Mapping[str, Promise], now: float) -> None:
        """Keep how goals stand, from time to time and whenever that changed."""
        due = now - self._remembered_at >= REMEMBERED_SECONDS
        states: dict[str, str] = {id: promise.standing.state for id, promise in promises.items()}
        moments = [
            (id, _moment(promise.standing, now))
            for id, promise in promises.items()
            if due or self._states.get(id) != states[id]
        ]
        if moments:
            self.tallies.remember(moments)
        self._states = states
        if due:
            self._remembered_at = now
        if now - self._thinned_at >= THINNED_SECONDS:
            self._thinned_at = now
            self.tallies.thin(round(now * 1000))


def _of_logs(
    specs: Iterable[ObjectiveSpec],
) -> Iterator[tuple[str, Mapping[str, str], Mapping[str, str]]]:
    """Yield whose lines with which labels are bad, and which count at all."""
    for spec in specs:
        for one in (spec.indicator, *(target.indicator for target in spec.targets)):
            if one is not None and one.logs is not None:
                yield spec.service, one.logs.bad, one.logs.total


def _moment(standing: Standing, now: float) -> Moment:
    return Moment(round(now * 1000), standing.state, standing.remaining, standing.burn)


def _composites(promises: Iterable[Promise]) -> dict[str, Promise]:
    """Return how composite Objectives stand as a whole."""
    parts: dict[tuple[str, str], list[Promise]] = {}
    for promise in promises:
        if promise.goal.composite:
            place = (promise.goal.objective, promise.goal.environment)
            parts.setdefault(place, []).append(promise)
    wholes = [
        Promise(
            replace(some[0].goal, name=COMPOSITE),
            composite([(one.goal, one.standing) for one in some]),
        )
        for some in parts.values()
    ]
    return {whole.goal.id: whole for whole in wholes}


def read_told(tx: Tx) -> Told:
    """Read what objectives follow from."""
    rules = rules_of(tx, "Objective")
    places = tx.list(Selector(kind="Environment"), limit=10_000)
    running: dict[str, set[str]] = {}
    for place in places:
        for service in place.status.services:
            running.setdefault(service, set()).add(place.name)
    required = frozenset(
        (service, place.name)
        for place in places
        if "objective" in place.spec.requires
        for service in place.status.services
    )
    return Told(
        documents={name: rule.spec for name, rule in rules.items()},
        known={name: rule.status.known for name, rule in rules.items()},
        running=running,
        required=required,
    )
