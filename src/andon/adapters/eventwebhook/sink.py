"""A Sink over HTTP(S): one signed POST an event, confirmed by a status of 200 to 299."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from importlib.metadata import version
from urllib.parse import SplitResult, urlsplit

from andon.adapters.cloudevents import header, message
from andon.adapters.eventwebhook.signing import signature
from andon.kernel.clock import Clock
from andon.kernel.errors import Denied, Unavailable, UsageError
from andon.ports.sinks import Gone, NotTaken, Outgoing
from andon.ports.store.outbox import Subscription

TIMEOUT_SECONDS = 10.0
_LATER = (408, 425, 429, 502, 503, 504)
"""The other side, or a proxy before it, cannot take anything now."""


class WebhookSink:
    """POSTs events. Redirects are not followed, and the answer's body is not read.

    Errors name the host only, because the path of a webhook is often its secret.

    Args:
        spec: Where to, in which mode, signed with what.
        clock: The time that is signed.
        timeout_seconds: How long one exchange may take.

    Raises:
        UsageError: The address is none.
    """

    def __init__(
        self, spec: Subscription, clock: Clock, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._spec = spec
        self._url = _checked(spec.url)
        self._clock = clock
        self._timeout_seconds = timeout_seconds

    async def deliver(self, event: Outgoing) -> None:
        """Hand over an event."""
        await asyncio.to_thread(self._deliver, event)

    async def close(self) -> None:
        """Nothing stays open."""

    def _deliver(self, event: Outgoing) -> None:
        form = message(event, self._spec.mode)
        id, timestamp = header(event.id), str(int(self._clock.now()))
        headers = {
            "Content-Type": form.content_type,
            **{f"ce-{name}": header(value) for name, value in form.attributes.items()},
            "webhook-id": id,
            "webhook-timestamp": timestamp,
            "webhook-signature": signature(self._spec.secrets, id, timestamp, form.body),
            "User-Agent": f"andon/{version('andon')}",
            "Connection": "close",
        }
        self._judge(self._post(form.body, headers))

    def _post(self, body: bytes, headers: dict[str, str]) -> int:
        url, host = self._url, self._url.hostname or ""
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        connection = kind(host, url.port, timeout=self._timeout_seconds)
        # A socket's timeout is for one read; the timer ends a side that sends a byte now and then.
        timer = threading.Timer(self._timeout_seconds, _abort, [connection])
        timer.daemon = True
        timer.start()
        try:
            path = (url.path or "/") + (f"?{url.query}" if url.query else "")
            connection.request("POST", path, body, headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"{host} does not answer: {reason}") from error
        finally:
            timer.cancel()
            connection.close()

    def _judge(self, status: int) -> None:
        said = f"{self._url.hostname} answered {status}"
        if status == 410:
            raise Gone(f"{said}: it wants no more events")
        if status in _LATER:
            raise Unavailable(said)
        if status >= 500:
            raise NotTaken(said)
        if status >= 300:
            why = "; redirects are not followed" if status < 400 else ""
            raise Denied(f"{said}{why}")


def _checked(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        usable = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:
        usable = None
    plain = text.isascii() and text.isprintable() and " " not in text
    if not usable or not plain or "@" in url.netloc:
        raise UsageError(
            "the webhook's address is not usable",
            hint="http(s)://host[:port]/path, without a user: messages are signed instead",
        )
    return url


def _abort(connection: http.client.HTTPConnection) -> None:
    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
