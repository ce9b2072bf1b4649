"""Beginnings of streams as blobs: compressed lines that prove themselves."""

from __future__ import annotations

import gzip
import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from msgspec.structs import astuple, replace

from andon.api.v1.records import TERMINAL
from andon.kernel.errors import AndonError, Untrusted
from andon.ports.store import Finding, LedgerRow, Segment, Tx
from andon.store.ledger import FIRST
from andon.store.transfer import decode_line, line_of, row_of
from andon.store.verification import scanned

STREAM = "ledger"
"""Chain of what was done to the ledger itself; it is never archived."""
ARCHIVED_AT_ONCE = 20_000
PAGE = 500

Read = Callable[[str], bytes]
"""Returns the blob of a digest."""


def packed(rows: Iterable[LedgerRow]) -> bytes:
    """Write rows as a blob; the same rows are always the same bytes."""
    return gzip.compress(b"".join(line_of(row) + b"\n" for row in rows), mtime=0)


def rows_in(data: bytes) -> Iterator[LedgerRow]:
    """Read a blob, and prove each row."""
    for number, line in enumerate(gzip.decompress(data).splitlines(), 1):
        yield row_of(decode_line(line, number), number)


def archivable(tx: Tx, before: float) -> list[LedgerRow]:
    """Return the oldest events of each stream that nobody needs any more, by ``seq``.

    Args:
        tx: A transaction.
        before: Events older than this, in seconds since the Unix epoch.
    """
    delivered = tx.delivered_seq()
    chains: dict[str, bool] = {"": False}
    found: list[LedgerRow] = []
    for stream in sorted(set(tx.heads()) - {STREAM}):
        after, more = 0, True
        while more and len(found) < ARCHIVED_AT_ONCE:
            rows = tx.events(after=after, stream=stream, limit=PAGE)
            more = len(rows) == PAGE
            for row in rows:
                if row.chain not in chains:
                    chains[row.chain] = _is_open(tx, row.chain)
                undelivered = delivered is not None and row.seq > delivered
                if row.time >= before or chains[row.chain] or undelivered:
                    more = False
                    break
                found.append(row)
                after = row.seq
    return sorted(found, key=_seq_of)


def _is_open(tx: Tx, change: str) -> bool:
    found = tx.get("Change", change)
    return found is not None and found.status.phase not in TERMINAL


def expect_sound(rows: Iterable[LedgerRow], there: Iterable[Segment]) -> None:
    """Prove rows, and that they follow what was archived before.

    Raises:
        Untrusted: They do not.
    """
    part = scanned(astuple(row) for row in rows)
    known = {one.stream: one for one in there}
    for first in part.firsts.values():
        end = known.get(first.stream)
        expected = (end.last_n + 1, end.last_hash) if end else (1, FIRST)
        if part.findings or (first.n, first.prev_hash) != expected:
            raise Untrusted(
                f"{first.stream} does not verify; nothing of it is archived",
                hint="`andon ledger verify` says what is wrong",
            )


def segments_of(rows: Iterable[LedgerRow], digest: str, now: float) -> list[Segment]:
    """Describe the rows of a blob, by stream."""
    by_stream: dict[str, list[LedgerRow]] = {}
    for row in rows:
        by_stream.setdefault(row.stream, []).append(row)
    return [
        Segment(
            stream=stream,
            first_n=mine[0].n,
            last_n=mine[-1].n,
            first_seq=mine[0].seq,
            last_seq=mine[-1].seq,
            prev_hash=mine[0].prev_hash,
            last_hash=mine[-1].hash,
            digest=digest,
            erased=sum(not row.body for row in mine),
            archived_at=now,
        )
        for stream, mine in sorted(by_stream.items())
    ]


def check_blobs(segments: Iterable[Segment], read: Read, *, deep: bool) -> Iterator[Finding]:
    """Say what is wrong with the blobs that segments are in.

    Args:
        segments: All of them.
        read: Returns the blob of a digest.
        deep: Recompute their chains as well.
    """
    for digest, group in groupby(sorted(segments, key=_digest_of), _digest_of):
        mine = list(group)
        try:
            data = read(digest)
            wrong = _check(mine, rows_in(data)) if deep else ""
        except (AndonError, OSError, EOFError) as error:
            wrong = error.message if isinstance(error, AndonError) else str(error)
        for segment in mine if wrong else ():
            yield Finding(
                stream=segment.stream,
                n=segment.first_n,
                seq=segment.first_seq,
                what=f"archived up to #{segment.last_n}: {wrong}",
            )


def _check(segments: list[Segment], rows: Iterable[LedgerRow]) -> str:
    """Say what is wrong with a blob; empty: nothing."""
    kept = list(rows)
    part = scanned(astuple(row) for row in kept)
    if part.findings:
        return str(part.findings[0])
    made = segments_of(kept, "", 0.0)
    same = [replace(one, digest="", archived_at=0.0) for one in segments]
    return "" if sorted(same, key=_stream_of) == made else "holds other events"


def archived_rows(segments: Iterable[Segment], after: int, read: Read) -> Iterator[LedgerRow]:
    """Yield archived rows by ``seq``; only blobs that overlap are in memory together.

    Args:
        segments: All of them.
        after: Only rows behind this ``seq``; blobs that end before it are not read.
        read: Returns the blob of a digest.
    """
    spans: dict[str, tuple[int, int]] = {}
    for one in segments:
        first, last = spans.get(one.digest, (one.first_seq, one.last_seq))
        spans[one.digest] = min(first, one.first_seq), max(last, one.last_seq)
    waiting = sorted((*span, digest) for digest, span in spans.items() if span[1] > after)
    opened: list[tuple[int, LedgerRow]] = []
    while waiting or opened:
        while waiting and (not opened or waiting[0][0] <= opened[0][0]):
            for row in rows_in(read(waiting.pop(0)[2])):
                heapq.heappush(opened, (row.seq, row))
        seq, row = heapq.heappop(opened)
        if seq > after:
            yield row


def _stream_of(segment: Segment) -> str:
    return segment.stream


def _digest_of(segment: Segment) -> str:
    return segment.digest


def _seq_of(row: LedgerRow) -> int:
    return row.seq
