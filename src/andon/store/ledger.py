"""The ledger's arithmetic: events as CDEvents in CloudEvents, and the chain that makes them provable.

The chain covers the *digest* of each body, not the body: a body can be erased by law, or because it
leaked, and the chain still proves what came before and after.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from andon.api.v1.control import Event, Link
from andon.kernel.clock import rfc3339
from andon.kernel.digest import canonical_json, sha256
from andon.ports.store import LedgerRow

FIRST = "0" * 64
"""What the first event of a stream follows."""

CDEVENTS_VERSION = "0.5.1"


class Finding(Struct, frozen=True, kw_only=True):
    """Something in the ledger that is not as it was written."""

    stream: str
    n: int
    seq: int
    what: str


class Verification(Struct, frozen=True, kw_only=True):
    """The result of recomputing every chain."""

    events: int
    streams: int
    findings: tuple[Finding, ...]


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


def chain_hash(prev_hash: str, stream: str, n: int, id: str, body_digest: str) -> str:
    """Return the hash of an event: SHA-256 over these five, one a line.

    Args:
        prev_hash: Hash of the event before it in its stream, or ``FIRST``.
        stream: The stream.
        n: Position in it, from 1.
        id: Event id.
        body_digest: Digest of the body.

    >>> chain_hash(FIRST, "org", 1, "a", "sha256:00") != chain_hash(FIRST, "org", 2, "a", "sha256:00")
    True
    """
    text = "\n".join((prev_hash, stream, str(n), id, body_digest))
    return hashlib.sha256(text.encode()).hexdigest()


def seal(event: Event, source: str, now: float, seq: int, n: int, prev_hash: str) -> LedgerRow:
    """Make the row that appends an event to its stream."""
    body = canonical_json(cloud_event(event, source, now))
    digest = sha256(body)
    return LedgerRow(
        seq=seq,
        stream=event.stream,
        n=n,
        id=event.id,
        type=event.type,
        subject=event.subject,
        chain=event.chain,
        time=now,
        body=body,
        body_digest=digest,
        prev_hash=prev_hash,
        hash=chain_hash(prev_hash, event.stream, n, event.id, digest),
    )


def verify(rows: Iterable[LedgerRow], heads: Mapping[str, tuple[int, str]]) -> Verification:
    """Recompute every chain.

    Args:
        rows: All events, by stream and position.
        heads: Last position and hash of each stream, as the store remembers them.
    """
    findings: list[Finding] = []
    last: dict[str, LedgerRow] = {}
    count = 0
    for row in rows:
        count += 1
        findings += _check(row, last.get(row.stream))
        last[row.stream] = row
    for stream, (n, hash) in sorted(heads.items()):
        end = last.get(stream)
        if end is None or (end.n, end.hash) != (n, hash):
            there = end.n if end else 0
            findings.append(
                Finding(
                    stream=stream,
                    n=there,
                    seq=end.seq if end else 0,
                    what=f"ends at {there} where {n} events were written, or with another hash",
                )
            )
    findings += [
        Finding(stream=stream, n=row.n, seq=row.seq, what="a stream that was never begun")
        for stream, row in sorted(last.items())
        if stream not in heads
    ]
    return Verification(events=count, streams=len(last), findings=tuple(findings))


def _check(row: LedgerRow, before: LedgerRow | None) -> Iterator[Finding]:
    expected_n = before.n + 1 if before else 1
    prev_hash = before.hash if before else FIRST

    def finding(what: str) -> Finding:
        return Finding(stream=row.stream, n=row.n, seq=row.seq, what=what)

    if row.n != expected_n:
        yield finding(f"event {expected_n} is missing")
    elif row.prev_hash != prev_hash:
        yield finding("does not follow the event before it")
    if before is not None and row.seq <= before.seq:
        yield finding("is out of order")
    if row.body and sha256(row.body) != row.body_digest:
        yield finding("its body was altered")
    if chain_hash(row.prev_hash, row.stream, row.n, row.id, row.body_digest) != row.hash:
        yield finding("its hash does not fit")
    elif row.body and not _columns_fit(row):
        yield finding("its columns do not fit its body")


def _columns_fit(row: LedgerRow) -> bool:
    try:
        body = json.loads(row.body)
    except ValueError:
        return False
    chain = body["data"]["context"].get("chainId", "")
    told = (body["id"], body["type"], body["subject"], chain, body["time"])
    return told == (row.id, row.type, row.subject, row.chain, rfc3339(row.time))
