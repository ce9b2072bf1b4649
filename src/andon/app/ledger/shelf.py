"""Blobs that the database names: none is lost, and none that holds what was erased stays behind.

A note in the database says of each blob whether it is being made or must go. It is written before the
blob, and taken away in the transaction that names the blob. After a crash the notes say what to delete.
"""

from __future__ import annotations

import asyncio

import msgspec

from andon.kernel.digest import sha256
from andon.kernel.errors import Conflict
from andon.ports.proof import BlobStore
from andon.ports.store import Store, Tx

NOTES = "ledger/blobs"
MAKING, GOING = "making", "going"
Notes = dict[str, str]


class Shelf:
    """Blobs, and notes of those that are not named yet or any more.

    Args:
        store: The durable store.
        blobs: Keeps bytes.
    """

    def __init__(self, store: Store, blobs: BlobStore) -> None:
        self._store = store
        self._blobs = blobs

    def get(self, digest: str) -> bytes:
        """Return a blob, as ``BlobStore.get`` does."""
        return self._blobs.get(digest)

    async def put(self, data: bytes) -> str:
        """Keep a blob durably, until the next ``clear`` unless a transaction names it.

        Raises:
            Conflict: The same bytes are being deleted.
        """
        digest = sha256(data)
        await self._store.transact(lambda tx: _note_making(tx, digest))
        return await asyncio.to_thread(self._blobs.put, data)

    def expect(self, tx: Tx, digest: str) -> None:
        """Take the note away, in the transaction that names a blob.

        Raises:
            Conflict: It was cleared meanwhile.
        """
        notes = _notes(tx)
        if notes.pop(digest, "") != MAKING:
            raise Conflict("the archive was cleared up meanwhile", hint="try again")
        _keep(tx, notes)

    def drop(self, tx: Tx, digest: str) -> None:
        """Note that a blob must go, in the transaction that no longer names it."""
        _keep(tx, _notes(tx) | {digest: GOING})

    async def clear(self, *, made: bool) -> None:
        """Delete what must go.

        Args:
            made: Blobs that are being made as well: whoever began them has crashed, or will be refused.
        """
        if not await self._store.read(_notes):
            return
        gone = await self._store.transact(lambda tx: _going(tx, made=made))
        for digest in gone:
            await asyncio.to_thread(self._blobs.delete, digest)
        await self._store.transact(lambda tx: _forget(tx, gone))


def _notes(tx: Tx) -> Notes:
    return msgspec.json.decode(tx.get_setting(NOTES) or "{}", type=Notes)


def _keep(tx: Tx, notes: Notes) -> None:
    tx.put_setting(NOTES, msgspec.json.encode(notes).decode())


def _note_making(tx: Tx, digest: str) -> None:
    notes = _notes(tx)
    if notes.get(digest) == GOING:
        raise Conflict("a blob of the archive is being deleted", hint="try again")
    _keep(tx, notes | {digest: MAKING})


def _going(tx: Tx, *, made: bool) -> list[str]:
    """Say what to delete; what is named is not, whatever its note says."""
    notes = _notes(tx)
    named = {segment.digest for segment in tx.segments()}
    for digest in named & set(notes):
        del notes[digest]
    notes = {digest: GOING if made else state for digest, state in notes.items()}
    _keep(tx, notes)
    return [digest for digest, state in notes.items() if state == GOING]


def _forget(tx: Tx, gone: list[str]) -> None:
    _keep(tx, {digest: state for digest, state in _notes(tx).items() if digest not in gone})
