"""Looks at all Objectives again and again: which alerts fire, which are over, and what budgets allow.

What is decided follows from stored counts alone, so that a worker that takes over decides the same. Only
what changes is written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Protocol

from msgspec import Struct

from andon.api.v1.alerts import AlertsSpec
from andon.api.v1.records import Object
from andon.app.telemetry import alerting
from andon.app.telemetry.budgets import Budgets
from andon.app.telemetry.objectives import COMPOSITE, STALE_SECONDS, Objectives, Promise, View
from andon.app.telemetry.receivers import OWN, ensure_receivers, wanted
from andon.calc.burn import Counts
from andon.domains.reliability.alerts import (
    AlertPlan,
    Finding,
    Refusal,
    Watched,
    judge_objective,
    plan_alerts,
)
from andon.domains.reliability.budgets import Balance
from andon.domains.reliability.goals import Goal
from andon.domains.reliability.incoming import Incoming
from andon.domains.reliability.routing import RECEIVERS
from andon.kernel.clock import Clock
from andon.kernel.errors import AndonError
from andon.ports.store import Store, Tx
from andon.runtime.turns import Turns

_log = logging.getLogger("andon.telemetry")

SOURCE = "objective:"
BEFORE_SECONDS = 3600.0
_TITLES = {"silence": "IndicatorSilent", "contradiction": "IndicatorContradicts"}


_plan = lru_cache(maxsize=10_000)(plan_alerts)


def plan_of(goal: Goal) -> AlertPlan:
    """Return the alerts of a goal; those of the same target and period are made once."""
    return _plan(goal.target, goal.period_seconds, goal.alerts, pages=goal.pages)


class Judged(Struct, frozen=True):
    """A goal and how its alerts stand."""

    goal: Goal
    findings: tuple[Finding, ...]
    refused: tuple[Refusal, ...]


class Asker(Protocol):
    """Says what is odd."""

    async def look(self, firing: Sequence[Object], now: float) -> list[Incoming]:
        """Return the questions that begin, or are over."""
        ...


class Watch:
    """Watches Objectives.

    Args:
        store: Where alerts are.
        turns: Creates objects and wakes who waits for them.
        clock: The time.
        objectives: What was promised, and what was counted.
        budgets: What services may still do.
        spec: Who is told, and what holds.
        asker: Says what is odd besides; None: nobody.
    """

    def __init__(
        self,
        store: Store,
        turns: Turns,
        clock: Clock,
        objectives: Objectives,
        budgets: Budgets,
        spec: AlertsSpec,
        asker: Asker | None = None,
    ) -> None:
        self._store = store
        self._turns = turns
        self._clock = clock
        self._objectives = objectives
        self._budgets = budgets
        self._spec = spec
        self._asker = asker
        self.judged: tuple[Judged, ...] = ()
        self.at = 0.0
        self._begun_at = clock.now()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        await self._ensure()
        while True:
            await self.turn()
            await asyncio.sleep(self._spec.interval_seconds)

    async def turn(self) -> None:
        """Look once.

        Raises:
            Unavailable: What was counted cannot be read: nothing fires and nothing is over.
        """
        view, now = self._objectives.view, self._clock.now()
        firing = await self._store.read(alerting.active_alerts)
        told: list[Incoming] = []
        unknown: list[Object] = []
        if view.at and now - view.at <= STALE_SECONDS:
            self.judged = await asyncio.to_thread(self._judge, view, firing)
            self.at = view.at
            told, unknown = transitions(self.judged, firing)
            await self._budgets.look(balances(view))
        elif view.at or now - self._begun_at > STALE_SECONDS:
            # Nobody knows any more: what fires goes on, and budgets are unseen.
            unknown = [one for one in firing if one.spec.source.startswith(SOURCE)]
            await self._budgets.look(())
        told += await self._odd(firing, now)
        await self._settle(told, unknown, firing, now)

    async def _odd(self, firing: Sequence[Object], now: float) -> list[Incoming]:
        """Return what is odd besides; who cannot say keeps no alert of an Objective waiting."""
        if self._asker is None:
            return []
        try:
            return await self._asker.look(firing, now)
        except AndonError as error:
            _log.warning("what is odd cannot be said: %s", error.message)
            return []

    async def _ensure(self) -> None:
        names = wanted(self._spec).keys()
        known = await self._store.read(
            lambda tx: {one.spec.name for one in tx.subscribers() if one.spec.name.startswith(OWN)}
        )
        if known != names:
            await self._store.transact(lambda tx: ensure_receivers(tx, self._spec, tx.now()))

    def _judge(self, view: View, firing: Iterable[Object]) -> tuple[Judged, ...]:
        by_goal: dict[str, set[str]] = {}
        for alert in firing:
            labels = alert.spec.labels
            by_goal.setdefault(labels.get("goal", ""), set()).add(labels.get("condition", ""))
        found = []
        with self._objectives.tallies.looking() as lookup:

            def count(goal: Goal, seconds: float, end: float) -> Counts:
                return self._objectives.counts_in(lookup, goal, end - seconds, end)

            for id, promise in view.promises.items():
                goal = promise.goal
                if id != goal.id or goal.name == COMPOSITE or goal.sli.unsupported:
                    continue
                plan = plan_of(goal)
                now, silence = view.at, goal.silence_seconds
                findings = judge_objective(
                    watched(goal),
                    plan,
                    {window: count(goal, window, now) for window in plan.windows},
                    by_goal.get(goal.id, ()),
                    _heard(promise, count(goal, silence, now), silence),
                    count(goal, BEFORE_SECONDS, now - silence),
                    {
                        one.name: [
                            count(goal, one.tier.long_seconds, now - ago) for ago in one.looks_back
                        ]
                        for one in plan.conditions
                        if one.looks_back
                    },
                )
                found.append(Judged(goal, findings, plan.refused))
        return tuple(found)

    async def _settle(
        self,
        told: Sequence[Incoming],
        unknown: Sequence[Object],
        firing: Sequence[Object],
        now: float,
    ) -> None:
        """Write what changed and who is to be told, in one transaction, if anything is to be written."""
        marks = [one.name for one in unknown if not one.status.unknown_since]
        seen_again = {one.name for one in firing if one.status.unknown_since} - {
            one.name for one in unknown
        }
        fingerprints = {one.spec.fingerprint for one in firing}
        news = [one for one in told if one.resolved or one.fingerprint not in fingerprints]
        due = await self._store.read(lambda tx: alerting.is_anybody_due(tx, self._spec, now))
        if not (news or marks or seen_again or due):
            return

        def write(tx: Tx) -> None:
            for one in news:
                alerting.take(tx, self._turns, one, self._spec, now)
            for name in marks:
                alerting.mark_unknown(tx, self._turns, tx.require("Alert", name), now)
            for name in seen_again:
                alert = tx.require("Alert", name)
                if alert.status.state == "firing" and alert.spec.source.startswith(SOURCE):
                    alerting.mark_known(tx, alert)
            alerting.notify(tx, self._turns, self._spec, now)

        await self._store.transact(write)


def watched(goal: Goal) -> Watched:
    """Return what alerts need to know of a goal."""
    return Watched(
        objective=goal.objective,
        environment=goal.environment,
        service=goal.service,
        target=goal.target,
        period_seconds=goal.period_seconds,
        silence_seconds=goal.silence_seconds,
    )


def _heard(promise: Promise, recent: Counts, silence: float) -> Counts | None:
    """Return what was heard lately; of what was never heard there is no silence."""
    if promise.standing.reason == "NoData":
        return None
    return recent


def balances(view: View) -> list[Balance]:
    """Return what Objectives say of their budgets."""
    return [
        Balance(
            objective=one.goal.objective,
            environment=one.goal.environment,
            service=one.goal.service,
            remaining=one.standing.remaining,
            burn=one.standing.burn,
            seen=one.standing.state != "unknown" or one.standing.reason in _SEEN,
        )
        for one in view.promises.values()
        if one.goal.name == COMPOSITE or not one.goal.composite
    ]


_SEEN = frozenset({"NoEvents", "Gaps"})
"""Why a promise may be unknown though its budget is observed just now: what is known counts."""


def transitions(
    judged: Iterable[Judged], firing: Sequence[Object]
) -> tuple[list[Incoming], list[Object]]:
    """Return what begins or is over, and which alerts nobody can speak about just now.

    Args:
        judged: How all alerts stand.
        firing: Alerts that fire.
    """
    mine = {one.spec.fingerprint: one for one in firing if one.spec.source.startswith(SOURCE)}
    told: list[Incoming] = []
    unknown: list[Object] = []
    for one in judged:
        for finding in one.findings:
            said = incoming(one.goal, finding)
            known = mine.pop(said.fingerprint, None)
            if finding.state == "firing" or (finding.state == "ok" and known is not None):
                told.append(said)
            elif finding.state == "unknown" and known is not None:
                unknown.append(known)
    told += [_gone(alert) for alert in mine.values()]
    return told, unknown


def incoming(goal: Goal, finding: Finding) -> Incoming:
    """Say what an alert of an Objective says."""
    labels = {
        "alertname": _TITLES.get(finding.name, "BudgetBurns"),
        "goal": goal.id,
        "objective": goal.objective,
        "target": goal.name,
        "service": goal.service,
        "environment": goal.environment,
        "condition": finding.name,
    }
    if finding.receivers:
        labels[RECEIVERS] = ",".join(finding.receivers)
    return Incoming(
        source=f"{SOURCE}{goal.objective}",
        labels=labels,
        severity=finding.severity,
        summary=f"{goal.service} in {goal.environment}, {goal.name}: {finding.summary}",
        details=f"andon slo show {goal.objective}",
        resolved=finding.state == "ok",
        resolution=finding.summary if finding.state == "ok" else "",
    )


def _gone(alert: Object) -> Incoming:
    spec = alert.spec
    return Incoming(
        source=spec.source,
        labels=spec.labels,
        severity=spec.severity,
        summary=spec.summary,
        resolved=True,
        resolution="nothing of the kind is promised any more",
    )


def pending(judged: Iterable[Judged]) -> list[tuple[Goal, Finding]]:
    """Return what may yet fire."""
    return [
        (one.goal, finding)
        for one in judged
        for finding in one.findings
        if finding.state == "pending"
    ]


def refused(judged: Iterable[Judged]) -> Mapping[tuple[str, str, str], str]:
    """Return alerts that Objectives do not have, and why, by objective, environment and name."""
    return {
        (one.goal.objective, one.goal.environment, refusal.name): refusal.reason
        for one in judged
        for refusal in one.refused
    }
