"""Tells people what concerns them: a subscriber of the ledger that sends to many addresses.

Whoever was told of an event is not told again when somebody else could not be. An address that fails
again and again delays nobody: its notices become dead letters, which a person may have tried again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json

from andon.app.hooks.concerns import FINISHED, PULLED, REQUESTED, addresses, anybody, concerned
from andon.app.hooks.places import MAILTO, KeptPlaces, Places
from andon.kernel.clock import Clock
from andon.kernel.errors import AndonError, Denied
from andon.ports.notices import Courier, Notice
from andon.ports.sinks import NotTaken, Outgoing
from andon.ports.store import Store, Tx
from andon.ports.store.outbox import Subscriber, Subscription

SCHEME = "notice"
NAME = "andon.notices"
TOLD = "notices:"
"""Settings that say who was told of an event that others are still to be told of."""
MOST_FAILURES = 4


def ensure_notices(tx: Tx, mail: bool, now: float) -> None:
    """Have people told from now on, if there is anybody to tell.

    Args:
        tx: A writing transaction.
        mail: Whether the installation can send mail: then people are told without asking for it.
        now: Seconds since the Unix epoch.
    """
    if tx.subscriber(NAME) is None and (mail or anybody(tx)):
        spec = Subscription(
            name=NAME,
            url=f"{SCHEME}://people",
            types=(FINISHED, PULLED, REQUESTED),
            created_at=now,
            created_by="andon",
        )
        tx.put_subscriber(Subscriber(spec=spec, cursor=tx.last_seq()))


class Notices:
    """Sends notices; a Sink that stays, so that it knows which addresses fail.

    Args:
        store: Where people and Changes are looked up.
        clock: The time.
        places: Opens where people are told.
        chat: The way to ``https://`` addresses.
        mail: The way to ``mailto:`` addresses; None: the installation has no mail server.
        url: Of the installation, for links.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        places: Places,
        chat: Courier,
        mail: Courier | None,
        url: str,
    ) -> None:
        self._store = store
        self._clock = clock
        self._places = places
        self._chat = chat
        self._mail = mail
        self._url = url
        self._failures: dict[str, int] = {}

    async def deliver(self, event: Outgoing) -> None:
        """Tell everybody whom an event concerns."""
        wanted, failed = await self._wanted(event.id)
        if not wanted and not failed:
            return
        key = TOLD + event.id
        known = await self._store.read(lambda tx: tx.get_setting(key))
        told = set(json.loads(known or "[]"))
        for mark, (address, notice) in wanted.items():
            if mark in told:
                continue
            error = await self._send(address, notice)
            if error is not None:
                failed.append(error)
            elif len(wanted) > 1 or failed:
                told.add(mark)
                await self._note(key, told)
        if failed:
            raise _worst(failed)
        await self._store.transact(lambda tx: tx.remove_setting(key))

    async def close(self) -> None:
        """Nothing stays open."""

    async def _wanted(self, event: str) -> tuple[dict[str, tuple[str, Notice]], list[AndonError]]:
        """Return addresses and what they are told, by a mark that does not tell the address.

        Returns:
            That, and why some people's addresses cannot be opened.
        """
        now = self._clock.now()

        def look(tx: Tx) -> list[tuple[KeptPlaces, Notice]]:
            found = concerned(tx, event, url=self._url, now=now)
            return [(self._places.look(tx, user), notice) for user, notice in found]

        wanted: dict[str, tuple[str, Notice]] = {}
        failed: list[AndonError] = []
        for kept, notice in await self._store.read(look):
            try:
                notify = await asyncio.to_thread(self._places.open, kept)
            except AndonError as error:
                failed.append(self._failed(kept.user, error))
                continue
            self._failures.pop(kept.user, None)
            for address in addresses(kept.spec, notify, self._mail is not None):
                wanted[_mark(notice, address)] = address, notice
        return wanted, failed

    async def _note(self, key: str, told: set[str]) -> None:
        text = json.dumps(sorted(told))
        await self._store.transact(lambda tx: tx.put_setting(key, text))

    async def _send(self, address: str, notice: Notice) -> AndonError | None:
        try:
            if address.startswith(MAILTO):
                await _there(self._mail).send(address.removeprefix(MAILTO), notice)
            else:
                await self._chat.send(address, notice)
        except AndonError as error:
            return self._failed(address, error)
        self._failures.pop(address, None)
        return None

    def _failed(self, address: str, error: AndonError) -> AndonError:
        """Count failures; who failed too often is not waited for any more."""
        self._failures[address] = self._failures.get(address, 0) + 1
        if isinstance(error, Denied) or self._failures[address] >= MOST_FAILURES:
            return Denied(error.message, hint=error.hint)
        return error


def _mark(notice: Notice, address: str) -> str:
    return hashlib.sha256(f"{notice.id} {address}".encode()).hexdigest()[:32]


def _there(mail: Courier | None) -> Courier:
    if mail is None:
        raise Denied(
            "this installation has no mail server", hint="`mail` in the file of `andon up --config`"
        )
    return mail


def _worst(errors: list[AndonError]) -> AndonError:
    """Return what becomes of the event: it is tried again as long as that may help anybody."""
    later = [error for error in errors if not isinstance(error, Denied)]
    return NotTaken(later[0].message, hint=later[0].hint) if later else errors[0]
