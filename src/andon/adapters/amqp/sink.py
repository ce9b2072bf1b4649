"""A Sink over AMQP 0.9.1, confirmed by the broker once a queue has the message on disk.

The CloudEvents binding is written for AMQP 1.0; its names are used here as far as 0.9.1 has the places:
context attributes in binary mode are headers with the prefix ``cloudEvents:``.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractExchange
from aio_pika.exceptions import AMQPError, ChannelClosed, DeliveryError, PublishError

from andon.adapters.cloudevents import message
from andon.adapters.outbound import LOCAL, Guard, at_address, broker_address
from andon.kernel.errors import Unavailable
from andon.ports.sinks import NotTaken, Outgoing, Receiver

TIMEOUT_SECONDS = 10.0
DEFAULT_EXCHANGE = "amq.topic"
_PREFIX = "cloudEvents:"
_OURS = ("exchange", "routing-key")
_HINT = "amqp(s)://user:password@host:port/vhost?exchange=NAME&routing-key=KEY"
_PORTS = {"amqp": 5672, "amqps": 5671}


class AmqpSink:
    """Publishes persistent, mandatory messages: one that no queue takes is a failure.

    Args:
        spec: ``amqp(s)://user:password@host:port/vhost?exchange=NAME&routing-key=KEY``. Without an
            exchange ``amq.topic`` is meant; an empty one with a queue's name as key is that queue.
            Without a key the event's type is one. All other parameters belong to the connection.
        timeout_seconds: How long connecting, and one delivery, may take.
        guard: Where calls may lead. With TLS the name is looked up again: what answers there must
            then prove the name.

    Raises:
        UsageError: The address is none.
    """

    def __init__(
        self,
        spec: Receiver,
        timeout_seconds: float = TIMEOUT_SECONDS,
        guard: Guard = LOCAL,
    ) -> None:
        self._mode = spec.mode
        self._guard = guard
        self._url, ours = _parts(spec.url)
        self._exchange_name = ours.get("exchange", DEFAULT_EXCHANGE)
        self._key = ours.get("routing-key", "")
        self._timeout_seconds = timeout_seconds
        self._connection: AbstractConnection | None = None
        self._exchange: AbstractExchange | None = None

    async def deliver(self, event: Outgoing) -> None:
        """Hand over an event."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                exchange = await self._open()
                await exchange.publish(
                    self._message(event), self._key or event.type, mandatory=True
                )
        except (DeliveryError, PublishError) as error:
            raise NotTaken(f"the broker did not take the event: {_reason(error)}") from error
        except ChannelClosed as error:
            await self.close()
            raise NotTaken(f"the broker refused: {_reason(error)}") from error
        except (AMQPError, OSError, TimeoutError, RuntimeError) as error:
            await self.close()
            raise Unavailable(f"the broker does not answer: {_reason(error)}") from error

    async def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection, self._exchange = self._connection, None, None
        if connection is not None:
            with suppress(Exception):
                async with asyncio.timeout(self._timeout_seconds):
                    await connection.close()

    async def _open(self) -> AbstractExchange:
        if self._exchange is not None and self._connection and not self._connection.is_closed:
            return self._exchange
        await self.close()
        url = await asyncio.to_thread(self._looked_at)
        self._connection = await aio_pika.connect(url, timeout=self._timeout_seconds)
        channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        # An exchange that is not there would close the channel at the first message: ask for it now.
        self._exchange = (
            await channel.get_exchange(self._exchange_name)
            if self._exchange_name
            else channel.default_exchange
        )
        return self._exchange

    def _looked_at(self) -> str:
        """Return the broker's address, its name resolved where TLS does not need it."""
        url = urlsplit(self._url)
        (address, *_) = self._guard.addresses(url.hostname or "", url.port or _PORTS[url.scheme])
        return self._url if url.scheme == "amqps" else at_address(url, address)

    def _message(self, event: Outgoing) -> aio_pika.Message:
        form = message(event, self._mode)
        return aio_pika.Message(
            form.body,
            content_type=form.content_type,
            headers={_PREFIX + name: value for name, value in form.attributes.items()},
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=event.id,
            type=event.type,
            app_id="andon",
        )


def _parts(text: str) -> tuple[str, dict[str, str]]:
    """Take what is ours out of the address."""
    url = broker_address(text, tuple(_PORTS), _HINT)
    query = parse_qsl(url.query, keep_blank_values=True)
    theirs = urlencode([(name, value) for name, value in query if name not in _OURS])
    return urlunsplit(url._replace(query=theirs)), dict(query)


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
