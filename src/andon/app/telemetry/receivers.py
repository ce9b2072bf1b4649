"""Tells receivers what their groups of alerts do: subscribers of the ledger, one for each way to tell.

So each is told at least once, by one worker at a time, goes on after a crash, delays no other, and what
cannot be told is a dead letter. A message sent twice has the same id both times.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from msgspec import Struct

from andon.adapters.eventwebhook.signing import read_secret, signature
from andon.adapters.notices import Chat, Mail
from andon.adapters.notices.apprising import Apprising
from andon.adapters.outbound import Guard, post, web_address
from andon.api.v1.alerts import AlertsSpec, AlertStatus, ReceiverSpec, WebhookReceiver
from andon.api.v1.installation import MailSpec
from andon.api.v1.records import Object
from andon.domains.reliability.quiet import labels_of
from andon.kernel.clock import Clock, rfc3339
from andon.kernel.digest import canonical_json
from andon.kernel.errors import Denied, Unavailable
from andon.ports.notices import Notice
from andon.ports.sinks import NotTaken, Outgoing, Receiver, Sink
from andon.ports.store import Store, Tx
from andon.ports.store.outbox import Subscriber, Subscription

SCHEME = "alert"
OWN = "andon.alerts."
"""Beginning of the names of their subscribers; receiver and way follow."""
ROUTED = "dev.cdeventsx.andon-alertgroup.routed."
TIMEOUT_SECONDS = 10.0
MOST_LINES = 20
_LATER = (408, 425, 429, 502, 503, 504)
_NEVER = "0001-01-01T00:00:00Z"


def ways(spec: ReceiverSpec) -> Iterator[str]:
    """Yield the ways in which a receiver is told.

    >>> list(ways(ReceiverSpec(name="sre", mail=("a@b.example", "c@d.example"), chat_file="/f")))
    ['mail0', 'mail1', 'chat']
    """
    if spec.webhook is not None:
        yield "webhook"
    for number, _ in enumerate(spec.mail):
        yield f"mail{number}"
    if spec.chat_file:
        yield "chat"
    if spec.apprise_file:
        yield "apprise"


def wanted(spec: AlertsSpec) -> dict[str, str]:
    """Return the subscribers there should be, by name: the address of each."""
    return {
        f"{OWN}{one.name}.{way}": f"{SCHEME}://{one.name}/{way}"
        for one in spec.receivers
        for way in ways(one)
    }


def ensure_receivers(tx: Tx, spec: AlertsSpec, now: float) -> None:
    """Have each receiver told from now on, and nobody who is no longer configured."""
    names = wanted(spec)
    known = {one.spec.name for one in tx.subscribers() if one.spec.name.startswith(OWN)}
    for name in known - names.keys():
        tx.remove_subscriber(name)
    for name in names.keys() - known:
        told = Subscription(
            name=name, url=names[name], types=(ROUTED,), created_at=now, created_by="andon"
        )
        tx.put_subscriber(Subscriber(spec=told, cursor=tx.last_seq()))


class Message(Struct, frozen=True, kw_only=True):
    """What a receiver is told.

    Args:
        id: The same however often it is sent.
        receiver: Whom.
        occasion: Why now.
        group: Key of the group.
        labels: What its alerts have in common.
        alerts: Those that fire, and those that are over.
    """

    id: str
    receiver: str
    occasion: str
    group: str
    labels: dict[str, str]
    alerts: tuple[Object, ...]

    @property
    def firing(self) -> list[Object]:
        """Alerts that fired when this was written down."""
        return [one for one in self.alerts if one.status.state == "firing"]


class AlertSink:
    """The way to one receiver.

    Args:
        receiver: Who it is.
        way: How.
        store: Where alerts are looked up.
        clock: The time that is signed.
        guard: Where calls may lead.
        mail: The installation's mail server.
        url: Of the installation, for links.
    """

    def __init__(
        self,
        receiver: ReceiverSpec,
        way: str,
        *,
        store: Store,
        clock: Clock,
        guard: Guard,
        mail: MailSpec | None,
        url: str,
    ) -> None:
        self._receiver = receiver
        self._way = way
        self._store = store
        self._clock = clock
        self._guard = guard
        self._mail = mail
        self._url = url

    async def deliver(self, event: Outgoing) -> None:
        """Tell the receiver, if the event is about one of its groups."""
        content = _content(event)
        if content.get("receiver") != self._receiver.name:
            return
        message = await self._store.read(lambda tx: _message(tx, event.id, content))
        if message.alerts:
            await self._send(message)

    async def close(self) -> None:
        """Nothing stays open."""

    async def _send(self, message: Message) -> None:
        way = self._way
        if way == "webhook" and self._receiver.webhook is not None:
            await asyncio.to_thread(self._post, self._receiver.webhook, message)
        elif way.startswith("mail") and self._mail is not None:
            address = self._receiver.mail[int(way.removeprefix("mail"))]
            await Mail(self._mail).send(address, self._notice(message))
        elif way.startswith("mail"):
            raise Denied(
                "this installation has no mail server",
                hint="`mail` in the file of `andon up --config`",
            )
        elif way == "chat" and self._receiver.chat_file:
            address = await asyncio.to_thread(read_line, self._receiver.chat_file)
            await Chat(self._guard).send(address, self._notice(message))
        elif self._receiver.apprise_file:
            file = self._receiver.apprise_file
            urls = await asyncio.to_thread(read_lines, file)
            await Apprising(self._guard).send(urls, self._notice(message), file)

    def _notice(self, message: Message) -> Notice:
        return notice(message, f"{self._url.rstrip('/')}/#/alerts")

    def _post(self, told: WebhookReceiver, message: Message) -> None:
        url = web_address(told.url or read_line(told.url_file or ""))
        body = canonical_json(payload(message, f"{self._url.rstrip('/')}/#/alerts"))
        timestamp = str(int(self._clock.now()))
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": message.id,
            "User-Agent": f"andon/{version('andon')}",
        }
        if told.secret_file:
            secret = read_line(told.secret_file)
            read_secret(secret)
            headers |= {
                "webhook-id": message.id,
                "webhook-timestamp": timestamp,
                "webhook-signature": signature((secret,), message.id, timestamp, body),
            }
        status = post(url, body, headers, guard=self._guard, timeout_seconds=TIMEOUT_SECONDS)
        _judge(status, url.hostname or "")


def _judge(status: int, host: str) -> None:
    said = f"{host} answered {status}"
    if status in _LATER:
        raise Unavailable(said)
    if status >= 500:
        raise NotTaken(said)
    if status >= 300:
        raise Denied(f"{said}{'; redirects are not followed' if status < 400 else ''}")


def open_alert_sink(
    spec: Receiver,
    alerts: AlertsSpec,
    *,
    store: Store,
    clock: Clock,
    guard: Guard,
    mail: MailSpec | None,
    url: str,
) -> Sink:
    """Open the way that a subscriber's address names.

    Raises:
        Unavailable: This worker's settings know no such receiver: another's may.
    """
    name, _, way = spec.url.removeprefix(f"{SCHEME}://").partition("/")
    receiver = next((one for one in alerts.receivers if one.name == name), None)
    if receiver is None or way not in ways(receiver):
        raise Unavailable(f"there is no receiver {name} here that is told by {way}")
    return AlertSink(receiver, way, store=store, clock=clock, guard=guard, mail=mail, url=url)


# --- messages -------------------------------------------------------------------------------------


def _content(event: Outgoing) -> dict[str, Any]:
    body = json.loads(event.body)
    found: dict[str, Any] = body.get("data", {}).get("subject", {}).get("content", {})
    return found


def _message(tx: Tx, id: str, content: dict[str, Any]) -> Message:
    names = [*content["firing"], *content["resolved"]]
    found = (tx.get("Alert", name) for name in names)
    return Message(
        id=id,
        receiver=content["receiver"],
        occasion=content["occasion"],
        group=id.split("/")[1],
        labels=content["labels"],
        alerts=tuple(one for one in found if one is not None),
    )


def notice(message: Message, url: str) -> Notice:
    """Write a message for people."""
    firing = message.firing
    where = " ".join(value for value in message.labels.values() if value)
    first = (firing or list(message.alerts))[0].spec
    again = "still " if message.occasion == "repeated" else ""
    subject = (
        f"{again}{first.severity}: {first.summary}" if firing else f"resolved: {first.summary}"
    )
    told = [f"{one.status.state}: {one.spec.summary} ({one.name})" for one in message.alerts]
    more = [f"and {len(told) - MOST_LINES} more"] if len(told) > MOST_LINES else []
    take_on = [f"andon alerts ack {firing[0].name} -m REASON"] if firing else []
    return Notice(
        id=message.id,
        subject=f"{subject} [{where}]" if where else subject,
        lines=(*told[:MOST_LINES], *more, *take_on),
        url=url,
    )


def payload(message: Message, url: str) -> dict[str, Any]:
    """Write a message as Alertmanager's webhooks have it, version 4.

    Source: Prometheus Alertmanager documentation, "webhook_config".
    """
    labels = [labels_of(one) | {"alertname": _title(one)} for one in message.alerts]
    shared = set(labels[0].items()).intersection(*(one.items() for one in labels[1:]))
    return {
        "version": "4",
        "groupKey": message.group,
        "truncatedAlerts": 0,
        "status": "firing" if message.firing else "resolved",
        "receiver": message.receiver,
        "groupLabels": message.labels,
        "commonLabels": dict(sorted(shared)),
        "commonAnnotations": {},
        "externalURL": url,
        "alerts": [
            _alert(one, mine, url) for one, mine in zip(message.alerts, labels, strict=True)
        ],
    }


def _title(alert: Object) -> str:
    return str(alert.spec.labels.get("alertname", alert.name))


def _alert(alert: Object, labels: dict[str, str], url: str) -> dict[str, Any]:
    status: AlertStatus = alert.status
    return {
        "status": status.state,
        "labels": labels,
        "annotations": {"summary": alert.spec.summary, "description": alert.spec.details},
        "startsAt": rfc3339(alert.spec.starts_at),
        "endsAt": rfc3339(status.resolved_at) if status.resolved_at else _NEVER,
        "generatorURL": next(iter(alert.spec.links), url),
        "fingerprint": alert.spec.fingerprint,
    }


# --- secrets --------------------------------------------------------------------------------------


def read_line(path: str) -> str:
    """Return the first line of a file that holds a secret.

    Raises:
        Unavailable: It cannot be read, or is empty.
    """
    return read_lines(path)[0]


def read_lines(path: str) -> list[str]:
    """Return the lines of a file that holds secrets, without comments."""
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise Unavailable(f"{path} cannot be read: {reason}") from None
    found = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not found:
        raise Unavailable(f"{path} is empty")
    return found
