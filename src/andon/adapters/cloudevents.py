"""CloudEvents 1.0 as messages: the whole event as one document, or attributes beside the data.

Source: CloudEvents 1.0.2, "Event formats" and the bindings of HTTP, AMQP and NATS.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from andon.ports.sinks import Outgoing
from andon.ports.store.outbox import Mode

STRUCTURED = "application/cloudevents+json"
_PLAIN = "".join(map(chr, range(0x21, 0x7F))).translate({ord('"'): None, ord("%"): None})

_json = msgspec.json.Encoder(order="sorted")


class Message(Struct, frozen=True, kw_only=True):
    """A CloudEvent for a protocol.

    Args:
        content_type: What the body is.
        attributes: Context attributes that travel beside it, without a prefix.
        body: The rest.
    """

    content_type: str
    attributes: dict[str, str]
    body: bytes


def message(event: Outgoing, mode: Mode) -> Message:
    """Put an event into a message.

    Args:
        event: As the ledger keeps it.
        mode: ``structured`` or ``binary``.
    """
    if mode == "structured":
        return Message(content_type=f"{STRUCTURED}; charset=utf-8", attributes={}, body=event.body)
    envelope: dict[str, Any] = msgspec.json.decode(event.body)
    data, content_type = envelope.pop("data"), envelope.pop("datacontenttype")
    return Message(content_type=content_type, attributes=envelope, body=_json.encode(data))


def header(value: str) -> str:
    """Write a value so that any protocol's header can carry it; most are left as they are.

    Source: CloudEvents 1.0.2, HTTP binding, section 3.1.3.2.

    >>> header("run/a/finished"), header("grün %")
    ('run/a/finished', 'gr%C3%BCn%20%25')
    """
    return quote(value, safe=_PLAIN)
