"""What becomes of alerts, each in one transaction with its events, its Hold, and who is to be told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from andon.api.v1.alerts import (
    AlertSpec,
    AlertsSpec,
    AlertStatus,
    SilenceSpec,
    SilenceStatus,
)
from andon.api.v1.control import Decision, Link, NewObject, Selector
from andon.api.v1.records import HoldSpec, Object
from andon.app import commands
from andon.app.numbers import next_name
from andon.domains.line import events
from andon.domains.reliability.incoming import Incoming
from andon.domains.reliability.matching import parse_matcher
from andon.domains.reliability.quiet import is_in_force
from andon.domains.reliability.routing import (
    GroupMemory,
    Notification,
    decide_notifications,
    held_by,
)
from andon.kernel.errors import Conflict, TooMany, UsageError
from andon.ports.store import Tx
from andon.runtime.turns import Turns

ACTIVE = {"state": "active"}
AT_ONCE = 500
MOST_ACTIVE = 10_000
"""More alerts than this are not taken in at once: whoever tells of more is itself out of order."""
GROUP = "alertgroup:"
"""Settings that say what groups of alerts were last told."""
LONGEST_REASON = 2000


def active_alerts(tx: Tx) -> list[Object]:
    """Return the alerts that fire, oldest first."""
    return tx.list(Selector(kind="Alert", labels=ACTIVE), limit=MOST_ACTIVE)


def active_silences(tx: Tx, now: float) -> list[Object]:
    """Return the silences in force."""
    found = tx.list(Selector(kind="Silence", labels=ACTIVE), limit=MOST_ACTIVE)
    return [one for one in found if is_in_force(one, now)]


def find_active(tx: Tx, told: Incoming) -> Object | None:
    """Return the alert that is told of, if it fires already."""
    labels = {**ACTIVE, "fingerprint": told.fingerprint}
    return next(iter(tx.list(Selector(kind="Alert", labels=labels), limit=1)), None)


# --- firing and resolving -------------------------------------------------------------------------


def take(
    tx: Tx, turns: Turns, told: Incoming, spec: AlertsSpec, now: float, by: str = ""
) -> Object | None:
    """Take in what is said of an alert: it begins, goes on, or is over.

    Args:
        tx: A transaction.
        turns: Creates objects and wakes who waits for them.
        told: What is said.
        spec: Which alerts pull the cord.
        now: Seconds since the Unix epoch.
        by: Who told, for the ledger.

    Returns:
        The alert; None: it is over, and was never known.
    """
    known = find_active(tx, told)
    if told.resolved:
        why = told.resolution or f"{told.source} says so"
        return resolve(tx, turns, known, why, now) if known else None
    if known is None:
        known = _fire(tx, turns, told, spec, now, by)
    else:
        status = replace(known.status, told=known.status.told + 1, told_at=now, unknown_since=0)
        known = tx.put_status(known, status)
    if told.acknowledged and not known.status.acknowledged_at:
        known = acknowledge(tx, turns, known, by or told.source, "acknowledged there", now)
    return known


def take_all(
    tx: Tx, turns: Turns, told: Sequence[Incoming], spec: AlertsSpec, now: float, by: str
) -> list[Object]:
    """Take in what somebody says of several alerts, all of it or nothing.

    Raises:
        TooMany: So many fire already that nobody can look at more.
    """
    if len(active_alerts(tx)) + sum(not one.resolved for one in told) > MOST_ACTIVE:
        raise TooMany(
            f"more than {MOST_ACTIVE} alerts would fire at once",
            hint="`andon alerts list` shows which tool tells of so many",
            again_seconds=60,
        )
    found = (take(tx, turns, one, spec, now, by) for one in told)
    return [alert for alert in found if alert is not None]


def _fire(tx: Tx, turns: Turns, told: Incoming, spec: AlertsSpec, now: float, by: str) -> Object:
    alert = AlertSpec(
        fingerprint=told.fingerprint,
        labels=told.labels,
        source=told.source,
        severity=told.severity,
        summary=told.summary,
        details=told.details,
        links=told.links,
        starts_at=told.starts_at or now,
    )
    name = next_name(tx, "alert")
    new = NewObject(
        kind="Alert",
        name=name,
        spec=alert,
        status=AlertStatus(fired_at=now, told_at=now),
        labels={**ACTIVE, "fingerprint": alert.fingerprint, **_places(alert)},
    )
    turns.create(tx, Decision(create=(new,)), now)
    fired = tx.require("Alert", name)
    fired = _pull(tx, turns, fired, spec, now)
    _tell(tx, turns, fired, "fired", now, by=by, hold=fired.status.hold)
    return fired


def _places(alert: AlertSpec) -> dict[str, str]:
    found = {"severity": alert.severity, "source": alert.source.partition(":")[0]}
    found |= {key: alert.labels.get(key, "") for key in ("service", "environment")}
    return {key: value for key, value in found.items() if value}


def _pull(tx: Tx, turns: Turns, alert: Object, spec: AlertsSpec, now: float) -> Object:
    scope = held_by(alert, spec.holds)
    if scope is None:
        return alert
    hold = HoldSpec(
        scope=scope,
        reason=f"{alert.name} fires: {alert.spec.summary}",
        source=f"alert:{alert.spec.fingerprint}",
        lift="Automatic",
        created_at=now,
    )
    placed = commands.place_hold(tx, turns, hold, now)
    return tx.put_status(alert, replace(alert.status, hold=placed.name))


def resolve(tx: Tx, turns: Turns, alert: Object, why: str, now: float) -> Object:
    """Call an alert over, and lift what it held; one that is over stays as it is."""
    if alert.status.state == "resolved":
        return alert
    hold = tx.get("Hold", alert.status.hold) if alert.status.hold else None
    if hold is not None:
        commands.open_hold(
            tx, turns, hold, by=hold.spec.source, reason=f"{alert.name} is resolved", now=now
        )
    status = replace(
        alert.status, state="resolved", resolved_at=now, resolution=why, unknown_since=0
    )
    over = tx.put_status(alert, status)
    over = tx.put_spec(over, over.spec, {**over.labels, "state": "resolved"})
    _tell(tx, turns, over, "resolved", now, reason=why)
    return over


def mark_unknown(tx: Tx, turns: Turns, alert: Object, now: float) -> Object:
    """Note that nobody can say any more whether an alert is over."""
    if alert.status.unknown_since:
        return alert
    marked = tx.put_status(alert, replace(alert.status, unknown_since=now))
    _tell(tx, turns, marked, "unseen", now)
    return marked


def mark_known(tx: Tx, alert: Object) -> Object:
    """Note that it can be said again."""
    if not alert.status.unknown_since:
        return alert
    return tx.put_status(alert, replace(alert.status, unknown_since=0))


# --- people ---------------------------------------------------------------------------------------


def acknowledge(tx: Tx, turns: Turns, alert: Object, by: str, reason: str, now: float) -> Object:
    """Note that somebody has taken an alert on: it is not repeated any more.

    Raises:
        Conflict: It is over.
    """
    status: AlertStatus = alert.status
    if status.state == "resolved":
        raise Conflict(f"{alert.name} is over", hint="andon alerts list")
    if status.acknowledged_by == by:
        return alert
    known = replace(
        status, acknowledged_at=now, acknowledged_by=by, acknowledged_for=reason[:LONGEST_REASON]
    )
    taken = tx.put_status(alert, known)
    _tell(tx, turns, taken, "acknowledged", now, by=by, reason=reason)
    return taken


def silence(
    tx: Tx,
    turns: Turns,
    matchers: Sequence[str],
    *,
    seconds: float,
    longest_seconds: float,
    by: str,
    reason: str,
    now: float,
) -> Object:
    """Have nobody told of alerts that match, for a while that ends.

    Raises:
        UsageError: It has no end, no reason or no matcher, or would silence everything.
    """
    _refuse_endless(seconds, longest_seconds)
    if not reason.strip():
        raise UsageError("a silence needs a reason", hint="-m 'why nobody need know'")
    for text in matchers:
        parse_matcher(text)
    if all(parse_matcher(text).matches({}) for text in matchers):
        raise UsageError("this would silence everything", hint="name a label: 'service=\"shop\"'")
    name = next_name(tx, "silence")
    spec = SilenceSpec(
        matchers=tuple(matchers),
        reason=reason[:LONGEST_REASON],
        by=by,
        created_at=now,
        until=now + seconds,
    )
    new = NewObject(
        kind="Silence", name=name, spec=spec, status=SilenceStatus(), labels=dict(ACTIVE)
    )
    content = {"by": by, "reason": spec.reason, "matchers": list(matchers), "until": spec.until}
    event = _event("silence", "begun", f"silence/{name}/begun", name, content)
    turns.create(tx, Decision(create=(new,), events=(event,)), now)
    return tx.require("Silence", name)


def _refuse_endless(seconds: float, longest_seconds: float) -> None:
    if not 0 < seconds <= longest_seconds:
        days = longest_seconds / 86400
        raise UsageError(f"a silence ends, after {days:g} days at the latest", hint="--for 2h")


def end_silence(tx: Tx, turns: Turns, name: str, by: str, now: float) -> Object:
    """End a silence before its time; one that is over stays as it is."""
    found = tx.require("Silence", name)
    if not is_in_force(found, now):
        return found
    ended = tx.put_status(found, SilenceStatus(ended_at=now, ended_by=by))
    ended = tx.put_spec(ended, ended.spec, {**ended.labels, "state": "over"})
    event = _event("silence", "ended", f"silence/{name}/ended", name, {"by": by})
    turns.create(tx, Decision(events=(event,)), now)
    return ended


# --- who is told ----------------------------------------------------------------------------------


def memory_of(tx: Tx) -> dict[str, GroupMemory]:
    """Return what groups were last told, by key."""
    kept = tx.settings(GROUP)
    return {
        key.removeprefix(GROUP): msgspec.json.decode(text, type=GroupMemory)
        for key, text in kept.items()
    }


def is_anybody_due(tx: Tx, spec: AlertsSpec, now: float) -> bool:
    """Say whether anything would come of ``notify``."""
    told, changed = _decide(tx, spec, now)
    return bool(told or changed)


def notify(tx: Tx, turns: Turns, spec: AlertsSpec, now: float) -> tuple[Notification, ...]:
    """Write down who is to be told what, once: the ledger is the outbox, and couriers do the rest."""
    told, changed = _decide(tx, spec, now)
    for key, memory in changed.items():
        if memory is None:
            tx.remove_setting(GROUP + key)
        else:
            tx.put_setting(GROUP + key, json.dumps(msgspec.to_builtins(memory)))
    for one in told:
        _route(tx, turns, one, now)
    return told


def _decide(
    tx: Tx, spec: AlertsSpec, now: float
) -> tuple[tuple[Notification, ...], dict[str, GroupMemory | None]]:
    memory = memory_of(tx)
    if not spec.receivers and not memory:
        return (), {}
    return decide_notifications(active_alerts(tx), active_silences(tx, now), spec, memory, now)


def _route(tx: Tx, turns: Turns, one: Notification, now: float) -> None:
    event = events.extension(
        "alertgroup",
        "routed",
        id=f"alertgroup/{one.group}/{one.occasion}/{now:.6f}",
        stream="org",
        about=one.group,
        content={
            "receiver": one.receiver,
            "occasion": one.occasion,
            "labels": one.labels,
            "firing": list(one.firing),
            "resolved": list(one.resolved),
        },
    )
    turns.create(tx, Decision(events=(event,)), now)
    for name in one.firing:
        alert = tx.get("Alert", name)
        if alert is not None:
            notified = {**alert.status.notified, one.receiver: now}
            tx.put_status(alert, replace(alert.status, notified=notified))


# --- retention ------------------------------------------------------------------------------------


def sweep(tx: Tx, before: float) -> int:
    """Forget some of what was over before a moment; the ledger keeps its story.

    Returns:
        How many objects were forgotten.
    """
    old = [
        *tx.list(Selector(kind="Alert", labels={"state": "resolved"}), limit=AT_ONCE),
        *(one for one in tx.list(Selector(kind="Silence"), limit=AT_ONCE)),
        *(one for one in tx.list(Selector(kind="Override"), limit=AT_ONCE)),
    ]
    gone = [one for one in old if _over_since(one) < before]
    for one in gone:
        tx.forget(one)
    return len(gone)


def _over_since(one: Object) -> float:
    if one.kind == "Alert":
        return float(one.status.resolved_at)
    return float(getattr(one.status, "ended_at", 0.0) or one.spec.until)


# --- the ledger -----------------------------------------------------------------------------------


def stream_of(tx: Tx, environment: str) -> str:
    """Return the chain of an environment that is one; what strangers call so has none."""
    known = environment and tx.get("Environment", environment) is not None
    return events.environment_stream(environment) if known else "org"


def _tell(tx: Tx, turns: Turns, alert: Object, predicate: str, now: float, **more: Any) -> None:
    spec: AlertSpec = alert.spec
    fired = f"alert/{alert.name}/fired"
    content = {
        "severity": spec.severity,
        "source": spec.source,
        "summary": spec.summary,
        "labels": spec.labels,
        **{key: value for key, value in more.items() if value},
    }
    event = events.extension(
        "alert",
        predicate,
        id=fired if predicate == "fired" else f"alert/{alert.name}/{predicate}/{now:.6f}",
        stream=stream_of(tx, spec.labels.get("environment", "")),
        about=alert.name,
        chain=alert.name,
        links=() if predicate == "fired" else (Link(target=fired),),
        content=content,
    )
    turns.create(tx, Decision(events=(event,)), now)


def _event(subject: str, predicate: str, id: str, about: str, content: dict[str, Any]) -> Any:
    return events.extension(subject, predicate, id=id, stream="org", about=about, content=content)
