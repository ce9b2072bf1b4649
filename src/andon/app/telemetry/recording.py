"""Recording rules: series computed from others, again and again.

Each rule is due at multiples of its interval. What was not evaluated in time, as the control plane was
away or a query took too long, is not made up for later: it is told as missed.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec import Struct

from andon.api.v1.telemetry import RecordingRule
from andon.app.telemetry.prometheus_json import seconds
from andon.app.telemetry.queries import selecting
from andon.calc.staleness import STALE
from andon.kernel.clock import Clock
from andon.kernel.errors import AndonError
from andon.ports.telemetry import Labels, MetricStore

EVALUATIONS = "andon_rule_evaluations_total"
OUTCOMES = ("ok", "failed", "missed")

_log = logging.getLogger("andon.telemetry")


class Progress(Struct, kw_only=True):
    """How a rule does.

    Args:
        rule: The rule.
        due: When it is to be evaluated next, seconds since the epoch; 0: not known yet.
        last: When it was last.
        took_seconds: How long that took.
        error: Why it failed; empty: it did not.
        counts: Evaluations by outcome.
        series: What it told last.
    """

    rule: RecordingRule
    due: float = 0
    last: float = 0
    took_seconds: float = 0
    error: str = ""
    counts: dict[str, int]
    series: frozenset[Labels] = frozenset()


class Recorder:
    """Evaluates rules.

    Args:
        rules: The rules.
        source: Where their queries find samples.
        target: Where what they record is kept.
        clock: The time.
        pause: Waits so many seconds.
    """

    def __init__(
        self,
        rules: Sequence[RecordingRule],
        source: MetricStore,
        target: MetricStore,
        clock: Clock,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.progress = [Progress(rule=rule, counts=dict.fromkeys(OUTCOMES, 0)) for rule in rules]
        self._source = source
        self._target = target
        self._clock = clock
        self._pause = pause

    async def run(self) -> None:
        """Go on until cancelled."""
        while self.progress:
            await self.turn()
            due = min(one.due for one in self.progress)
            await self._pause(max(0.0, due - self._clock.now()))

    async def turn(self) -> None:
        """Evaluate whatever is due."""
        for one in self.progress:
            interval, now = one.rule.interval_seconds, self._clock.now()
            if not one.due:
                one.due = math.ceil(now / interval) * interval
            if now >= one.due:
                self._miss(one, now)
                await self._evaluate(one, one.due)
                one.due += interval

    def _miss(self, one: Progress, now: float) -> None:
        """Leave out evaluations whose time is over."""
        interval = one.rule.interval_seconds
        missed = int((now - one.due) // interval)
        if missed:
            one.counts["missed"] += missed
            _log.warning(
                "the rule %s was not evaluated %d times, until %.0f s ago",
                one.rule.record, missed, now - one.due - (missed - 1) * interval,
            )  # fmt: skip
            one.due += missed * interval

    async def _evaluate(self, one: Progress, at: float) -> None:
        began = self._clock.now()
        try:
            await asyncio.to_thread(self._record, one, round(at * 1000))
            one.error = ""
        except AndonError as error:
            if error.message != one.error:
                _log.warning("the rule %s failed: %s", one.rule.record, error)
            one.error = error.message
            one.counts["failed"] += 1
        one.last, one.took_seconds = at, self._clock.now() - began

    def _record(self, one: Progress, at_ms: int) -> None:
        from andon.domains.observability.promql.engine import instant

        answer = instant(one.rule.expr, selecting(self._source), at_ms)
        rows = {recorded_labels(one.rule, row.labels): float(row.values[-1]) for row in answer.rows}
        if len(rows) < len(answer.rows):
            raise _same_labels(one.rule)
        now = frozenset(rows)
        one.counts["ok"] += 1
        ended = dict.fromkeys(one.series - now, STALE)
        self._target.append(at_ms, [*(rows | ended).items(), *_counted(one)])
        one.series = now

    def told(self) -> list[dict[str, Any]]:
        """Return the rules as Prometheus's API has them, in groups by interval."""
        groups: dict[float, list[Progress]] = {}
        for one in self.progress:
            groups.setdefault(one.rule.interval_seconds, []).append(one)
        return [
            {
                "name": f"every {interval:g}s",
                "file": "andon.yaml",
                "interval": interval,
                "limit": 0,
                "evaluationTime": sum(one.took_seconds for one in members),
                "lastEvaluation": _moment(max(one.last for one in members)),
                "rules": [_rule_json(one) for one in members],
            }
            for interval, members in groups.items()
        ]


def recorded_labels(rule: RecordingRule, labels: Labels) -> Labels:
    """Return the labels of what a rule records.

    >>> recorded_labels(RecordingRule(record="a:b", expr="c", labels={"x": "1"}), (("y", "2"),))
    (('__name__', 'a:b'), ('x', '1'), ('y', '2'))
    """
    known = dict(labels) | rule.labels | {"__name__": rule.record}
    return tuple(sorted((name, value) for name, value in known.items() if value))


def _same_labels(rule: RecordingRule) -> AndonError:
    from andon.domains.observability.promql.nodes import CannotEvaluate

    return CannotEvaluate(f"{rule.record} would record two series with the same labels")


def _counted(one: Progress) -> list[tuple[Labels, float]]:
    return [
        ((("__name__", EVALUATIONS), ("result", outcome), ("rule", one.rule.record)), float(count))
        for outcome, count in one.counts.items()
    ]


def _rule_json(one: Progress) -> dict[str, Any]:
    health = "unknown" if not one.last else "err" if one.error else "ok"
    return {
        "name": one.rule.record,
        "query": one.rule.expr,
        "labels": dict(one.rule.labels),
        "health": health,
        "lastError": one.error,
        "evaluationTime": one.took_seconds,
        "lastEvaluation": _moment(one.last),
        "type": "recording",
        "missed": one.counts["missed"],
    }


def _moment(at: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds(round(at * 1000)), UTC).isoformat().replace("+00:00", "Z")
