"""Answers what people and programs ask about objectives, from the newest board and the counters."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Iterable, Sequence

from msgspec.structs import replace

from andon.adapters.telemetry.tallies import Moment, Tallies
from andon.api.openslo.write import Written, write_openslo
from andon.api.v1 import standings
from andon.api.v1.objectives import ObjectiveSpec
from andon.app.telemetry.objectives import COMPOSITE, STALE_SECONDS, Objectives, Promise, View
from andon.app.telemetry.watch import plan_of
from andon.domains.reliability.alerts import Condition
from andon.domains.reliability.goals import DEFAULT_LATENCY, Goal
from andon.domains.reliability.objectives import Standing
from andon.domains.reliability.report import Excused, Line, excuse, report_line
from andon.kernel.clock import Clock
from andon.kernel.errors import NotFound, UsageError
from andon.ports.news import Sees

DAY = 86_400.0
SPARK_POINTS = 24
CHART_POINTS = 120
LONGEST_DAYS = 400.0
_ORDER = {"missed": 0, "unknown": 1, "met": 2}


class ObjectiveDesk:
    """The ``ObjectiveService``.

    Args:
        objectives: Who evaluates.
        tallies: What was counted, and how goals stood.
        clock: The time.
        receivers: Names of those who may be told of alerts.
    """

    def __init__(
        self,
        objectives: Objectives,
        tallies: Tallies,
        clock: Clock,
        receivers: Collection[str] = (),
    ) -> None:
        self._receivers = frozenset(receivers)
        self._objectives = objectives
        self._tallies = tallies
        self._clock = clock

    async def board(self, *, service: str, environment: str, sees: Sees) -> standings.Board:
        """Return how all promises stand."""
        view = self._view()
        now = self._clock.now()
        past = await asyncio.to_thread(self._tallies.histories, round((now - DAY) * 1000))
        rows = [
            standing_json(one, _spark(past.get(one.goal.id, []), now))
            for one in view.promises.values()
            if _asked(one.goal, service, environment) and sees(one.goal.environment)
        ]
        rows.sort(key=_first)
        return {"at": view.at, "objectives": rows}

    async def objective(self, name: str, *, days: float, sees: Sees) -> standings.Objective:
        """Return an Objective with its history."""
        if not 0 < days <= LONGEST_DAYS:
            raise UsageError(
                f"a history of {days:g} days cannot be told",
                hint=f"at most {LONGEST_DAYS:g} days are kept",
            )
        view = self._view()
        some = [
            one
            for one in view.promises.values()
            if one.goal.objective == name and sees(one.goal.environment)
        ]
        if not some:
            raise self._unknown(name)
        now = self._clock.now()
        told = await asyncio.to_thread(lambda: [self._told(one, now, days) for one in some])
        return {"name": name, "promises": told}

    async def report(
        self, *, begin: float, end: float, name: str, service: str, sees: Sees
    ) -> standings.Report:
        """Say how promises were kept in a period."""
        now = self._clock.now()
        if not 0 < begin < end <= now + DAY:
            raise UsageError(
                "a report is about a period that has begun: it ends after its beginning, and not later "
                "than today",
                hint="andon slo report --from 2026-10-01 --to 2026-11-01",
            )
        view = self._view()
        some = [
            one.goal
            for one in view.promises.values()
            if one.goal.name != COMPOSITE
            and (not name or one.goal.objective == name)
            and (not service or one.goal.service == service)
            and sees(one.goal.environment)
        ]
        if name and not some:
            raise self._unknown(name)
        upto = min(end, now)
        lines = await asyncio.to_thread(lambda: [self._line(one, begin, upto) for one in some])
        return {
            "begin": begin,
            "end": upto,
            "madeAt": now,
            "lines": [line_json(line, begin) for line in lines],
        }

    async def openslo(self, name: str) -> standings.Exported:
        """Write Objectives as OpenSLO documents."""
        view = self._view()
        documents = dict(view.told.documents)
        if name and name not in documents:
            documents = self._defaults(name)
        if not documents:
            raise self._unknown(name)
        chosen = {name: documents[name]} if name else documents
        written: Written = write_openslo(chosen)
        return {"text": written.text, "notes": list(written.notes)}

    def _defaults(self, name: str) -> dict[str, ObjectiveSpec]:
        """Return a default as the document that would say the same."""
        some = [one.goal for one in self._view().promises.values() if one.goal.objective == name]
        if not some or not some[0].default:
            return {}
        goal = some[0]
        places = tuple(sorted(one.environment for one in some))
        if goal.name == "availability":
            spec = ObjectiveSpec(
                service=goal.service, availability=goal.target, environments=places
            )
        else:
            spec = ObjectiveSpec(service=goal.service, latency=DEFAULT_LATENCY, environments=places)
        return {name: spec}

    def _view(self) -> View:
        """Return the newest view; one too old says nothing any more."""
        view = self._objectives.view
        if self._clock.now() - view.at <= STALE_SECONDS:
            return view
        aged = {id: Promise(one.goal, _aged(one.standing)) for id, one in view.promises.items()}
        return View(at=view.at, promises=aged, told=view.told)

    def _unknown(self, name: str) -> NotFound:
        known = sorted({one.goal.objective for one in self._objectives.view.promises.values()})
        some = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
        return NotFound(
            f"no Objective is called {name!r}",
            hint=f"known: {some}" if known else "`andon slo list` shows what there is",
        )

    def _told(self, promise: Promise, now: float, days: float) -> standings.Told:
        start = now - days * DAY
        history = self._tallies.history(promise.goal.id, round(start * 1000), round(now * 1000))
        points = _thinned(history, CHART_POINTS)
        counts = [] if promise.goal.name == COMPOSITE else self._counts(promise.goal, start, now)
        plan = None if promise.goal.name == COMPOSITE else plan_of(promise.goal)
        return {
            "standing": standing_json(promise, _spark(history, now)),
            "history": [history_json(one) for one in points],
            "counts": counts,
            "alerts": [self._alert(one, promise.goal) for one in plan.conditions] if plan else [],
            "refused": [{"name": one.name, "reason": one.reason} for one in plan.refused]
            if plan
            else [],
        }

    def _alert(self, one: Condition, goal: Goal) -> standings.AlertOf:
        return {
            "name": one.name,
            "severity": one.severity,
            "burn": one.factor,
            "windowSeconds": one.tier.long_seconds,
            "shortSeconds": one.tier.short_seconds,
            "afterSeconds": one.after_seconds,
            "own": one.name in {alert.name for alert in goal.alerts},
            "receivers": list(one.receivers),
            "unknown": sorted(set(one.receivers) - self._receivers),
        }

    def _counts(self, goal: Goal, start: float, end: float) -> list[standings.CountPoint]:
        step = (end - start) / CHART_POINTS
        edges = [(start + n * step, start + (n + 1) * step) for n in range(CHART_POINTS)]
        found: list[standings.CountPoint] = []
        with self._tallies.looking() as lookup:
            for first, last in edges:
                one = self._objectives.counts_in(lookup, goal, first, last)
                found.append(
                    {
                        "at": last,
                        "bad": max(0.0, one.bad),
                        "total": one.total,
                        "coverage": one.coverage,
                    }
                )
        return found

    def _line(self, goal: Goal, begin: float, end: float) -> Line:
        told = self._objectives.view.told
        spec = told.documents.get(goal.objective)
        known = told.known.get(goal.objective, {})
        begin = min(max(begin, self._objectives.since(goal)), end)
        excused = excuse(spec.exclusions, known, begin, end) if spec is not None else ()
        return report_line(
            goal,
            lambda first, last: self._objectives.counts(goal, first, last),
            excused,
            begin,
            end,
        )


def _aged(standing: Standing) -> Standing:
    message = "it was not evaluated for a while: is telemetry at work? (`andon doctor`)"
    return replace(standing, state="unknown", reason="NoData", message=message, burn=None)


def _asked(goal: Goal, service: str, environment: str) -> bool:
    return (not service or goal.service == service) and (
        not environment or goal.environment == environment
    )


def _first(row: standings.Standing) -> tuple[int, float, bool, str]:
    left = row["remaining"] if row["remaining"] is not None else 1.0
    return _ORDER[row["state"]], left, row["default"], row["id"]


def standing_json(promise: Promise, spark: Sequence[float | None] = ()) -> standings.Standing:
    """Write how a promise stands."""
    goal, one = promise.goal, promise.standing
    return {
        "id": goal.id,
        "objective": goal.objective,
        "name": goal.name,
        "service": goal.service,
        "environment": goal.environment,
        "default": goal.default,
        "target": goal.target,
        "budgeting": goal.budgeting,
        "window": goal.window,
        "timeZone": goal.calendar[1] if goal.calendar else "",
        "begin": one.begin,
        "end": one.end,
        "state": one.state,
        "reason": one.reason,
        "message": one.message,
        "silent": one.silent,
        "bad": one.counts.bad,
        "total": one.counts.denominator,
        "errorRate": one.error_rate,
        "remaining": one.remaining,
        "burn": one.burn,
        "emptySeconds": _finite(one.empty_seconds),
        "coverage": one.coverage,
        "since": one.since,
        "heardAt": one.heard_at,
        "spark": list(spark),
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def history_json(moment: Moment) -> standings.HistoryPoint:
    """Write how a promise stood."""
    state: standings.State = (
        "met" if moment.state == "met" else "missed" if moment.state == "missed" else "unknown"
    )
    return {
        "at": moment.at_ms / 1000,
        "state": state,
        "remaining": moment.remaining,
        "burn": moment.burn,
    }


def line_json(line: Line, begin: float) -> standings.ReportLine:
    """Write a line of a report about a period that begins at a moment."""
    goal = line.goal
    counted = line.counts.seconds + line.excused_seconds
    return {
        "id": goal.id,
        "objective": goal.objective,
        "name": goal.name,
        "service": goal.service,
        "environment": goal.environment,
        "default": goal.default,
        "target": goal.target,
        "state": line.state,
        "achieved": line.achieved,
        "bad": line.counts.bad,
        "total": line.counts.denominator,
        "coverage": line.counts.coverage,
        "since": max(begin, line.end - counted),
        "spent": line.spent,
        "excused": [_excused_json(one) for one in line.excused],
        "excusedSeconds": line.excused_seconds,
    }


def _excused_json(one: Excused) -> standings.Excused:
    return {
        "begin": one.begin,
        "end": one.end,
        "reason": one.reason,
        "counts": one.counts,
        "because": one.because,
    }


def _spark(history: Iterable[Moment], now: float) -> list[float | None]:
    """Return what was left in each of the last hours; None: unknown then."""
    start, step = now - DAY, DAY / SPARK_POINTS
    points: list[float | None] = [None] * SPARK_POINTS
    for moment in history:
        number = int((moment.at_ms / 1000 - start) // step)
        if 0 <= number < SPARK_POINTS:
            points[number] = moment.remaining if moment.state != "unknown" else None
    return points


def _thinned(history: Sequence[Moment], most: int) -> list[Moment]:
    """Leave out points that nobody sees, but none at which the state changed."""
    step = max(1, len(history) // most)
    return [
        one
        for n, one in enumerate(history)
        if n % step == 0 or n == len(history) - 1 or one.state != history[n - 1].state
    ]
