"""The ledger's arithmetic: events as CDEvents in CloudEvents, and the chain that makes them provable.

The chain covers every column of a row and the *digest* of its body, not the body: a body can be erased
by law, or because it leaked, and the chain still proves what came before and after.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from andon.api.v1.control import Event, Link
from andon.kernel.clock import rfc3339
from andon.kernel.digest import sha256
from andon.ports.store import LedgerRow

FIRST = "0" * 64
"""What the first event of a stream follows."""

CDEVENTS_VERSION = "0.5.1"

_json = msgspec.json.Encoder(order="sorted")


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
    erased: int
    """Events whose body was taken away; what is left of them still fits the chain."""
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


def row_hash(row: LedgerRow) -> str:
    """Return the hash of an event: SHA-256 over a JSON array of its row, without body and hash.

    The array is in canonical JSON; the time in it is a string, as Python prints that float.
    """
    names = (row.stream, row.n, row.id, row.type, row.subject, row.chain)
    covered = (row.prev_hash, row.seq, *names, repr(row.time), row.body_digest)
    # For strings and integers this writes what canonical_json writes, several times faster.
    return hashlib.sha256(_json.encode(covered)).hexdigest()


def seal(event: Event, source: str, now: float, seq: int, n: int, prev_hash: str) -> LedgerRow:
    """Make the row that appends an event to its stream."""
    body = _json.encode(cloud_event(event, source, now))
    row = LedgerRow(
        seq=seq,
        stream=event.stream,
        n=n,
        id=event.id,
        type=event.type,
        subject=event.subject,
        chain=event.chain,
        time=float(now),
        body=body,
        body_digest=sha256(body),
        prev_hash=prev_hash,
        hash="",
    )
    return replace(row, hash=row_hash(row))


def verify(
    rows: Iterable[LedgerRow], heads: Mapping[str, tuple[int, str]], last_seq: int
) -> Verification:
    """Recompute every chain.

    Args:
        rows: All events by ``seq``, or any order that keeps each stream's.
        heads: Last position and hash of each stream, as the store remembers them.
        last_seq: Position of the newest event in the whole ledger, as the store remembers it.
    """
    findings: list[Finding] = []
    ends: dict[str, LedgerRow] = {}
    count = erased = 0
    for row in rows:
        count += 1
        erased += not row.body
        # A file's columns may hold anything, whatever their type says.
        if type(row.n) is not int or type(row.body) is not bytes:
            findings.append(_finding(row, "holds a value of a wrong type"))
            continue
        findings += _check(row, ends.get(row.stream))
        ends[row.stream] = row
    findings += _check_ends(ends, heads)
    if count != last_seq:
        what = f"{count} events are there, {last_seq} were written"
        findings.append(Finding(stream="", n=0, seq=last_seq, what=what))
    return Verification(events=count, streams=len(ends), erased=erased, findings=tuple(findings))


def _check(row: LedgerRow, before: LedgerRow | None) -> list[Finding]:
    expected_n, prev_hash, after = (
        (before.n + 1, before.hash, before.seq) if before else (1, FIRST, 0)
    )
    whats = []
    if row.n != expected_n:
        whats.append(f"event {expected_n} should be here")
    elif row.prev_hash != prev_hash:
        whats.append("does not follow the event before it")
    if row.seq <= after:
        whats.append("is out of order")
    if row.body and sha256(row.body) != row.body_digest:
        whats.append("its body was altered")
    if row_hash(row) != row.hash:
        whats.append("its hash does not fit")
    return [_finding(row, what) for what in whats]


def _finding(row: LedgerRow, what: str) -> Finding:
    n = row.n if type(row.n) is int else 0
    return Finding(stream=row.stream, n=n, seq=row.seq, what=what)


def _check_ends(
    ends: Mapping[str, LedgerRow], heads: Mapping[str, tuple[int, str]]
) -> Iterator[Finding]:
    for stream, (n, hash) in sorted(heads.items()):
        end = ends.get(stream)
        if end is None or (end.n, end.hash) != (n, hash):
            there, seq = (end.n, end.seq) if end else (0, 0)
            what = f"ends at {there} where {n} events were written, or with another hash"
            yield Finding(stream=stream, n=there, seq=seq, what=what)
    for stream, row in sorted(ends.items()):
        if stream not in heads:
            what = "a stream that was never begun"
            yield _finding(row, what)
