"""A Sink over HTTP(S): one signed POST an event, confirmed by a status of 200 to 299."""

from __future__ import annotations

import asyncio
from importlib.metadata import version

from andon.adapters.cloudevents import header, message
from andon.adapters.eventwebhook.signing import signature
from andon.adapters.outbound import LOCAL, Guard, post, web_address
from andon.kernel.clock import Clock
from andon.kernel.errors import Denied, Unavailable
from andon.ports.sinks import Gone, NotTaken, Outgoing, Receiver

TIMEOUT_SECONDS = 10.0
_LATER = (408, 425, 429, 502, 503, 504)
"""The other side, or a proxy before it, cannot take anything now."""
_HINT = "http(s)://host[:port]/path, without a user: messages are signed instead"


class WebhookSink:
    """POSTs events. Redirects are not followed, and the answer's body is not read.

    Errors name the host only, because the path of a webhook is often its secret.

    Args:
        spec: Where to, in which mode, signed with what.
        clock: The time that is signed.
        timeout_seconds: How long one exchange may take.
        guard: Where it may lead.

    Raises:
        UsageError: The address is none.
    """

    def __init__(
        self,
        spec: Receiver,
        clock: Clock,
        timeout_seconds: float = TIMEOUT_SECONDS,
        guard: Guard = LOCAL,
    ) -> None:
        self._spec = spec
        self._url = web_address(spec.url, _HINT)
        self._guard = guard
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
        }
        status = post(
            self._url,
            form.body,
            headers,
            guard=self._guard,
            timeout_seconds=self._timeout_seconds,
        )
        self._judge(status)

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
