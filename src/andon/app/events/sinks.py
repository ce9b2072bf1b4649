"""Which sink an address means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from urllib.parse import urlsplit

from andon.adapters.eventwebhook import WebhookSink
from andon.adapters.outbound import LOCAL, Guard
from andon.api.configuration import parse_address
from andon.api.v1.installation import InstallationSpec
from andon.kernel.clock import Clock
from andon.kernel.errors import Unavailable, UsageError
from andon.ports.sinks import Receiver, Sink

InnerSinks = Mapping[str, Callable[[Receiver], Sink]]
WEBHOOK = ("http", "https")
OWN = "."
"""In the names of Andon's own subscribers, and of nobody else's."""


def scheme(url: str) -> str:
    """Return the part of an address before ``://``, in lower case."""
    return url.partition("://")[0].lower()


def guard_of(allow: Sequence[str], installation: InstallationSpec | None = None) -> Guard:
    """Say where calls may lead: over loopback too, while only this machine's users reach the control plane.

    Args:
        allow: Internal networks and patterns of names that may be called besides.
        installation: How others reach the control plane.

    Raises:
        UsageError: One is neither.
    """
    told = installation or InstallationSpec()
    ours_alone = parse_address(told.listen).is_loopback and told.proxy is None
    return Guard(allow, loopback=ours_alone)


def sinks(
    clock: Clock,
    guard: Guard = LOCAL,
    inner: InnerSinks = MappingProxyType({}),
) -> Callable[[Receiver], Sink]:
    """Return what opens the way to a subscriber; nothing is sent before the first delivery.

    Args:
        clock: The time.
        guard: Where calls may lead.
        inner: What opens Andon's own subscribers, by the scheme of their addresses.
    """

    def open_sink(spec: Receiver) -> Sink:
        if OWN in spec.name and scheme(spec.url) in inner:
            return inner[scheme(spec.url)](spec)
        match scheme(spec.url):
            case "http" | "https":
                return WebhookSink(spec, clock, guard=guard)
            case "amqp" | "amqps":
                return _amqp(spec, guard)
            case "nats" | "tls":
                return _nats(spec, guard)
        raise UsageError(
            f"nothing can be sent to an address of the kind {scheme(spec.url)!r}",
            hint="known: https, http, amqps, amqp, nats, tls (NATS)",
        )

    return open_sink


def _amqp(spec: Receiver, guard: Guard) -> Sink:
    try:
        from andon.adapters.amqp import AmqpSink
    except ImportError:
        raise Unavailable("AMQP needs the extra `amqp`", hint="pip install 'andon[amqp]'") from None
    return AmqpSink(spec, guard=guard)


def _nats(spec: Receiver, guard: Guard) -> Sink:
    try:
        from andon.adapters.nats import NatsSink
    except ImportError:
        raise Unavailable("NATS needs the extra `nats`", hint="pip install 'andon[nats]'") from None
    return NatsSink(spec, guard=guard)


def masked(url: str) -> str:
    """Return an address without what may be secret: passwords, and the path of a webhook.

    >>> masked("https://hooks.example.com:8443/T0/secret?key=1")
    'https://hooks.example.com:8443/…'
    >>> masked("amqp://ann:pw@mq:5672/line?exchange=events")
    'amqp://ann:…@mq:5672/line?exchange=events'
    """
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    shown = f"{name}:…" if colon else name
    # A NATS token stands alone before the @.
    shown = "…" if at and not colon and scheme(url) in ("nats", "tls") else shown
    if scheme(url) in WEBHOOK:
        hidden = "/…" if parts.path.strip("/") or parts.query else ""
        return f"{parts.scheme}://{place}{hidden}"
    return parts._replace(netloc=f"{shown}{at}{place}").geturl()
