"""Keeping the ledger: proving it, erasing from it, archiving it, taking it out and in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any, Protocol

from msgspec.structs import replace

from andon.api.v1 import answers
from andon.api.v1.control import Event
from andon.app.ledger.shelf import Shelf
from andon.domains.line.events import extension
from andon.kernel.clock import Clock, rfc3339
from andon.kernel.errors import AndonError, Conflict, Denied, NotFound, Untrusted, UsageError
from andon.ports.proof import BlobStore, Signer, Witness
from andon.ports.store import Checkpoint, Finding, LedgerRow, Segment, Store, Tx, Verification
from andon.store.checkpoints import make_checkpoint, with_checkpoints
from andon.store.ledger import FIRST
from andon.store.segments import (
    PAGE,
    STREAM,
    archivable,
    archived_rows,
    check_blobs,
    expect_sound,
    packed,
    rows_in,
    segments_of,
)
from andon.store.transfer import (
    SUMMARY,
    Summary,
    decode_line,
    follow,
    line_of,
    links_of,
    matches,
    row_of,
    summary_line,
)

Json = dict[str, Any]
Guard = Callable[[Tx], None]
CHECKPOINT_EVENTS = 1000
CHECKPOINT_SECONDS = 600.0
LOOK_SECONDS = 10.0
ARCHIVE_SECONDS = 3600.0
BY_ITSELF = "andon"


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
        self._shelf = Shelf(store, blobs)
        self._clock = clock
        self._archiving = asyncio.Lock()

    def key(self) -> answers.Key:
        """Return the public key that checkpoints are signed with."""
        return {"keyId": self._proof.key_id, "publicKey": self._proof.public_key()}

    # --- checkpoints -----------------------------------------------------------------------------

    async def checkpoint(self, guard: Guard | None = None) -> answers.Checkpoint:
        """Sign the ends of all chains now: ``{made, seq}``.

        Args:
            guard: Refuses, in the same transaction, when another worker does this by now.
        """
        now = self._clock.now()

        def sign(tx: Tx) -> Checkpoint | None:
            _guarded(tx, guard)
            return make_checkpoint(tx, self._proof, now)

        made = await self._store.transact(sign)
        if made is None:
            newest = await self._store.read(lambda tx: tx.checkpoints(newest=1))
            return {"made": False, "seq": newest[0].seq if newest else 0}
        await asyncio.to_thread(self._proof.remember, made)
        return {"made": True, "seq": made.seq}

    async def keep(self, guard: Guard, *, archive_after_days: float = 0.0) -> None:
        """Sign and archive now and then, until cancelled; sign once more in the end.

        Args:
            guard: Refuses when another worker does this by now.
            archive_after_days: Move older events into the archive; 0: none.
        """
        archive_at = self._clock.now()
        made = True
        try:
            while True:
                with contextlib.suppress(AndonError):
                    await self._store.beside(guard)
                    await self._shelf.clear(made=made)
                    made = False
                    if await self._store.read(self._is_due):
                        await self.checkpoint(guard)
                    now = self._clock.now()
                    if archive_after_days and now >= archive_at:
                        archive_at = now + ARCHIVE_SECONDS
                        before = now - archive_after_days * 86400
                        await self.archive(before=before, by=BY_ITSELF, guard=guard)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            with contextlib.suppress(AndonError, TimeoutError):
                async with asyncio.timeout(2):
                    await self.checkpoint(guard)

    def _is_due(self, tx: Tx) -> bool:
        newest = tx.checkpoints(newest=1)
        seq, time = (newest[0].seq, newest[0].time) if newest else (0, 0.0)
        behind = tx.last_seq() - seq
        late = self._clock.now() - time >= CHECKPOINT_SECONDS
        return behind >= CHECKPOINT_EVENTS or (behind > 0 and late)

    # --- proving ---------------------------------------------------------------------------------

    async def verify(self, *, deep: bool = False) -> answers.Verification:
        """Recompute every chain and check every checkpoint and archived segment."""
        found = await self._store.verify()
        found = await self._store.read(lambda tx: self._check(tx, found, deep))
        return _verification_json(found)

    def _check(self, tx: Tx, found: Verification, deep: bool) -> Verification:
        segments = tx.segments()
        findings = (*found.findings, *check_blobs(segments, self._shelf.get, deep=deep))
        found = replace(found, findings=findings)
        found = replace(found, erased=found.erased + sum(one.erased for one in segments))
        try:
            newest = self._proof.newest()
        except Untrusted as error:
            wrong = Finding(stream="", n=0, seq=0, what=error.message)
            return replace(found, findings=(*found.findings, wrong))
        return with_checkpoints(found, tx.checkpoints(), newest, self._proof, tx, segments)

    # --- erasing ---------------------------------------------------------------------------------

    async def erase(self, id: str, *, by: str, reason: str) -> answers.Erasure:
        """Take out an event's body; the chain still proves that it was there.

        An archived one goes out of its blob: the new blob is durable before the segment points to it,
        and the old one is deleted once it does, at the next start if not now.
        """
        if not reason.strip():
            raise UsageError("erasing needs a reason", hint="--reason 'why it must go'")
        now = self._clock.now()
        segment = await self._store.read(lambda tx: tx.archived_in(id))
        archived, new = await self._without(segment, id) if segment is not None else (None, "")

        def take_out(tx: Tx) -> answers.Erasure:
            found = _erasable(archived or tx.event(id), id)
            if segment is None:
                tx.erase(id)
            else:
                self._shelf.expect(tx, new)
                tx.replace_blob(segment.digest, new, found.stream)
                self._shelf.drop(tx, segment.digest)
            told = _erasure(found, by, reason)
            tx.append(told, now)
            return {
                "id": id,
                "stream": found.stream,
                "n": found.n,
                "told": told.id,
                "wiped": False,
            }

        answer = await self._store.transact(take_out)
        await self._shelf.clear(made=False)
        answer["wiped"] = await self._store.wipe()
        return answer

    async def _without(self, segment: Segment, id: str) -> tuple[LedgerRow, str]:
        """Write an archived event's blob once more, without its body."""
        rows = await asyncio.to_thread(self._rows_of, segment)
        row = _erasable(next((one for one in rows if one.id == id), None), id)
        kept = [replace(one, body=b"") if one is row else one for one in rows]
        return row, await self._shelf.put(await asyncio.to_thread(packed, kept))

    # --- archiving -------------------------------------------------------------------------------

    async def archive(
        self, *, before: float, by: str, guard: Guard | None = None
    ) -> answers.Archival:
        """Move old beginnings of streams into the blob store.

        A crash loses nothing: rows go in the transaction that names their durable blob. Asked again,
        it goes on with what is still there.

        Args:
            before: Events older than this, in seconds since the Unix epoch.
            by: Who asks.
            guard: Refuses, in each transaction, when another worker does this by now.
        """
        events, blobs = 0, 0
        async with self._archiving:
            await self._shelf.clear(made=True)
            while rows := await self._store.read(partial(archivable, before=before)):
                await self._put_away(rows, by, guard)
                events, blobs = events + len(rows), blobs + 1
        if events:
            await self.checkpoint(guard)
        return {"events": events, "blobs": blobs}

    async def _put_away(self, rows: list[LedgerRow], by: str, guard: Guard | None) -> None:
        expect_sound(rows, await self._store.read(lambda tx: tx.segments()))
        digest = await self._shelf.put(await asyncio.to_thread(packed, rows))
        now = self._clock.now()
        segments = segments_of(rows, digest, now)

        def commit(tx: Tx) -> None:
            _guarded(tx, guard)
            self._shelf.expect(tx, digest)
            tx.archive(segments)
            tx.append(_archival(segments, digest, by), now)

        await self._store.transact(commit)

    async def find(self, id: str) -> LedgerRow | None:
        """Return one event, an archived one too.

        The database knows the segment of each archived id; its blob, of up to 20,000 events, is read and
        proven whole: a fraction of a second.
        """

        def look(tx: Tx) -> tuple[LedgerRow | None, Segment | None]:
            return tx.event(id), tx.archived_in(id)

        found, segment = await self._store.read(look)
        if found is not None or segment is None:
            return found
        rows = await asyncio.to_thread(self._rows_of, segment)
        return next((row for row in rows if row.id == id), None)

    def _rows_of(self, segment: Segment) -> list[LedgerRow]:
        return list(rows_in(self._shelf.get(segment.digest)))

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
        archived = archived_rows(segments, after, self._shelf.get)
        waiting = next(archived, None)
        while True:
            rows = await self._store.read(partial(_page, seq=seq))
            upto = min(rows[-1].seq, last) if len(rows) == PAGE else last
            old = []
            while waiting is not None and waiting.seq <= upto:
                old.append(waiting)
                waiting = await asyncio.to_thread(next, archived, None)
            page = sorted({row.seq: row for row in (*old, *rows) if row.seq <= upto}.items())
            if [number for number, _ in page] != list(range(seq + 1, upto + 1)):
                raise Conflict("events were archived meanwhile", hint="export again")
            for number, row in page:
                if matches(row, wanted):
                    follow(found, row, number)
                    yield line_of(row) + b"\n"
            seq = upto
            if seq >= last:
                break
        filtered = bool(wanted or after)
        now = rfc3339(self._clock.now())
        yield summary_line(found, "/andon", filtered=filtered, now=now) + b"\n"

    async def compare(self, heads: Mapping[str, tuple[int, str]]) -> answers.Comparison:
        """Say that an export is a beginning of this ledger: ``{same}``.

        Args:
            heads: Position and hash of the last event it holds of each stream.

        Raises:
            Conflict: This ledger holds something else there.
        """
        there = await self._store.read(
            lambda tx: (
                {name: tx.hash_at(name, n) for name, (n, _) in heads.items()},
                tx.segments(),
            )
        )
        for stream, (n, hash) in sorted(heads.items()):
            found = there[0][stream] or await asyncio.to_thread(
                self._archived_hash, there[1], stream, n
            )
            if found != hash:
                raise Conflict(f"the file is no beginning of this ledger: {stream} #{n} differs")
        return {"same": True}

    def _archived_hash(self, segments: list[Segment], stream: str, n: int) -> str:
        for one in segments:
            if one.stream == stream and one.first_n <= n <= one.last_n:
                rows = self._rows_of(one)
                return next(row.hash for row in rows if (row.stream, row.n) == (stream, n))
        return ""

    async def take_in(self, lines: AsyncIterator[bytes]) -> answers.Imported:
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


def _page(tx: Tx, seq: int) -> list[LedgerRow]:
    return tx.events(after=seq, limit=PAGE)


def _guarded(tx: Tx, guard: Guard | None) -> None:
    if guard is not None:
        guard(tx)


def _erasable(found: LedgerRow | None, id: str) -> LedgerRow:
    if found is None:
        raise NotFound(f"there is no event {id}", hint="`andon ledger list` lists them")
    if found.stream == STREAM:
        raise Denied(f"{id} says what was done to the ledger; that stays")
    if not found.body:
        raise Conflict(f"the body of {id} was erased already")
    return found


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


def _verification_json(found: Verification) -> answers.Verification:
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
