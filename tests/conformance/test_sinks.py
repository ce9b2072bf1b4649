from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import ssl
from collections.abc import AsyncIterator, Iterator

import aio_pika
import nats
import pytest
from nats.js.api import StreamConfig

from andon.adapters.amqp import AmqpSink
from andon.adapters.nats import NatsSink
from andon.kernel.errors import Unavailable
from andon.ports.sinks import Outgoing, Receiver
from andon.testing import nats as nats_server
from andon.testing import rabbitmq
from andon.testing.nats import NatsServer, running_nats
from andon.testing.rabbitmq import RabbitServer, running_rabbitmq
from andon.testing.sink_suite import Arrived, SinkSuite
from andon.testing.webhook import Received, WebhookReceiver

numbers = itertools.count()


class WebhookPeer:
    drops_repetitions = False

    def __init__(self) -> None:
        self.receiver = WebhookReceiver()
        self.receiver.start()
        self.port = self.receiver.port

    def url(self, port: int) -> str:
        return f"http://127.0.0.1:{port}/events?a=b"

    async def arrived(self) -> list[Arrived]:
        return [_from_http(one) for one in self.receiver.requests]

    async def refuse(self) -> None:
        self.receiver.status = lambda request: 500

    async def accept(self) -> None:
        self.receiver.status = lambda request: 200

    async def kill(self) -> None:
        self.receiver.kill()

    async def start(self) -> None:
        self.receiver.start()


def _from_http(request: Received) -> Arrived:
    key = base64.b64decode("A" * 44)
    id, at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    mac = hmac.new(key, f"{id}.{at}.".encode() + request.body, hashlib.sha256).digest()
    assert request.headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"
    return Arrived(
        request.headers["content-type"], _attributes(request.headers), request.body, _plain(id)
    )


def _attributes(headers: dict[str, str]) -> dict[str, str]:
    return {name[3:]: _plain(value) for name, value in headers.items() if name.startswith("ce-")}


def _plain(value: str) -> str:
    from urllib.parse import unquote

    return unquote(value)


class TestWebhook(SinkSuite):
    @pytest.fixture
    def peer(self) -> Iterator[WebhookPeer]:
        peer = WebhookPeer()
        yield peer
        peer.receiver.kill()


@pytest.fixture(scope="module")
def broker() -> Iterator[RabbitServer]:
    server = rabbitmq.program()
    if server is None:
        pytest.skip("no RabbitMQ: apt-get install rabbitmq-server")
    with running_rabbitmq(server) as running:
        yield running


class RabbitPeer:
    drops_repetitions = False

    def __init__(self, broker: RabbitServer) -> None:
        self.broker = broker
        self.port = broker.port
        self.name = f"events-{next(numbers)}"
        self.messages: list[Arrived] = []

    def url(self, port: int) -> str:
        return f"amqp://guest:guest@127.0.0.1:{port}/?exchange={self.name}"

    async def open(self) -> None:
        async with await aio_pika.connect(self.broker.url) as connection:
            channel = await connection.channel()
            await channel.declare_exchange(self.name, "topic", durable=True)
            await channel.declare_queue(self.name, durable=True)
        await self.accept()

    async def accept(self) -> None:
        async with await aio_pika.connect(self.broker.url) as connection:
            queue = await (await connection.channel()).get_queue(self.name)
            await queue.bind(self.name, "dev.#")

    async def refuse(self) -> None:
        async with await aio_pika.connect(self.broker.url) as connection:
            queue = await (await connection.channel()).get_queue(self.name)
            await queue.unbind(self.name, "dev.#")

    async def arrived(self) -> list[Arrived]:
        async with await aio_pika.connect(self.broker.url) as connection:
            queue = await (await connection.channel()).get_queue(self.name)
            while (message := await queue.get(fail=False, no_ack=True)) is not None:
                assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
                attributes = {
                    name.removeprefix("cloudEvents:"): str(value)
                    for name, value in message.headers.items()
                }
                self.messages.append(
                    Arrived(
                        message.content_type or "",
                        attributes,
                        message.body,
                        message.message_id or "",
                    )
                )
        return self.messages

    async def kill(self) -> None:
        self.broker.kill()

    async def start(self) -> None:
        self.broker.start()


class TestRabbit(SinkSuite):
    @pytest.fixture
    async def peer(self, broker: RabbitServer) -> RabbitPeer:
        peer = RabbitPeer(broker)
        await peer.open()
        return peer


@pytest.fixture(scope="module")
def jetstream() -> Iterator[NatsServer]:
    server = nats_server.program()
    if server is None:
        pytest.skip("no NATS server: apt-get install nats-server")
    with running_nats(server) as running:
        yield running


class NatsPeer:
    drops_repetitions = True

    def __init__(self, server: NatsServer) -> None:
        self.server = server
        self.port = server.port
        self.name = f"events{next(numbers)}"

    def url(self, port: int) -> str:
        return f"nats://127.0.0.1:{port}/{self.name}"

    async def accept(self) -> None:
        client = await nats.connect(self.server.url)
        await client.jetstream().add_stream(
            StreamConfig(name=self.name, subjects=[f"{self.name}.>"])
        )
        await client.close()

    async def refuse(self) -> None:
        client = await nats.connect(self.server.url)
        await client.jetstream().delete_stream(self.name)
        await client.close()

    async def arrived(self) -> list[Arrived]:
        client = await nats.connect(self.server.url)
        stream = client.jetstream()
        state = (await stream.stream_info(self.name)).state
        found = [await stream.get_msg(self.name, number) for number in range(1, state.last_seq + 1)]
        await client.close()
        return [
            Arrived(
                one.headers["content-type"],
                _attributes(one.headers),
                one.data or b"",
                _plain(one.headers["Nats-Msg-Id"]),
            )
            for one in found
        ]

    async def kill(self) -> None:
        self.server.kill()

    async def start(self) -> None:
        self.server.start()


class TestNats(SinkSuite):
    @pytest.fixture
    async def peer(self, jetstream: NatsServer) -> AsyncIterator[NatsPeer]:
        peer = NatsPeer(jetstream)
        await peer.accept()
        return peer


EVENT = Outgoing(id="one", type="dev.cdevents.build.queued.0.3.0", body=b"{}")


async def test_rabbit_is_spoken_to_in_secret_and_only_if_it_can_be_trusted(
    broker: RabbitServer,
) -> None:
    peer = RabbitPeer(broker)
    await peer.open()
    url = f"amqps://guest:guest@127.0.0.1:{broker.tls_port}/?exchange={peer.name}"
    trusting = AmqpSink(Receiver(name="a", url=f"{url}&cafile={broker.certificate}"))
    await trusting.deliver(EVENT)
    await trusting.close()
    assert [one.repeats for one in await peer.arrived()] == ["one"]
    with pytest.raises(Unavailable, match="does not answer"):
        await AmqpSink(Receiver(name="a", url=url)).deliver(EVENT)


async def test_nats_is_spoken_to_in_secret_and_only_if_it_can_be_trusted(
    jetstream: NatsServer,
) -> None:
    server = nats_server.program()
    assert server is not None
    with running_nats(server, tls=True) as running:
        trust = ssl.create_default_context(cafile=running.certificate)
        client = await nats.connect(f"tls://127.0.0.1:{running.port}", tls=trust)
        await client.jetstream().add_stream(StreamConfig(name="secret", subjects=["secret.>"]))
        await client.close()
        url = f"tls://127.0.0.1:{running.port}/secret"
        trusting = NatsSink(Receiver(name="a", url=f"{url}?cafile={running.certificate}"))
        await trusting.deliver(EVENT)
        await trusting.close()
        with pytest.raises(Unavailable, match="does not answer"):
            await NatsSink(Receiver(name="a", url=url), timeout_seconds=1).deliver(EVENT)
