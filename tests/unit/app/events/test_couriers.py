"""Who is told what: filters, dead letters, pauses; over a real store and a real receiver."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from andon.api.v1.control import Event
from andon.app.events.couriers import ABANDONED, LEASE, MOST_REFUSALS, Deliverer, wants
from andon.app.events.sinks import sinks
from andon.app.events.subscriptions import Subscriptions
from andon.kernel.errors import Conflict, NotFound, Unavailable, UsageError
from andon.ports.asking import Asked
from andon.ports.sinks import Receiver
from andon.ports.store import LedgerRow
from andon.ports.store.outbox import Subscriber, Subscription
from andon.runtime.system import SystemClock
from andon.runtime.worker import Pace
from andon.store import open_store
from andon.testing.cdevents import check_event
from andon.testing.clock import SeededRandomness
from andon.testing.sink_suite import NAME, Outbox, firsts, merged, poll
from andon.testing.webhook import WebhookReceiver

ANN = Asked(by="ann")

PULLED = Event(
    id="hold/h/pulled",
    stream="env/prod",
    type="dev.cdeventsx.andon-hold.pulled.0.1.0",
    subject="h",
)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    store = open_store(str(tmp_path / "a.db"), source="/andon/test")
    yield Outbox(store, tmp_path)
    store.close()


@pytest.fixture
def desk(outbox: Outbox) -> Subscriptions:
    clock = SystemClock()
    return Subscriptions(outbox.store, clock, SeededRandomness(1), outbox.vault, sinks(clock))


def told(receiver: WebhookReceiver) -> list[str]:
    return [one.headers["webhook-id"] for one in receiver.requests]


def about(*ids: str, status: int):
    return lambda request: status if request.headers["webhook-id"] in ids else 200


def row(**fields: object) -> LedgerRow:
    plain = LedgerRow(
        1, "env/prod", 1, "i", "dev.cdevents.a.b.0.1.0", "s", "", 0.0, b"{}", "", "", ""
    )
    return replace(plain, **fields)


def test_filters_choose_by_stream_and_beginning_of_type():
    spec = Subscription(name="a", url="u")
    assert wants(spec, row())
    assert not wants(spec, row(body=b""))
    assert not wants(spec, row(stream="in//ci"))
    assert wants(replace(spec, stream="in//ci"), row(stream="in//ci"))
    assert not wants(replace(spec, stream="org"), row())
    assert wants(replace(spec, types=("x", "dev.cdevents.a.")), row())
    assert not wants(replace(spec, types=("dev.cdevents.b.",)), row())


async def test_event_refused_for_good_is_a_dead_letter_and_others_go_on(
    outbox: Outbox, receiver: WebhookReceiver, desk: Subscriptions, conformance_data: Path
):
    await outbox.subscribe(receiver.url)
    receiver.status = about(merged(1).id, status=422)
    async with outbox.telling():
        await outbox.append(merged(0), merged(1), merged(2))
        await poll(outbox.done)
    shown = await desk.show(NAME)
    (letter,) = shown["letters"]
    assert (letter["event"], letter["error"]) == (merged(1).id, "127.0.0.1 answered 422")
    assert (shown["state"], shown["dead"], shown["lag"]) == ("active", 1, 0)
    abandoned = f"subscription/{NAME}/abandoned/2"
    assert told(receiver) == [merged(0).id, merged(1).id, merged(2).id, abandoned]
    for one in receiver.requests:
        check_event(conformance_data, json.loads(one.body))
    receiver.status = lambda request: 200
    assert await desk.retry(NAME) == {"delivered": [merged(1).id], "failed": []}
    assert (await desk.show(NAME))["letters"] == []


async def test_event_not_taken_often_enough_is_a_dead_letter(
    outbox: Outbox, receiver: WebhookReceiver
):
    await outbox.subscribe(receiver.url)
    receiver.status = about(merged(1).id, status=500)
    async with outbox.telling():
        await outbox.append(merged(1), merged(2))
        await poll(outbox.done)
    assert told(receiver).count(merged(1).id) == MOST_REFUSALS
    assert firsts(told(receiver))[:2] == [merged(1).id, merged(2).id]


async def test_side_out_of_reach_loses_nothing_however_long(
    outbox: Outbox, receiver: WebhookReceiver, desk: Subscriptions
):
    await outbox.subscribe(receiver.url)
    receiver.status = lambda request: 503
    async with outbox.telling():
        await outbox.append(merged(1))

        async def tried_often() -> bool:
            return (await outbox.subscriber()).status.attempts > MOST_REFUSALS

        await poll(tried_often)
        shown = await desk.show(NAME)
        assert (shown["state"], shown["lag"], shown["letters"]) == ("failing", 1, [])
        assert shown["error"] == "127.0.0.1 answered 503"
        receiver.status = lambda request: 200
        await poll(outbox.done)


async def test_missing_key_is_said_and_nothing_is_skipped_meanwhile(
    outbox: Outbox, receiver: WebhookReceiver, desk: Subscriptions, tmp_path: Path
):
    await outbox.subscribe(receiver.url)
    (tmp_path / "secrets.key").rename(tmp_path / "elsewhere")
    await outbox.append(merged(0), merged(1))
    async with Outbox(outbox.store, tmp_path).telling():

        async def given_up() -> bool:
            return (await outbox.subscriber()).status.attempts > MOST_REFUSALS

        await poll(given_up)
        shown = await desk.show(NAME)
        assert shown["error"].startswith("its address cannot be opened: ")
        assert (shown["state"], shown["lag"], shown["dead"]) == ("failing", 2, 0)
        (tmp_path / "elsewhere").rename(tmp_path / "secrets.key")
        await poll(outbox.done)
    assert told(receiver) == [merged(0).id, merged(1).id]


async def test_refused_word_about_a_refused_event_is_the_end_of_it(
    outbox: Outbox, receiver: WebhookReceiver
):
    await outbox.subscribe(receiver.url)
    receiver.status = lambda request: 400
    async with outbox.telling():
        await outbox.append(merged(1))
        await poll(outbox.done)
    rows = await outbox.store.read(lambda tx: tx.events())
    assert [one.type for one in rows] == [merged(1).type, ABANDONED]
    assert len(await outbox.store.read(lambda tx: tx.dead_letters(LEASE + NAME))) == 2


async def test_side_that_is_gone_pauses_until_a_person_resumes(
    outbox: Outbox, receiver: WebhookReceiver, desk: Subscriptions
):
    await outbox.subscribe(receiver.url)
    receiver.status = lambda request: 410
    async with outbox.telling():
        await outbox.append(merged(1))

        async def paused() -> bool:
            return (await desk.show(NAME))["state"] == "paused"

        await poll(paused)
        assert "wants no more" in (await desk.show(NAME))["paused"]
        assert (await outbox.subscriber()).cursor == 0
        receiver.status = lambda request: 200
        await desk.resume(NAME, asked=ANN)
        await poll(outbox.done)
    assert firsts(told(receiver))[0] == merged(1).id
    assert "dev.cdeventsx.andon-subscription.paused.0.1.0" in {
        json.loads(one.body)["type"] for one in receiver.requests
    }


async def test_replay_tells_it_again_with_the_same_ids(
    outbox: Outbox, receiver: WebhookReceiver, desk: Subscriptions
):
    await outbox.append(merged(1), PULLED, merged(2))
    await desk.add(
        "outside", url=receiver.url, types=("dev.cdevents.change.",), start="start", asked=ANN
    )
    async with outbox.telling():

        async def so_often(count: int) -> bool:
            return len(receiver.requests) == count

        await poll(lambda: so_often(2))
        await desk.replay(NAME, start="2", asked=ANN)
        await poll(lambda: so_often(3))
        await desk.pause(NAME, asked=ANN, reason="")
        await outbox.append(merged(3))
        await desk.resume(NAME, asked=ANN)
        await poll(lambda: so_often(4))
    assert told(receiver) == [merged(number).id for number in (1, 2, 2, 3)]


async def test_nothing_is_told_while_the_installation_is_paused(
    outbox: Outbox, receiver: WebhookReceiver
):
    await outbox.subscribe(receiver.url)
    await outbox.store.transact(lambda tx: tx.pause("moving"))
    async with outbox.telling():
        await outbox.append(merged(1))
        await outbox.store.transact(lambda tx: tx.resume())
        await poll(outbox.done)
    assert told(receiver) == [merged(1).id]


async def test_secret_is_shown_once_and_replaced_in_two_steps(
    outbox: Outbox, receiver: WebhookReceiver, desk: Subscriptions
):
    added = await desk.add("hook", url=receiver.url, asked=ANN)
    assert added["secret"].startswith("whsec_")
    assert added["url"] == f"http://127.0.0.1:{receiver.port}/…"
    rotated = await desk.rotate("hook", asked=ANN)
    assert rotated["signedWith"] == 2
    assert rotated["secret"] != added["secret"]
    assert (await desk.rotate("hook", asked=ANN, drop_old=True))["signedWith"] == 1
    shown = json.dumps([await desk.show("hook"), await desk.list()])
    rows = await outbox.store.read(lambda tx: tx.events())
    for secret in (added["secret"], rotated["secret"]):
        assert secret not in shown
        assert secret.encode() not in b"".join(one.body for one in rows)


async def test_subscriptions_that_make_no_sense_are_refused(desk: Subscriptions):
    await desk.add("hook", url="https://example.com/x", asked=ANN)
    with pytest.raises(Conflict, match="already"):
        await desk.add("hook", url="https://example.com/x", asked=ANN)
    for name, more in (
        ("A", {}),
        ("b", {"url": "gopher://x"}),
        ("b", {"start": "soon"}),
        ("b", {"start": "99"}),
        ("b", {"secret": "short"}),
        ("b", {"url": "nats://a:1/x", "secret": "whsec_" + "A" * 44}),
        ("b", {"url": "nats://a:1/x.*"}),
    ):
        with pytest.raises(UsageError):
            await desk.add(name, **{"url": "https://example.com/x", **more}, asked=ANN)
    assert [one["name"] for one in await desk.list()] == ["hook"]
    await desk.remove("hook", asked=ANN)
    for question in (desk.show("hook"), desk.resume("hook", asked=ANN)):
        with pytest.raises(NotFound, match="no subscription hook"):
            await question


async def test_a_worker_without_the_library_leaves_a_subscriber_to_others(outbox: Outbox):
    asked = asyncio.Event()

    def no_library(to: Receiver):
        asked.set()
        raise Unavailable("AMQP needs the extra `amqp`")

    spec = Subscription(name=NAME, url="amqp://localhost/x")
    await outbox.store.transact(lambda tx: tx.put_subscriber(Subscriber(spec=spec, cursor=0)))
    poor = Deliverer(outbox.store, outbox.addresses, no_library, "poor", Pace(0.5))
    task = asyncio.create_task(poor.run())
    for _ in range(2):  # it has looked, and looked again after that
        await asked.wait()
        asked.clear()
        await outbox.store.transact(lambda tx: tx.put_setting("a", "b"))
    leases = await outbox.store.read(lambda tx: tx.leases())
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert LEASE + NAME not in [name for name, *_ in leases]
