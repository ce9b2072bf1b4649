"""An event of the ledger with what led to it and what it led to."""

from __future__ import annotations

from andon.api.v1 import answers
from andon.app.ledger.book import Book
from andon.app.ledger.telling import event_body
from andon.app.shapes import event_json
from andon.kernel.errors import NotFound
from andon.ports.store import Store, Tx
from andon.store.transfer import links_of


async def event_in_full(store: Store, book: Book, id: str) -> answers.EventInFull:
    """Return an event with its body, its causes and its effects.

    Raises:
        NotFound: There is none of this id.
    """
    row = await book.find(id)
    if row is None:
        raise NotFound(f"there is no event {id}", hint="`andon ledger list` lists them")

    def answer(tx: Tx) -> answers.EventInFull:
        causes, effects = tx.linked(id)
        causes = causes or [target for _, target, _ in links_of(row)]
        known = {one: tx.event(one) for one in (*causes, *effects)}
        return {
            "event": event_json(row),
            "body": event_body(row),
            "causes": [event_json(found) for one in causes if (found := known[one])],
            "effects": [event_json(found) for one in effects if (found := known[one])],
        }

    return await store.read(answer)
