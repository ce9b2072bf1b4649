"""What every Sink must do, driven by the real couriers over a real store and a real receiver.

The tests of a sink subclass ``SinkSuite`` and provide the fixture ``peer``.
"""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from msgspec import Struct

from andon.api.v1.control import Event
from andon.api.v1.installation import SecretsKeySpec
from andon.app.events.addresses import Addresses
from andon.app.events.couriers import Deliverer
from andon.app.events.sinks import sinks
from andon.app.secrets.safe import Vault, open_safe
from andon.domains.line import events
from andon.ports.store import Store, Subscriber, Tx
from andon.ports.store.outbox import Mode, Subscription
from andon.runtime.system import SystemClock, SystemRandomness
from andon.runtime.worker import Pace
from andon.store import open_store
from andon.testing.cdevents import check_event
from andon.testing.proxy import Proxy

SOURCE = "/andon/test"
NAME = "outside"
DEADLINE_SECONDS = 90.0
POLL_SECONDS = 0.02


class Arrived(Struct, frozen=True):
    """A message as the other side has it.

    Args:
        content_type: Of its body.
        attributes: CloudEvents attributes beside the body, without a prefix.
        body: The body.
        repeats: What the protocol carries for telling repetitions: the event's id.
    """

    content_type: str
    attributes: dict[str, str]
    body: bytes
    repeats: str


class Peer(Protocol):
    """The other side of a sink."""

    port: int
    drops_repetitions: bool
    """Whether it knows a repetition by its id, and keeps the event once."""

    def url(self, port: int) -> str:
        """Return the address to subscribe with, through some port."""
        ...

    async def arrived(self) -> list[Arrived]:
        """Return every message it has kept, in order."""
        ...

    async def refuse(self) -> None:
        """Answer, but take nothing."""
        ...

    async def accept(self) -> None:
        """Take events again."""
        ...

    async def kill(self) -> None:
        """End it without a warning."""
        ...

    async def start(self) -> None:
        """Start it again with what it had."""
        ...


def merged(number: int) -> Event:
    """Make an event."""
    return Event(
        id=f"change/c{number}/merged",
        stream="repo/shop",
        type="dev.cdevents.change.merged.0.3.0",
        subject=f"c{number}",
        chain=f"c{number}",
        data={"message": "grün"},
    )


async def poll(what: Callable[[], Awaitable[bool]], why: Callable[[], object] = lambda: "") -> None:
    """Poll until something is so."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not await what():
        assert time.monotonic() < deadline, f"not in time: {why()}"
        await asyncio.sleep(POLL_SECONDS)


class Outbox:
    """A store with one subscriber, and what tells it.

    Args:
        store: The store.
        folder: Where the key lies.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.vault = Vault(open_safe(SecretsKeySpec(), folder, SystemRandomness()))
        self.addresses = Addresses(self.vault)

    async def subscribe(self, url: str, mode: Mode = "structured") -> None:
        """Subscribe to everything from now on."""
        secrets = ("whsec_" + "A" * 44,) if url.startswith("http") else ()
        spec = Subscription(name=NAME, url=url, mode=mode)

        def put(tx: Tx) -> None:
            kept = self.addresses.keep(tx, spec, url, secrets)
            tx.put_subscriber(Subscriber(spec=kept, cursor=tx.last_seq()))

        await self.store.transact(put)

    async def append(self, *written: Event) -> None:
        """Append events."""
        for event in written:
            await self.store.transact(lambda tx, event=event: tx.append(event, tx.now()))  # type: ignore[misc]

    async def subscriber(self) -> Subscriber:
        """Return the subscriber."""
        found = await self.store.read(lambda tx: tx.subscriber(NAME))
        assert found is not None
        return found

    async def done(self) -> bool:
        """Say whether everything was confirmed."""
        return (await self.subscriber()).cursor == await self.store.read(lambda tx: tx.last_seq())

    async def failing(self) -> bool:
        """Say whether telling fails."""
        return bool((await self.subscriber()).status.attempts)

    @asynccontextmanager
    async def telling(self, owner: str = "one") -> AsyncIterator[None]:
        """Run the couriers of a worker."""
        deliverer = Deliverer(
            self.store,
            self.addresses,
            sinks(SystemClock()),
            owner,
            Pace(2.0),
            backoff=lambda subject, attempt: 0.05,
        )
        task = asyncio.create_task(deliverer.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def ids(messages: list[Arrived]) -> list[str]:
    """Return the ids of messages in structured mode."""
    return [json.loads(one.body)["id"] for one in messages]


def firsts(names: list[str]) -> list[str]:
    """Return names without their repetitions."""
    return list(dict.fromkeys(names))


class SinkSuite:
    """Fixture to provide: ``peer``, running and empty."""

    @pytest.fixture
    def outbox(self, tmp_path: Path) -> Any:
        """A store with nothing in it."""
        store = open_store(str(tmp_path / "outbox.db"), source=SOURCE)
        yield Outbox(store, tmp_path)
        store.close()

    @pytest.fixture
    async def proxy(self, peer: Peer) -> AsyncIterator[Proxy]:
        """A way to the peer that can be held and cut."""
        between = Proxy(peer.port)
        await between.open()
        yield between
        await between.close()

    async def test_events_arrive_once_in_order_as_the_ledger_has_them(
        self, peer: Peer, outbox: Outbox
    ) -> None:
        await outbox.subscribe(peer.url(peer.port))
        async with outbox.telling():
            await outbox.append(*(merged(number) for number in range(30)))
            await poll(outbox.done)
        arrived = await peer.arrived()
        rows = await outbox.store.read(lambda tx: tx.events())
        assert [one.body for one in arrived] == [row.body for row in rows]
        assert [one.repeats for one in arrived] == [row.id for row in rows]
        assert {one.content_type for one in arrived} == {
            "application/cloudevents+json; charset=utf-8"
        }

    async def test_binary_mode_carries_the_same_valid_event(
        self, peer: Peer, outbox: Outbox, conformance_data: Path
    ) -> None:
        await outbox.subscribe(peer.url(peer.port), "binary")
        written = [
            merged(1),
            events.extension("hold", "pulled", id="hold/grün %", stream="org", about="h"),
        ]
        async with outbox.telling():
            await outbox.append(*written)
            await poll(outbox.done)
        rows = await outbox.store.read(lambda tx: tx.events())
        for one, row in zip(await peer.arrived(), rows, strict=True):
            envelope = {
                **one.attributes,
                "datacontenttype": one.content_type,
                "data": json.loads(one.body),
            }
            assert envelope == json.loads(row.body)
            check_event(conformance_data, envelope)

    async def test_other_side_that_restarts_misses_nothing(
        self, peer: Peer, outbox: Outbox
    ) -> None:
        await outbox.subscribe(peer.url(peer.port))
        async with outbox.telling():
            await outbox.append(*(merged(number) for number in range(5)))
            await poll(outbox.done)
            await peer.kill()
            await outbox.append(*(merged(number) for number in range(5, 10)))
            await poll(outbox.failing)
            assert (await outbox.subscriber()).cursor == 5
            await peer.start()
            await poll(outbox.done)
        assert firsts(ids(await peer.arrived())) == [merged(number).id for number in range(10)]
        assert (await outbox.subscriber()).status.error == ""

    async def test_what_is_not_taken_is_tried_again_before_what_follows(
        self, peer: Peer, outbox: Outbox
    ) -> None:
        await outbox.subscribe(peer.url(peer.port))
        await peer.refuse()
        async with outbox.telling():
            await outbox.append(merged(1), merged(2))

            async def tried() -> bool:
                return (await outbox.subscriber()).status.refused >= 3

            await poll(tried)
            assert (await outbox.subscriber()).cursor == 0
            await peer.accept()
            await poll(outbox.done)
        assert firsts(ids(await peer.arrived())) == [merged(1).id, merged(2).id]

    async def test_connection_cut_before_the_confirmation_repeats_the_event(
        self, peer: Peer, outbox: Outbox, proxy: Proxy
    ) -> None:
        await outbox.subscribe(peer.url(proxy.port))
        async with outbox.telling():
            await outbox.append(merged(1))
            await poll(outbox.done)
            proxy.cut_next_answer()
            await outbox.append(merged(2), merged(3))
            await poll(outbox.done)
        assert proxy.cuts == 1
        names = [merged(number).id for number in (1, 2, 3)]
        repeated = [names[0], names[1], names[1], names[2]]
        assert ids(await peer.arrived()) == (names if peer.drops_repetitions else repeated)

    async def test_cursor_waits_for_the_confirmation(
        self, peer: Peer, outbox: Outbox, proxy: Proxy
    ) -> None:
        await outbox.subscribe(peer.url(proxy.port))
        async with outbox.telling():
            await outbox.append(merged(1))
            await poll(outbox.done)
            proxy.hold()
            await outbox.append(merged(2))

            async def there() -> bool:
                return len(await peer.arrived()) == 2

            await poll(there)
            assert (await outbox.subscriber()).cursor == 1
            proxy.release()
            await poll(outbox.done)

    async def test_replaced_worker_moves_no_cursor(
        self, peer: Peer, outbox: Outbox, proxy: Proxy, caplog: pytest.LogCaptureFixture
    ) -> None:
        await outbox.subscribe(peer.url(proxy.port))
        async with outbox.telling():
            await outbox.append(merged(1))
            await poll(outbox.done)
            proxy.hold()
            await outbox.append(merged(2))

            async def there() -> bool:
                return len(await peer.arrived()) == 2

            await poll(there)

            def replace_it(tx: Tx) -> None:
                tx.release("one")
                tx.acquire(f"subscription/{NAME}", "another", tx.now(), 60)

            await outbox.store.transact(replace_it)
            proxy.release()

            async def noticed() -> bool:
                return "another worker tells" in caplog.text

            await poll(noticed)
        assert (await outbox.subscriber()).cursor == 1
