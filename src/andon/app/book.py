"""Keeping the ledger: proving it, erasing from it, archiving it, taking it out and in."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import heapq
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from functools import partial
from itertools import groupby
from typing import Any, Protocol

from msgspec.structs import astuple, replace

from andon.api.v1.control import Event
from andon.api.v1.records import TERMINAL
from andon.domains.line.events import extension
from andon.kernel.clock import Clock, rfc3339
from andon.kernel.errors import AndonError, Conflict, Denied, NotFound, Untrusted, UsageError
from andon.ports.proof import BlobStore, Signer, Witness
from andon.ports.store import Finding, LedgerRow, Segment, Store, Tx, Verification
from andon.store.checkpoints import make_checkpoint, with_checkpoints
from andon.store.ledger import FIRST
from andon.store.transfer import (
    SUMMARY,
    Summary,
    decode_line,
    follow,
    line_of,
    links_of,
    row_of,
    summary_line,
)
from andon.store.verification import scanned

log = logging.getLogger("andon.ledger")

Json = dict[str, Any]
STREAM = "ledger"
"""Chain of what was done to the ledger itself; it is never archived."""
CHECKPOINT_EVENTS = 1000
CHECKPOINT_SECONDS = 600.0
LOOK_SECONDS = 10.0
PAGE = 500
ARCHIVED_AT_ONCE = 20_000
FILTERS = ("stream", "chain", "subject", "type")


class Proof(Signer, Witness, Protocol):
    """The key, and the newest checkpoint outside the database."""


class Book:
    """The ledger's keeper.

    Args:
        store: The durable store.
        proof: Key and witness, outside the database.
        blobs: Where archived segments go.
        clock: The time.
    """

    def __init__(self, store: Store, proof: Proof, blobs: BlobStore, clock: Clock) -> None:
        self._store = store
        self._proof = proof
        self._blobs = blobs
        self._clock = clock

    def key(self) -> Json:
        """Return the public key that checkpoints are signed with."""
        return {"keyId": self._proof.key_id, "publicKey": self._proof.public_key()}

    # --- checkpoints -----------------------------------------------------------------------------

    async def checkpoint(self) -> Json:
        """Sign the ends of all chains now: ``{made, seq}``."""
        now = self._clock.now()
        made = await self._store.transact(lambda tx: make_checkpoint(tx, self._proof, now))
        if made is None:
            newest = await self._store.read(lambda tx: tx.checkpoints(newest=1))
            return {"made": False, "seq": newest[0].seq if newest else 0}
        await asyncio.to_thread(self._proof.remember, made)
        return {"made": True, "seq": made.seq}

    async def keep_signing(self, guard: Any) -> None:
        """Sign now and then, until cancelled; once more in the end."""
        try:
            while True:
                with contextlib.suppress(AndonError):
                    await self._store.beside(guard)
                    if await self._store.read(self._is_due):
                        await self.checkpoint()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            with contextlib.suppress(AndonError, TimeoutError):
                await asyncio.wait_for(self.checkpoint(), 2)

    def _is_due(self, tx: Tx) -> bool:
        newest = tx.checkpoints(newest=1)
        seq, time = (newest[0].seq, newest[0].time) if newest else (0, 0.0)
        behind = tx.last_seq() - seq
        late = self._clock.now() - time >= CHECKPOINT_SECONDS
        return behind >= CHECKPOINT_EVENTS or (behind > 0 and late)

    # --- proving ---------------------------------------------------------------------------------

    async def verify(self, *, deep: bool = False) -> Json:
        """Recompute every chain and check every checkpoint and archived segment."""
        found = await self._store.verify()
        found = await self._store.read(lambda tx: self._check(tx, found, deep))
        return _verification_json(found)

    def _check(self, tx: Tx, found: Verification, deep: bool) -> Verification:
        segments = tx.segments()
        findings = (*found.findings, *self._check_blobs(segments, deep))
        found = replace(found, findings=findings)
        found = replace(found, erased=found.erased + sum(one.erased for one in segments))
        try:
            newest = self._proof.newest()
        except Untrusted as error:
            wrong = Finding(stream="", n=0, seq=0, what=error.message)
            return replace(found, findings=(*found.findings, wrong))
        return with_checkpoints(found, tx.checkpoints(), newest, self._proof, tx.hash_at, segments)

    def _check_blobs(self, segments: list[Segment], deep: bool) -> Iterator[Finding]:
        for digest, group in groupby(sorted(segments, key=_digest_of), _digest_of):
            mine = list(group)
            try:
                data = self._blobs.get(digest)
                wrong = _check_segments(mine, _rows_in(data)) if deep else ""
            except (AndonError, OSError, EOFError) as error:
                wrong = error.message if isinstance(error, AndonError) else str(error)
            for segment in mine if wrong else ():
                yield Finding(
                    stream=segment.stream,
                    n=segment.first_n,
                    seq=segment.first_seq,
                    what=f"archived up to #{segment.last_n}: {wrong}",
                )

    # --- erasing ---------------------------------------------------------------------------------

    async def erase(self, id: str, *, by: str, reason: str) -> Json:
        """Take out an event's body; the chain still proves that it was there."""
        if not reason.strip():
            raise UsageError("erasing needs a reason", hint="--reason 'why it must go'")
        now = self._clock.now()
        segment = await self._store.read(lambda tx: tx.archived_in(id))
        if segment is not None:
            await asyncio.to_thread(self._blobs.get, segment.digest)
            row, new = await asyncio.to_thread(self._without, segment, id)
        old = segment.digest if segment is not None else ""

        def take_out(tx: Tx) -> Json:
            found = tx.event(id) if segment is None else row
            if found is None:
                raise NotFound(f"there is no event {id}", hint="`andon ledger list` lists them")
            if found.stream == STREAM:
                raise Denied(f"{id} says what was done to the ledger; that stays")
            if not found.body:
                raise Conflict(f"the body of {id} was erased already")
            if segment is None:
                tx.erase(id)
            else:
                tx.replace_blob(old, new, found.stream)
            told = _erasure(found, by, reason)
            tx.append(told, now)
            return {"id": id, "stream": found.stream, "n": found.n, "told": told.id}

        answer = await self._store.transact(take_out)
        if old:
            await asyncio.to_thread(self._blobs.delete, old)
        return answer

    def _without(self, segment: Segment, id: str) -> tuple[LedgerRow, str]:
        rows = list(_rows_in(self._blobs.get(segment.digest)))
        (row,) = [one for one in rows if one.id == id]
        kept = [replace(one, body=b"") if one.id == id else one for one in rows]
        return row, self._blobs.put(_packed(kept))

    # --- archiving -------------------------------------------------------------------------------

    async def archive(self, *, before: float, by: str) -> Json:
        """Move old beginnings of streams into the blob store.

        Args:
            before: Events older than this, in seconds since the Unix epoch.
            by: Who asks.
        """
        events, blobs = 0, 0
        while rows := await self._store.read(partial(_archivable, before=before)):
            part = scanned(astuple(row) for row in rows)
            known = {one.stream: one for one in await self._store.read(lambda tx: tx.segments())}
            for first in part.firsts.values():
                end = known.get(first.stream)
                expected = (end.last_n + 1, end.last_hash) if end else (1, FIRST)
                if part.findings or (first.n, first.prev_hash) != expected:
                    raise Untrusted(
                        f"{first.stream} does not verify; nothing of it is archived",
                        hint="`andon ledger verify` says what is wrong",
                    )
            # The blob is on the disk before a row goes: a crash here leaves a blob nobody names.
            digest = await asyncio.to_thread(self._blobs.put, _packed(rows))
            now = self._clock.now()
            segments = _segments(rows, digest, now)
            told = _archival(segments, digest, by)
            await self._store.transact(partial(_put_away, segments=segments, told=told, now=now))
            events, blobs = events + len(rows), blobs + 1
        if events:
            await self.checkpoint()
        return {"events": events, "blobs": blobs}

    # --- out and in ------------------------------------------------------------------------------

    async def export(
        self, *, after: int = 0, filters: Mapping[str, str] | None = None
    ) -> AsyncIterator[bytes]:
        """Yield lines of CloudEvents, archived ones too, and a summary in the end.

        Args:
            after: Only events with a greater ``seq``.
            filters: Any of ``stream, chain, subject, type``.
        """
        wanted = {name: value for name, value in (filters or {}).items() if value}
        found, seq = Summary(), after
        last, segments = await self._store.read(lambda tx: (tx.last_seq(), tx.segments()))
        archived = self._archived(segments)
        waiting = next(archived, None)
        while True:
            rows = await self._store.read(partial(_page, seq=seq))
            upto = min(rows[-1].seq, last) if len(rows) == PAGE else last
            old = []
            while waiting is not None and waiting.seq <= upto:
                old += [waiting] if waiting.seq > after else []
                waiting = await asyncio.to_thread(next, archived, None)
            page = sorted({row.seq: row for row in (*old, *rows) if row.seq <= upto}.items())
            if [number for number, _ in page] != list(range(seq + 1, upto + 1)):
                raise Conflict("events were archived meanwhile", hint="export again")
            for number, row in page:
                if _matches(row, wanted):
                    follow(found, row, number)
                    yield line_of(row) + b"\n"
            seq = upto
            if seq >= last:
                break
        filtered = bool(wanted or after)
        now = rfc3339(self._clock.now())
        yield summary_line(found, "/andon", filtered=filtered, now=now) + b"\n"

    def _archived(self, segments: list[Segment]) -> Iterator[LedgerRow]:
        digests = sorted({one.digest for one in segments})
        return heapq.merge(*(self._rows_of(digest) for digest in digests), key=_seq_of)

    def _rows_of(self, digest: str) -> Iterator[LedgerRow]:
        yield from _rows_in(self._blobs.get(digest))

    async def take_in(self, lines: AsyncIterator[bytes]) -> Json:
        """Restore events of an export behind those that are there: ``{events, skipped}``.

        Raises:
            Untrusted: A line does not verify; those before it are in.
            Conflict: The ledger holds something else at that place.
        """
        done, page, number = [0, 0], [], 0
        async for line in lines:
            number += 1
            value = decode_line(line, number)
            if value["type"] == SUMMARY and "andonseq" not in value:
                continue
            page.append((number, row_of(value, number)))
            if len(page) == PAGE:
                done = _sum(done, await self._restore(page))
                page = []
        done = _sum(done, await self._restore(page))
        return {"events": done[0], "skipped": done[1]}

    async def _restore(self, page: list[tuple[int, LedgerRow]]) -> list[int]:
        return await self._store.transact(lambda tx: _restored(tx, page))


def _sum(one: list[int], other: list[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]


def _restored(tx: Tx, page: list[tuple[int, LedgerRow]]) -> list[int]:
    last, heads = tx.last_seq(), tx.heads()
    fresh = []
    for number, row in page:
        if row.seq <= last:
            there = tx.event(row.id)
            if there is None or there.hash != row.hash:
                raise Conflict(
                    f"line {number}: the ledger holds another event at seq {row.seq}",
                    hint="import into a new state folder",
                )
            continue
        n, hash = heads.get(row.stream, (0, FIRST))
        if (row.seq, row.n, row.prev_hash) != (last + 1, n + 1, hash):
            raise Untrusted(
                f"line {number}: does not follow what is there (seq {last}, {row.stream} #{n})"
            )
        last, heads[row.stream] = row.seq, (row.n, row.hash)
        fresh.append(row)
    tx.restore(fresh, [link for row in fresh for link in links_of(row)])
    return [len(fresh), len(page) - len(fresh)]


def _archivable(tx: Tx, before: float) -> list[LedgerRow]:
    """Return the oldest events of each stream that nobody needs any more, by ``seq``."""
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


def _page(tx: Tx, seq: int) -> list[LedgerRow]:
    return tx.events(after=seq, limit=PAGE)


def _put_away(tx: Tx, segments: list[Segment], told: Event, now: float) -> None:
    tx.archive(segments)
    tx.append(told, now)


def _is_open(tx: Tx, change: str) -> bool:
    found = tx.get("Change", change)
    return found is not None and found.status.phase not in TERMINAL


def _segments(rows: list[LedgerRow], digest: str, now: float) -> list[Segment]:
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


def _check_segments(segments: list[Segment], rows: Iterable[LedgerRow]) -> str:
    """Say what is wrong with a blob; empty: nothing."""
    kept = list(rows)
    part = scanned(astuple(row) for row in kept)
    if part.findings:
        return str(part.findings[0])
    made = _segments(kept, "", 0.0)
    same = [replace(one, digest="", archived_at=0.0) for one in segments]
    return "" if sorted(same, key=_seg) == sorted(made, key=_seg) else "holds other events"


def _seg(segment: Segment) -> str:
    return segment.stream


def _digest_of(segment: Segment) -> str:
    return segment.digest


def _seq_of(row: LedgerRow) -> int:
    return row.seq


def _packed(rows: Iterable[LedgerRow]) -> bytes:
    return gzip.compress(b"".join(line_of(row) + b"\n" for row in rows), mtime=0)


def _rows_in(data: bytes) -> Iterator[LedgerRow]:
    for number, line in enumerate(gzip.decompress(data).splitlines(), 1):
        yield row_of(decode_line(line, number), number)


def _matches(row: LedgerRow, wanted: Mapping[str, str]) -> bool:
    for name, value in wanted.items():
        has = getattr(row, name)
        prefix = name == "type" and value.endswith(".")
        if has != value and not (prefix and has.startswith(value)):
            return False
    return True


def _erasure(row: LedgerRow, by: str, reason: str) -> Event:
    return extension(
        "ledger",
        "erased",
        id=f"ledger/erased/{row.hash}",
        stream=STREAM,
        about=row.id,
        content={"by": by, "reason": reason, "stream": row.stream, "n": row.n},
    )


def _archival(segments: list[Segment], digest: str, by: str) -> Event:
    ends = {one.stream: [one.first_n, one.last_n, one.last_hash] for one in segments}
    return extension(
        "ledger",
        "archived",
        id=f"ledger/archived/{digest}",
        stream=STREAM,
        about=digest,
        content={"by": by, "segments": ends},
    )


def _verification_json(found: Verification) -> Json:
    return {
        "ok": not found.findings,
        "events": found.events,
        "streams": found.streams,
        "erased": found.erased,
        "archived": found.archived,
        "segments": found.segments,
        "checkpoints": found.checkpoints,
        "signedSeq": found.signed_seq,
        "findings": [str(one) for one in found.findings],
        "places": [
            {"stream": one.stream, "n": one.n, "seq": one.seq, "id": one.id, "what": one.what}
            for one in found.findings
        ],
    }
