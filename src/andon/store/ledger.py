"""The ledger's arithmetic: events as CDEvents in CloudEvents, and the chain that makes them provable.

The chain covers every column of a row and the *digest* of its body, not the body: a body can be erased
by law, or because it leaked, and the chain still proves what came before and after.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from msgspec import Struct

from andon.api.v1.control import Event, Link
from andon.kernel.clock import rfc3339
from andon.kernel.digest import sha256
from andon.kernel.errors import UsageError
from andon.ports.store import LedgerRow

FIRST = "0" * 64
"""What the first event of a stream follows."""

CDEVENTS_VERSION = "0.5.1"

_json = msgspec.json.Encoder(order="sorted")


Raw = tuple[Any, ...]
"""A row of the table ``event`` as the driver gives it, in the order of ``EVENT``."""
EVENT = "seq, stream, n, id, type, subject, chain, time, body, body_digest, prev_hash, hash"


class Draft(Struct, frozen=True, eq=False):
    """An event that has a body already and no place in its chain yet."""

    id: str
    stream: str
    type: str
    subject: str
    chain: str
    time: float
    body: bytes
    links: tuple[tuple[str, str], ...]


def cloud_event(event: Event, source: str, now: float) -> dict[str, Any]:
    """Wrap an event as the ledger keeps it.

    Args:
        event: What happened.
        source: URI-reference of this installation.
        now: When, seconds since the Unix epoch.

    Source: CloudEvents 1.0; CDEvents 0.5.1, "CloudEvents binding".
    """
    moment = rfc3339(now)
    context: dict[str, Any] = {
        "specversion": CDEVENTS_VERSION,
        "id": event.id,
        "source": source,
        "type": event.type,
        "timestamp": moment,
    }
    if event.chain:
        context["chainId"] = event.chain
    if event.links:
        context["links"] = _links(event.links)
    data: dict[str, Any] = {
        "context": context,
        "subject": {"id": event.subject, "content": event.content},
    }
    if event.data:
        data |= {"customData": event.data, "customDataContentType": "application/json"}
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": source,
        "type": event.type,
        "subject": event.subject,
        "time": moment,
        "datacontenttype": "application/json",
        "data": data,
    }


def _links(links: tuple[Link, ...]) -> list[dict[str, Any]]:
    path = {"linkType": "PATH", "from": {"contextId": links[0].target}}
    related = [
        {"linkType": "RELATION", "linkKind": link.kind, "target": {"contextId": link.target}}
        for link in links
    ]
    return [path, *related]


def hash_of(*covered: Any) -> str:
    """Return the hash of an event: SHA-256 over a JSON array of its row, without body and hash.

    The array is in canonical JSON; the time in it is a string, as Python prints that float.

    Args:
        covered: ``prev_hash, seq, stream, n, id, type, subject, chain, time, body_digest``.
    """
    # For strings and integers this writes what canonical_json writes, several times faster.
    return hashlib.sha256(_json.encode(covered)).hexdigest()


def row_hash(row: LedgerRow) -> str:
    """Return the hash that a row should have."""
    names = (row.stream, row.n, row.id, row.type, row.subject, row.chain)
    return hash_of(row.prev_hash, row.seq, *names, repr(row.time), row.body_digest)


def draft(event: Event, source: str, now: float) -> Draft:
    """Write an event's body.

    Raises:
        UsageError: Its columns hold what no database keeps.
    """
    try:
        event.stream.encode()
        body = _json.encode(cloud_event(event, source, now))
    except UnicodeEncodeError as error:
        raise UsageError(f"the event {event.id!a} holds what is no text: {error.reason}") from None
    links = tuple([(link.target, link.kind) for link in event.links])
    if b"\\u0000" in body or "\0" in event.stream:
        _refuse_zeros(event)
    names = (event.id, event.stream, event.type, event.subject, event.chain)
    return Draft(*names, float(now), body, links)


def _refuse_zeros(event: Event) -> None:
    names = (event.id, event.stream, event.type, event.subject, event.chain)
    if "\0" in "".join((*names, *(link.target + link.kind for link in event.links))):
        raise UsageError(f"the event {event.id!a} has a character 0 in a name")


def sealed(draft: Draft, seq: int, n: int, prev_hash: str) -> Raw:
    """Make the row that appends an event to its stream."""
    id, stream, type, subject, chain, time, body, _ = (
        *(draft.id, draft.stream, draft.type, draft.subject, draft.chain),
        *(draft.time, draft.body, draft.links),
    )
    digest = sha256(body)
    hash = hash_of(prev_hash, seq, stream, n, id, type, subject, chain, repr(time), digest)
    return (seq, stream, n, id, type, subject, chain, time, body, digest, prev_hash, hash)


def seal(event: Event, source: str, now: float, seq: int, n: int, prev_hash: str) -> LedgerRow:
    """Make the row that appends an event to its stream, with names."""
    return LedgerRow(*sealed(draft(event, source, now), seq, n, prev_hash))
