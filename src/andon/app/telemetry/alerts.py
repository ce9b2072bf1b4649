"""What fires, who is told, what is kept quiet, and what other tools say: the ``AlertService``."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from andon.api.v1 import answers
from andon.api.v1.access import Identity, Verb
from andon.api.v1.alerts import AlertSpec, AlertsSpec, AlertStatus, SilenceSpec
from andon.api.v1.control import Selector
from andon.api.v1.records import Object
from andon.app.acting import act
from andon.app.shapes import event_json
from andon.app.telemetry import alerting
from andon.app.telemetry.watch import Watch, pending, refused
from andon.domains.line.approvals import as_actor
from andon.domains.reliability.incoming import Incoming, read_alertmanager, read_pagerduty
from andon.domains.reliability.quiet import LOUD, Quiet, is_in_force, quiet
from andon.kernel.clock import Clock
from andon.kernel.errors import Denied, NotLoggedIn, UsageError
from andon.ports.access import AccessService
from andon.ports.asking import Asked
from andon.ports.store import Store, Tx
from andon.runtime.turns import Turns

VERB: Verb = "tell"
"""What who tells of alerts must be allowed, everywhere; it may do nothing else."""
STORY = 40

Answer = TypeVar("Answer", bound=Mapping[str, Any])


class Alerts:
    """Answers for alerts.

    Args:
        store: Where they are.
        turns: Creates objects and wakes who waits for them.
        clock: The time.
        watch: What Objectives say just now.
        spec: Who is told, and what holds.
        access: Whom a routing key lets in.
    """

    def __init__(
        self,
        store: Store,
        turns: Turns,
        clock: Clock,
        watch: Watch,
        spec: AlertsSpec,
        access: AccessService,
    ) -> None:
        self._store = store
        self._turns = turns
        self._clock = clock
        self._watch = watch
        self._spec = spec
        self._access = access

    # --- reading ---------------------------------------------------------------------------------

    async def list(self, *, all: bool, limit: int) -> answers.Alerts:
        """List alerts that fire, those that may yet, and what keeps them quiet."""
        now = self._clock.now()

        def look(tx: Tx) -> builtins.list[answers.Alert]:
            firing = alerting.active_alerts(tx)
            hushed = self._quiet(tx, firing, now)
            found = firing[::-1]
            if all:
                found = tx.list(Selector(kind="Alert"), limit=limit, newest_first=True)
            return [alert_json(one, hushed.get(one.name, LOUD)) for one in found[:limit]]

        return {
            "alerts": await self._store.read(look),
            "pending": [
                {
                    "objective": goal.objective,
                    "name": finding.name,
                    "severity": finding.severity,
                    "service": goal.service,
                    "environment": goal.environment,
                    "summary": finding.summary,
                }
                for goal, finding in pending(self._watch.judged)
            ],
            "refused": [
                {"objective": objective, "environment": place, "name": name, "reason": reason}
                for (objective, place, name), reason in refused(self._watch.judged).items()
            ],
            "evaluatedAt": self._watch.at,
        }

    async def show(self, name: str) -> answers.AlertInFull:
        """Return an alert with its story."""
        now = self._clock.now()

        def look(tx: Tx) -> answers.AlertInFull:
            alert = tx.require("Alert", name)
            hushed = self._quiet(tx, alerting.active_alerts(tx), now)
            story = [event_json(row) for row in tx.events(chain=name, limit=STORY)]
            return cast(
                answers.AlertInFull,
                {
                    **alert_json(alert, hushed.get(name, LOUD)),
                    "details": alert.spec.details,
                    "links": [*alert.spec.links],
                    "story": [
                        {"at": one["at"], "text": one["text"], "id": one["id"]} for one in story
                    ],
                },
            )

        return await self._store.read(look)

    async def silences(self, *, all: bool) -> builtins.list[answers.Silence]:
        """List silences, newest first."""
        now = self._clock.now()

        def look(tx: Tx) -> builtins.list[answers.Silence]:
            found = tx.list(Selector(kind="Silence"), newest_first=True)
            return [silence_json(one, now) for one in found if all or is_in_force(one, now)]

        return await self._store.read(look)

    def _quiet(self, tx: Tx, firing: Sequence[Object], now: float) -> dict[str, Quiet]:
        silences = alerting.active_silences(tx, now)
        return quiet(firing, silences, self._spec.inhibitions, now)

    # --- people ----------------------------------------------------------------------------------

    async def acknowledge(self, name: str, *, asked: Asked, reason: str) -> answers.Alert:
        """Take an alert on."""
        now = self._clock.now()

        def take_on(tx: Tx) -> answers.Alert:
            alert = tx.require("Alert", name)
            by = as_actor(asked.by)
            taken = alerting.acknowledge(tx, self._turns, alert, by, reason, now)
            return alert_json(taken, LOUD)

        return await self._act(asked, take_on, ("Alert", name))

    async def silence(
        self, matchers: Sequence[str], *, seconds: float, asked: Asked, reason: str
    ) -> answers.Silence:
        """Have nobody told of alerts that match, for a while."""
        now = self._clock.now()

        def hush(tx: Tx) -> answers.Silence:
            made = alerting.silence(
                tx,
                self._turns,
                matchers,
                seconds=seconds,
                longest_seconds=self._spec.longest_silence_seconds,
                by=as_actor(asked.by),
                reason=reason,
                now=now,
            )
            return silence_json(made, now)

        return await self._act(asked, hush)

    async def unsilence(self, name: str, *, asked: Asked) -> answers.Silence:
        """End a silence before its time."""
        now = self._clock.now()

        def end(tx: Tx) -> answers.Silence:
            by = as_actor(asked.by)
            return silence_json(alerting.end_silence(tx, self._turns, name, by, now), now)

        return await self._act(asked, end, ("Silence", name))

    async def _act(
        self, asked: Asked, fn: Callable[[Tx], Answer], subject: tuple[str, str] | None = None
    ) -> Answer:
        now = self._clock.now()
        return await self._store.transact(lambda tx: act(tx, asked, now, fn, subject=subject))

    # --- other tools -----------------------------------------------------------------------------

    async def take_alertmanager(self, document: Any, *, asked: Asked) -> answers.AlertsTaken:
        """Take a webhook of Alertmanager, all of it or nothing."""
        told = read_alertmanager(document, self._spec.severities)
        taken = await self._take(told, asked)
        return {
            "taken": [one.name for one in taken],
            "alerts": [alert_json(one, LOUD) for one in taken],
        }

    async def take_pagerduty(
        self, document: Any, *, asked: Asked, who: Identity | None
    ) -> answers.PagerDutyTaken:
        """Take an event of PagerDuty's Events API v2."""
        if not isinstance(document, dict):
            raise UsageError("an event of PagerDuty is a JSON object")
        sender = who or self._of_routing_key(document.get("routing_key"))
        if sender is None:
            await self._access.denied("nobody", "alerts_pagerduty", "", via="a routing key")
            raise NotLoggedIn(
                "routing_key is no token of this installation",
                hint="`andon admin token create pager --role reporter` makes one",
            )
        if not sender.may(VERB):
            await self._access.denied(sender.name, "alerts_pagerduty", "", via=sender.via)
            raise Denied(
                f"{sender.name} may not {VERB} everywhere",
                hint="a token of the role reporter may",
            )
        told = read_pagerduty(document, self._spec.severities)
        if not told.identity.get("dedup_key"):
            told = replace(told, identity={"dedup_key": told.fingerprint})
        await self._take((told,), replace(asked, by=sender.name, via=sender.via))
        return {
            "status": "success",
            "message": "Event processed",
            "dedup_key": told.identity["dedup_key"],
        }

    def _of_routing_key(self, key: Any) -> Identity | None:
        return self._access.of_token(key) if isinstance(key, str) and key else None

    async def _take(self, told: Sequence[Incoming], asked: Asked) -> builtins.list[Object]:
        now, by = self._clock.now(), as_actor(asked.by)

        def take(tx: Tx) -> builtins.list[Object]:
            taken = alerting.take_all(tx, self._turns, told, self._spec, now, by)
            alerting.notify(tx, self._turns, self._spec, now)
            return taken

        return await self._store.transact(take)


def alert_json(alert: Object, hushed: Quiet) -> answers.Alert:
    """Show an alert."""
    spec: AlertSpec = alert.spec
    status: AlertStatus = alert.status
    return {
        "name": alert.name,
        "state": status.state,
        "severity": spec.severity,
        "summary": spec.summary,
        "source": spec.source,
        "service": spec.labels.get("service", ""),
        "environment": spec.labels.get("environment", ""),
        "labels": dict(spec.labels),
        "fingerprint": spec.fingerprint,
        "startsAt": spec.starts_at,
        "firedAt": status.fired_at,
        "resolvedAt": status.resolved_at,
        "resolution": status.resolution,
        "told": status.told,
        "unknownSince": status.unknown_since,
        "acknowledgedAt": status.acknowledged_at,
        "acknowledgedBy": status.acknowledged_by,
        "acknowledgedFor": status.acknowledged_for,
        "notified": dict(status.notified),
        "silencedBy": hushed.silence,
        "inhibitedBy": hushed.inhibited,
        "hold": status.hold,
        "revision": str(alert.version),
    }


def silence_json(silence: Object, now: float) -> answers.Silence:
    """Show a silence."""
    spec: SilenceSpec = silence.spec
    return {
        "name": silence.name,
        "matchers": [*spec.matchers],
        "reason": spec.reason,
        "by": spec.by,
        "createdAt": spec.created_at,
        "until": spec.until,
        "endedAt": silence.status.ended_at,
        "endedBy": silence.status.ended_by,
        "inForce": is_in_force(silence, now),
        "revision": str(silence.version),
    }
