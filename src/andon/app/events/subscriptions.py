"""Subscriptions as people manage them."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

from msgspec.structs import replace

from andon.adapters.eventwebhook import new_secret, read_secret
from andon.api.v1 import answers
from andon.app.acting import Answer, act
from andon.app.events.addresses import Addresses, Kept
from andon.app.events.couriers import LEASE, OpenSink, Way, wants
from andon.app.events.sinks import WEBHOOK, masked, scheme
from andon.app.secrets.safe import Vault
from andon.domains.line import events
from andon.kernel.clock import Clock, Randomness
from andon.kernel.errors import Conflict, NotFound, UsageError
from andon.ports.asking import Asked
from andon.ports.sinks import Receiver
from andon.ports.store import DeadLetter, Store, Tx
from andon.ports.store.outbox import Delivering, Mode, Subscriber, Subscription

SECRET_BYTES = 32
SECRETS = 2
"""While a secret is being replaced, so many sign."""
COUNTED = 1000
"""Events looked at to tell how far a subscriber is behind."""
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_STARTS = "--from takes now, start or a sequence of the ledger"


class Subscriptions:
    """Answers for the subscriptions of an installation.

    Args:
        store: The durable store.
        clock: The time.
        randomness: Where secrets come from.
        vault: Keeps them, and addresses.
        open_sink: Makes the way to a subscriber.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        randomness: Randomness,
        vault: Vault,
        open_sink: OpenSink,
    ) -> None:
        self._store = store
        self._clock = clock
        self._randomness = randomness
        self._vault = vault
        self._addresses = Addresses(vault)
        self._open_sink = open_sink

    async def add(
        self,
        name: str,
        *,
        url: str,
        types: Sequence[str] = (),
        stream: str = "",
        start: str = "now",
        mode: Mode = "structured",
        secret: str = "",
        asked: Asked,
    ) -> answers.SubscriptionWithSecret:
        """Tell somebody outside what happens.

        Args:
            name: Unique.
            url: Where.
            types: Beginnings of event types; empty: all.
            stream: Only this chain; empty: all.
            start: ``now``, ``start`` or the sequence of the first event to be told.
            mode: ``structured`` or ``binary``.
            secret: What webhooks are signed with; empty: a new one.
            asked: Who asks.

        Returns:
            The subscription; ``secret`` is in this answer only, if it was made here.

        Raises:
            Conflict: There is one of that name.
            UsageError: Something cannot be put that way.
            Unavailable: Its extra is not installed.
        """
        self._check_name(name)
        secrets, made = self._secret(url, secret)
        spec = Subscription(
            name=name,
            url=masked(url),
            types=tuple(types),
            stream=stream,
            mode=mode,
            created_at=self._clock.now(),
            created_by=asked.by,
        )
        self._open_sink(Receiver(name=name, url=url, mode=mode, secrets=secrets))
        asked = await self._vault.veiled(self._store, asked)

        def write(tx: Tx) -> answers.SubscriptionWithSecret:
            if tx.subscriber(name) is not None:
                raise Conflict(
                    f"there is a subscription {name} already",
                    hint=f"andon subscriptions show {name}",
                )
            cursor = _start(tx, start)
            one = Subscriber(spec=self._addresses.keep(tx, spec, url, secrets), cursor=cursor)
            one = self._put(tx, one, "added", asked.by, to=spec.url)
            answer = cast(answers.SubscriptionWithSecret, subscription_json(tx, one))
            if made:
                answer["secret"] = made
            return answer

        return await self._act(asked, write)

    async def _act(self, asked: Asked, fn: Callable[[Tx], Answer]) -> Answer:
        now = self._clock.now()
        return await self._store.transact(lambda tx: act(tx, asked, now, fn))

    def _check_name(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} cannot be a subscription's name",
                hint="lower-case letters, digits and - between them, at most 63",
            )

    def _secret(self, url: str, given: str) -> tuple[tuple[str, ...], str]:
        """Return the secrets to keep, and the one to tell."""
        if scheme(url) not in WEBHOOK:
            if given:
                raise UsageError(
                    "only webhooks are signed", hint="put user and password into the address"
                )
            return (), ""
        if given:
            read_secret(given)
            return (given.strip(),), ""
        made = new_secret(self._randomness.token(SECRET_BYTES))
        return (made,), made

    async def list(self) -> list[answers.Subscription]:
        """List subscriptions with how it goes."""
        return await self._store.read(
            lambda tx: [subscription_json(tx, one) for one in tx.subscribers()]
        )

    async def show(self, name: str) -> answers.SubscriptionWithLetters:
        """Return one subscription and its dead letters."""

        def answer(tx: Tx) -> answers.SubscriptionWithLetters:
            letters = [_letter_json(one) for one in tx.dead_letters(LEASE + name)]
            return {**subscription_json(tx, _require(tx, name)), "letters": letters}

        return await self._store.read(answer)

    async def pause(self, name: str, *, asked: Asked, reason: str) -> answers.Subscription:
        """Send nothing until ``resume``; what happens meanwhile is sent then."""
        said = reason.strip() or f"paused by {asked.by}"
        return await self._change(
            name,
            lambda _, one: replace(one, status=replace(one.status, paused=said)),
            "paused",
            asked,
            reason=said,
        )

    async def resume(self, name: str, *, asked: Asked) -> answers.Subscription:
        """Go on, at once."""
        return await self._change(name, lambda _, one: _afresh(one), "resumed", asked)

    async def replay(self, name: str, *, start: str, asked: Asked) -> answers.Subscription:
        """Tell everything again from a sequence on; the events keep their ids."""

        def back(tx: Tx, one: Subscriber) -> Subscriber:
            afresh = _afresh(one) if not one.status.paused else one
            return replace(afresh, cursor=_start(tx, start))

        return await self._change(name, back, "replayed", asked, start=start)

    async def rotate(
        self, name: str, *, asked: Asked, secret: str = "", drop_old: bool = False
    ) -> answers.SubscriptionWithSecret:
        """Sign with a new secret and, until ``drop_old``, with the one before as well.

        Returns:
            The subscription; ``secret`` is in this answer only, if it was made here.
        """
        found = await self._store.read(lambda tx: _require(tx, name))
        if not _signed_with(found.spec):
            raise UsageError(f"{name} is not signed", hint="only webhooks are")
        new, made = ((), "") if drop_old else self._secret(found.spec.url, secret)

        asked = await self._vault.veiled(self._store, asked)

        def turn(tx: Tx, one: Subscriber) -> Subscriber:
            to = self._addresses.open(self._addresses.look(tx, one.spec))
            secrets = to.secrets[:1] if drop_old else (*new, *to.secrets)[:SECRETS]
            return replace(one, spec=self._addresses.keep(tx, one.spec, to.url, secrets))

        return await self._change(name, turn, "rotated", asked, made=made)

    async def remove(self, name: str, *, asked: Asked) -> answers.Subscription:
        """Forget a subscription and its dead letters."""

        def write(tx: Tx) -> answers.Subscription:
            found = _require(tx, name)
            answer = subscription_json(tx, found)
            self._put(tx, found, "removed", asked.by)
            tx.remove_subscriber(name)
            self._addresses.forget(tx, name)
            return answer

        return await self._act(asked, write)

    async def retry(self, name: str, *, event: str = "") -> answers.Retried:
        """Try dead letters once more, now; those that are confirmed are dead no longer.

        Args:
            name: Of the subscription.
            event: Id of one event; empty: all of them.

        Returns:
            ``{delivered: [id], failed: [{event, error}]}``.
        """
        queue = LEASE + name
        kept, letters = await self._store.read(
            lambda tx: (
                self._addresses.look(tx, _require(tx, name).spec),
                tx.dead_letters(queue),
            )
        )
        chosen = [one for one in letters if event in ("", one.subject)]
        if event and not chosen:
            raise NotFound(
                f"{name} has no dead letter {event}", hint=f"andon subscriptions show {name}"
            )
        delivered: list[str] = []
        failed: builtins.list[answers.FailedEvent] = []
        way = Way(self._addresses, self._open_sink)
        for letter in chosen:
            error = await self._try(way, kept, letter)
            if error:
                failed.append({"event": letter.subject, "error": error})
            else:
                delivered.append(letter.subject)
        await way.close()
        return {"delivered": delivered, "failed": failed}

    async def _try(self, way: Way, kept: Kept, letter: DeadLetter) -> str:
        row = await self._store.read(lambda tx: tx.event(letter.subject))
        if row is None or not row.body:
            return "its body is no longer there"
        error = await way.hand_over(kept, row)
        if error is not None:
            return error.message
        await self._store.transact(lambda tx: tx.unbury(letter.queue, letter.subject))
        return ""

    async def _change(
        self,
        name: str,
        change: Callable[[Tx, Subscriber], Subscriber],
        verb: str,
        asked: Asked,
        made: str = "",
        **more: Any,
    ) -> answers.SubscriptionWithSecret:
        def write(tx: Tx) -> answers.SubscriptionWithSecret:
            changed = change(tx, _require(tx, name))
            changed = self._put(tx, changed, verb, asked.by, **more)
            answer = cast(answers.SubscriptionWithSecret, subscription_json(tx, changed))
            if made:
                answer["secret"] = made
            return answer

        return await self._act(asked, write)

    def _put(self, tx: Tx, one: Subscriber, verb: str, by: str, **more: Any) -> Subscriber:
        """Write a subscription and say so in the ledger, which wakes the couriers."""
        tx.put_subscriber(one)
        now = tx.now()
        tx.append(
            events.extension(
                "subscription",
                verb,
                id=f"subscription/{one.spec.name}/{verb}/{tx.last_seq() + 1}",
                stream="org",
                about=one.spec.name,
                content={"by": by, **more},
            ),
            now,
        )
        return one


def subscription_json(tx: Tx, one: Subscriber) -> answers.Subscription:
    """Show a subscription, without its secrets."""
    spec, status = one.spec, one.status
    rows = tx.events(after=one.cursor, stream=spec.stream, limit=COUNTED)
    behind = [row for row in rows if wants(spec, row)]
    return {
        "name": spec.name,
        "url": masked(spec.url),
        "types": list(spec.types),
        "stream": spec.stream,
        "mode": spec.mode,
        "signedWith": _signed_with(spec),
        "state": _state(status),
        "paused": status.paused,
        "cursor": one.cursor,
        "lag": len(behind),
        "lagMore": len(rows) == COUNTED,
        "waitingSince": behind[0].time if behind else 0,
        "delivered": status.delivered,
        "deliveredAt": status.delivered_at,
        "attempts": status.attempts,
        "error": status.error,
        "failedAt": status.failed_at,
        "nextAt": status.next_at,
        "dead": len(tx.dead_letters(LEASE + spec.name)),
        "createdAt": spec.created_at,
        "createdBy": spec.created_by,
    }


def _signed_with(spec: Subscription) -> int:
    return spec.signed_with or len(spec.secrets)


def _state(status: Delivering) -> Literal["active", "failing", "paused"]:
    if status.paused:
        return "paused"
    return "failing" if status.attempts else "active"


def _letter_json(letter: DeadLetter) -> answers.UntoldEvent:
    return {
        "event": letter.subject,
        "error": letter.error,
        "attempts": letter.attempts,
        "at": letter.at,
    }


def _require(tx: Tx, name: str) -> Subscriber:
    found = tx.subscriber(name)
    if found is None:
        raise NotFound(
            f"there is no subscription {name}", hint="`andon subscriptions list` shows them"
        )
    return found


def _afresh(one: Subscriber) -> Subscriber:
    status = replace(one.status, paused="", attempts=0, refused=0, error="", next_at=0)
    return replace(one, status=status)


def _start(tx: Tx, text: str) -> int:
    """Return the cursor for ``now``, ``start`` or the sequence of the first event to be told."""
    last = tx.last_seq()
    if text == "now":
        return last
    if text == "start":
        return 0
    if not text.isdigit() or not text.isascii() or len(text) > 18:
        raise UsageError(f"{text!r} is no place in the ledger", hint=_STARTS)
    if int(text) > last + 1:
        raise UsageError(f"the ledger ends at {last}, before {text}", hint=_STARTS)
    return max(0, int(text) - 1)
