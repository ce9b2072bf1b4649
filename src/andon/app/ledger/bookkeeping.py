"""The ledger's keeper as an installation has it, and its regular work on one of the workers."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from andon.adapters.blobs.files import FileBlobs
from andon.adapters.signing.ed25519 import Ed25519Signer
from andon.app.ledger.book import Book
from andon.ports.store import Store
from andon.runtime.singleton import Singleton
from andon.runtime.system import SystemClock
from andon.runtime.worker import Pace


def ledger_book(state: Path, store: Store) -> Book:
    """Return the keeper of an installation's ledger; its key is made when it is first needed."""
    return Book(store, Ed25519Signer(state / "ledger"), FileBlobs(state / "blobs"), SystemClock())


async def keeping(
    book: Book, store: Store, worker: str, pace: Pace, archive_after_days: float
) -> None:
    """Sign the ends of all chains, and archive, now and then, on one of a state folder's workers.

    Args:
        book: The keeper.
        store: The durable store.
        worker: Who this is.
        pace: How fast others notice its end.
        archive_after_days: When events move into the archive; 0: never.
    """
    work = partial(book.keep, archive_after_days=archive_after_days)
    await Singleton(store, "ledger-checkpoints", worker, pace, work).run()
