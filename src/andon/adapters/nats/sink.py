"""A Sink over NATS JetStream, confirmed once a stream has stored the message."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

import nats  # noqa: F401 - first, or its parts import each other in a circle
from nats.aio.client import Client
from nats.errors import ConnectionClosedError, Error, MaxPayloadError
from nats.js.errors import APIError, NoStreamResponseError

from andon.adapters.cloudevents import header, message
from andon.adapters.outbound import LOCAL, Guard, at_address, broker_address
from andon.kernel.errors import Denied, Unavailable, UsageError
from andon.ports.sinks import NotTaken, Outgoing, Receiver

TIMEOUT_SECONDS = 10.0
DEFAULT_SUBJECT = "andon"
_PORT = 4222
_HINT = "nats://user:password@host:port/SUBJECT, or tls:// in place of nats://"


class NatsSink:
    """Publishes with the event's id as ``Nats-Msg-Id``: within its window a stream keeps it once.

    Args:
        spec: ``nats://user:password@host:port/SUBJECT`` or ``tls://``; the event's type follows the
            subject, so that ``SUBJECT.>`` is everything. Without one it is ``andon``. ``?cafile=PATH``
            names who vouches for the server.
        timeout_seconds: How long connecting and one delivery may take.
        guard: Where calls may lead.

    Raises:
        UsageError: The address is none.
    """

    def __init__(
        self,
        spec: Receiver,
        timeout_seconds: float = TIMEOUT_SECONDS,
        guard: Guard = LOCAL,
    ) -> None:
        self._guard = guard
        self._mode = spec.mode
        self._server, self._subject, self._tls = _parts(spec.url)
        self._timeout_seconds = timeout_seconds
        self._client: Client | None = None
        self._lost = asyncio.Event()

    async def deliver(self, event: Outgoing) -> None:
        """Hand over an event."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._publish(await self._open(), event)
        except NoStreamResponseError as error:
            raise NotTaken(
                f"no stream takes the subject {self._subject}.{event.type}",
                hint=f"a JetStream stream with the subject {self._subject}.> would",
            ) from error
        except MaxPayloadError as error:
            raise Denied(
                f"the server does not take so large a message: {_reason(error)}"
            ) from error
        except APIError as error:
            raise NotTaken(f"the stream did not take the event: {error.description}") from error
        except (Error, OSError, TimeoutError) as error:
            await self.close()
            raise Unavailable(f"the server does not answer: {_reason(error)}") from error

    async def close(self) -> None:
        """Let go of the connection."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):
                async with asyncio.timeout(self._timeout_seconds):
                    await client.close()

    async def _open(self) -> Client:
        if self._client is None or not self._client.is_connected:
            await self.close()
            url = urlsplit(self._server)
            host = url.hostname or ""
            (address, *_) = await asyncio.to_thread(self._guard.addresses, host, url.port or _PORT)
            # Kept before it is connected, so that an attempt that is cancelled is closed, too.
            self._client, self._lost = Client(), asyncio.Event()
            await self._client.connect(
                at_address(url, address),
                name="andon",
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=max(1, int(self._timeout_seconds)),
                error_cb=_left_to_the_delivery,
                closed_cb=self._closed,
                tls=self._tls,
                tls_hostname=host,
            )
        return self._client

    async def _closed(self) -> None:
        self._lost.set()

    async def _publish(self, client: Client, event: Outgoing) -> None:
        form = message(event, self._mode)
        headers = {
            "content-type": form.content_type,
            **{f"ce-{name}": header(value) for name, value in form.attributes.items()},
            "Nats-Msg-Id": header(event.id),
        }
        confirmed = asyncio.ensure_future(
            client.jetstream().publish(
                f"{self._subject}.{event.type}",
                form.body,
                timeout=self._timeout_seconds,
                headers=headers,
            )
        )
        # The client itself would wait for a confirmation that can no longer come.
        lost = asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait({confirmed, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not confirmed.done():
                raise ConnectionClosedError
            confirmed.result()
        finally:
            confirmed.cancel()
            lost.cancel()


async def _left_to_the_delivery(error: Exception) -> None:
    """Say nothing: whoever delivers next is told."""


def _parts(text: str) -> tuple[str, str, ssl.SSLContext | None]:
    """Take an address apart: the server, the subject, and how it is to be trusted."""
    url = broker_address(text, ("nats", "tls"), _HINT)
    subject = url.path.strip("/") or DEFAULT_SUBJECT
    plain = subject.isascii() and subject.isprintable()
    wild = any(part in ("", "*", ">") for part in subject.split("."))
    if wild or not plain or " " in subject:
        raise UsageError(f"{subject!r} is no subject of NATS", hint=_HINT)
    server = urlunsplit(url._replace(path="", query="", fragment=""))
    return server, subject, _trust(url) if url.scheme == "tls" else None


def _trust(url: SplitResult) -> ssl.SSLContext:
    file = dict(parse_qsl(url.query)).get("cafile")
    try:
        return ssl.create_default_context(cafile=file)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"the certificates in {file} cannot be used: {error}") from None


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
