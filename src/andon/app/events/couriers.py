"""Tells subscribers what the ledger says: at least once, in order, one worker at a time for each.

The ledger is the outbox. A courier reads behind its subscriber's cursor and moves that only after the
other side confirmed, under the token of the lease ``subscription/NAME``: a worker that was replaced
while it delivered moves nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from andon.api.v1.control import Event, Link
from andon.app.events.addresses import Addresses, Kept
from andon.kernel.errors import AndonError, Conflict, Denied, Fenced
from andon.ports.sinks import Gone, NotTaken, Outgoing, Receiver, Sink
from andon.ports.store import DeadLetter, LedgerRow, Store, Tx
from andon.ports.store.outbox import Delivering, Subscriber, Subscription
from andon.runtime.backoff import backoff_seconds
from andon.runtime.patience import Patience
from andon.runtime.together import end, until_one_ends
from andon.runtime.worker import Pace

log = logging.getLogger("andon.subscriptions")

LEASE = "subscription/"
"""Lease, and queue of dead letters, of the subscriber whose name follows."""
INCOMING = "in/"
"""Streams of events from outside; sent out again only to who asks for one of them."""
PAGE = 256
FLUSH_SECONDS = 1.0
"""How long confirmed deliveries may wait for their cursor."""
SKIP = 1000
"""So many events nobody wants move a cursor, too."""
MOST_REFUSALS = 12
"""An event that the other side would not take so often is a dead letter."""
ABANDONED = "dev.cdeventsx.andon-delivery.abandoned.0.1.0"

OpenSink = Callable[[Receiver], Sink]
Backoff = Callable[[str, int], float]


def wants(spec: Subscription, row: LedgerRow) -> bool:
    """Say whether a subscriber is to be told of an event; an erased one cannot be told."""
    if not row.body or (spec.stream and row.stream != spec.stream):
        return False
    if not spec.stream and row.stream.startswith(INCOMING):
        return False
    return not spec.types or row.type.startswith(spec.types)


class Deliverer:
    """Runs a courier for each subscriber, beside the engine.

    Args:
        store: The durable store.
        addresses: Opens where subscribers are.
        open_sink: Makes the way to a subscriber.
        owner: Name of this worker.
        pace: How fast another worker goes on where this one ended.
        backoff: Pause after a failure, by subject and attempt.
        elsewhere: Whether this worker may do without the key: then it leaves to others what it
            cannot open; else that is the subscriber's error.
    """

    def __init__(
        self,
        store: Store,
        addresses: Addresses,
        open_sink: OpenSink,
        owner: str,
        pace: Pace | None = None,
        backoff: Backoff = backoff_seconds,
        *,
        elsewhere: bool = False,
    ) -> None:
        self._store = Patience(store)
        self._subscribe = store.subscribe
        self._addresses = addresses
        self._open_sink = open_sink
        self._owner = owner
        self._pace = pace or Pace()
        self._backoff = backoff
        self._elsewhere = elsewhere
        self._couriers: dict[str, asyncio.Task[None]] = {}
        self._news: dict[str, asyncio.Event] = {}
        self._reached: dict[str, Kept] = {}
        self._unreachable: dict[str, float] = {}
        """When to look again at what this worker could not reach."""

    async def run(self) -> None:
        """Deliver until cancelled."""
        news, loop = asyncio.Event(), asyncio.get_running_loop()

        def woken() -> None:
            loop.call_soon_threadsafe(news.set)

        unsubscribe = self._subscribe(woken)
        try:
            while True:
                news.clear()
                await self._match()
                for one in self._news.values():
                    one.set()
                await _wait(news, self._pace.beat_seconds)
        finally:
            unsubscribe()
            await end(*self._couriers.values())

    async def _match(self) -> None:
        """Have a courier for each active subscriber, and no other."""
        active = await self._store.read(self._active)
        wanted = {kept.spec.name for kept in active if await self._can_reach(kept)}
        for name in self._couriers.keys() - wanted:
            await end(self._couriers.pop(name))
        for name in wanted:
            task = self._couriers.get(name)
            if task is None or task.done():
                if task is not None and not task.cancelled() and task.exception():
                    log.error("courier of %s ended", name, exc_info=task.exception())
                self._news[name] = asyncio.Event()
                self._couriers[name] = asyncio.create_task(self._courier(name).run())

    async def _can_reach(self, kept: Kept) -> bool:
        """Leave to others what this worker has no library for, or no key."""
        name = kept.spec.name
        if self._reached.get(name) == kept:
            return True
        if time.monotonic() < self._unreachable.get(name, 0):
            return False
        try:
            await self._try(kept)
        except AndonError as error:
            if name not in self._unreachable:
                log.warning("this worker cannot tell %s: %s", name, error.message)
            self._unreachable[name] = time.monotonic() + self._pace.beat_seconds
            self._reached.pop(name, None)
            return False
        self._reached[name] = kept
        return True

    async def _try(self, kept: Kept) -> None:
        try:
            receiver = await asyncio.to_thread(self._addresses.open, kept)
        except AndonError:
            if self._elsewhere:
                raise
            return
        self._open_sink(receiver)

    def _courier(self, name: str) -> Courier:
        return Courier(
            name,
            store=self._store,
            addresses=self._addresses,
            open_sink=self._open_sink,
            owner=self._owner,
            pace=self._pace,
            backoff=self._backoff,
            news=self._news[name],
        )

    def _active(self, tx: Tx) -> list[Kept]:
        if tx.paused():
            return []
        active = [one.spec for one in tx.subscribers() if not one.status.paused]
        return [self._addresses.look(tx, spec) for spec in active]


class Courier:
    """Serves one subscriber while this worker holds its lease."""

    def __init__(
        self,
        name: str,
        *,
        store: Patience,
        addresses: Addresses,
        open_sink: OpenSink,
        owner: str,
        pace: Pace,
        backoff: Backoff,
        news: asyncio.Event,
    ) -> None:
        self._name = name
        self._lease = LEASE + name
        self._store = store
        self._owner = owner
        self._pace = pace
        self._backoff = backoff
        self._news = news
        self._addresses = addresses
        self._way = Way(addresses, open_sink)
        self._token = 0
        self._cursor = -1
        """Where the cursor was when it was last seen or moved."""
        self._read = -1
        """``seq`` of the last event looked at: nobody wanted those behind the cursor."""

    async def run(self) -> None:
        """Take the lease whenever it is free, and deliver while it is ours."""
        try:
            while True:
                try:
                    await self._store.transact(self._acquire)
                except Conflict:
                    await asyncio.sleep(self._pace.beat_seconds)
                    continue
                try:
                    await until_one_ends(self._keep(), self._serve())
                except Fenced as error:
                    log.warning("another worker tells %s: %s", self._name, error.message)
        finally:
            await self._way.close()

    def _acquire(self, tx: Tx) -> None:
        self._token = tx.acquire(self._lease, self._owner, tx.now(), self._pace.ttl_seconds)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._pace.beat_seconds)
            await self._store.beside(
                lambda tx: tx.renew(self._lease, self._token, tx.now(), self._pace.ttl_seconds)
            )

    async def _serve(self) -> None:
        """Deliver what there is; wait where it is not time yet or there is nothing."""
        while True:
            self._news.clear()
            kept, pause, rows = await self._store.read(self._look)
            if kept is None or pause or not rows:
                await _wait(self._news, pause or self._pace.beat_seconds)
            else:
                await self._deliver(kept, rows)

    def _look(self, tx: Tx) -> tuple[Kept | None, float, list[LedgerRow]]:
        found = tx.subscriber(self._name)
        if found is None or found.status.paused or tx.paused():
            return None, 0.0, []
        if found.cursor != self._cursor:
            self._cursor = self._read = found.cursor
        pause = max(0.0, found.status.next_at - tx.now())
        rows = [] if pause else tx.events(after=self._read, stream=found.spec.stream, limit=PAGE)
        return self._addresses.look(tx, found.spec), pause, rows

    async def _deliver(self, kept: Kept, rows: Sequence[LedgerRow]) -> None:
        """Deliver in order; move the cursor behind what was confirmed."""
        confirmed, moved_at = 0, time.monotonic()
        for row in rows:
            if wants(kept.spec, row):
                error = await self._way.hand_over(kept, row)
                if error is not None:
                    await self._move(self._read, confirmed, error=error, row=row)
                    return
                confirmed += 1
            self._read = row.seq
            if confirmed and time.monotonic() - moved_at > FLUSH_SECONDS:
                await self._move(row.seq, confirmed)
                confirmed, moved_at = 0, time.monotonic()
        if confirmed or self._read - self._cursor >= SKIP:
            await self._move(self._read, confirmed)

    async def _move(
        self,
        seq: int,
        confirmed: int,
        error: AndonError | None = None,
        row: LedgerRow | None = None,
    ) -> None:
        """Write how far the subscriber is, and what went wrong with the next event.

        Raises:
            Fenced: Another worker has the lease now.
        """

        def write(tx: Tx) -> int:
            tx.check_lease(self._lease, self._token)
            found = tx.subscriber(self._name)
            # A person removed it meanwhile, or has it told again from elsewhere.
            if found is None or found.cursor != self._cursor:
                return -1
            now = tx.now()
            status = _succeeded(found.status, confirmed, now) if confirmed else found.status
            moved = replace(found, cursor=seq, status=status)
            if error is not None and row is not None:
                moved = self._failed(tx, moved, error, row, now)
            tx.put_subscriber(moved)
            return moved.cursor

        self._cursor = await self._store.transact(write)
        self._read = max(self._cursor, 0)

    def _failed(
        self, tx: Tx, subscriber: Subscriber, error: AndonError, row: LedgerRow, now: float
    ) -> Subscriber:
        status = subscriber.status
        attempts = status.attempts + 1
        refused = status.refused + isinstance(error, NotTaken)
        if isinstance(error, Gone):
            tx.append(_paused(self._name, row, error), now)
            return replace(
                subscriber, status=replace(status, paused=error.message, error=error.message)
            )
        if isinstance(error, Denied) or refused >= MOST_REFUSALS:
            _bury(tx, self._name, row, error, attempts, now)
            passed = replace(status, attempts=0, refused=0, next_at=0, failed_at=now)
            return replace(subscriber, cursor=row.seq, status=replace(passed, error=error.message))
        if not status.attempts:
            log.warning("%s cannot be told: %s", self._name, error.message)
        failed = replace(status, attempts=attempts, refused=refused, failed_at=now)
        pause = self._backoff(self._lease, attempts)
        return replace(subscriber, status=replace(failed, error=error.message, next_at=now + pause))


class Way:
    """The open sink of a subscriber, opened again when its subscription changes or it failed."""

    def __init__(self, addresses: Addresses, open_sink: OpenSink) -> None:
        self._addresses = addresses
        self._open_sink = open_sink
        self._sink: Sink | None = None
        self._kept: Kept | None = None

    async def hand_over(self, kept: Kept, row: LedgerRow) -> AndonError | None:
        """Deliver an event; return what went wrong, or None once it is confirmed."""
        try:
            sink = await self._open(kept)
            await sink.deliver(outgoing(row))
        except Exception as error:
            await self.close()
            return error if isinstance(error, AndonError) else _unexpected(kept.spec, error)
        return None

    async def _open(self, kept: Kept) -> Sink:
        if self._sink is None or kept != self._kept:
            await self.close()
            receiver = await asyncio.to_thread(self._addresses.open, kept)
            self._sink, self._kept = self._open_sink(receiver), kept
        return self._sink

    async def close(self) -> None:
        """Let go of the connection."""
        sink, self._sink = self._sink, None
        if sink is not None:
            await sink.close()


def outgoing(row: LedgerRow) -> Outgoing:
    """Return an event as sinks take it."""
    return Outgoing(id=row.id, type=row.type, body=row.body)


def _unexpected(spec: Subscription, error: Exception) -> AndonError:
    log.error("telling %s failed", spec.name, exc_info=error)
    return NotTaken(f"{type(error).__name__}: {error}")


def _succeeded(status: Delivering, confirmed: int, now: float) -> Delivering:
    return Delivering(delivered=status.delivered + confirmed, delivered_at=now)


def _bury(tx: Tx, name: str, row: LedgerRow, error: AndonError, attempts: int, now: float) -> None:
    """Keep what cannot be told for a person to see."""
    letter = DeadLetter(
        queue=LEASE + name, subject=row.id, error=error.message, attempts=attempts, at=now
    )
    tx.bury(letter)
    log.error("%s will not be told of %s: %s", name, row.id, error.message)
    # Of an abandoned word about an abandoned word there would be no end.
    if row.type != ABANDONED:
        tx.append(_abandoned(name, row, error, attempts), now)


def _abandoned(name: str, row: LedgerRow, error: AndonError, attempts: int) -> Event:
    return Event(
        id=f"subscription/{name}/abandoned/{row.seq}",
        stream="org",
        type=ABANDONED,
        subject=name,
        content={"event": row.id, "reason": error.message, "attempts": attempts},
        links=(Link(target=row.id),),
    )


def _paused(name: str, row: LedgerRow, error: AndonError) -> Event:
    return Event(
        id=f"subscription/{name}/gone/{row.seq}",
        stream="org",
        type="dev.cdeventsx.andon-subscription.paused.0.1.0",
        subject=name,
        content={"by": "deliverer", "reason": error.message},
        links=(Link(target=row.id),),
    )


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
