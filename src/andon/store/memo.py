"""What a process remembers of the database, so that a turn costs the same however large its Run is.

Nothing here is trusted: a spec is remembered under the generation it belongs to, and steps with the
number of the last write seen, behind which the database is asked for what is newer.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from andon.api.v1.records import Object
from andon.api.v1.steps import Steps

SPEC_CHARACTERS = 8_000_000
"""Specs are remembered while their texts are no longer than this together."""
SEEN_OBJECTS = 2_000
STEP_ROWS = 20_000
"""So many steps are remembered, and at least those of one Run."""


class Specs:
    """Decoded specs by uid and generation; any thread may ask."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, int], tuple[Any, int]] = OrderedDict()
        self._size = 0
        self._door = threading.Lock()

    def get(self, uid: str, generation: int) -> Any:
        """Return a spec, or None."""
        return self._known.get((uid, generation), (None, 0))[0]

    def keep(self, uid: str, generation: int, spec: Any, size: int) -> None:
        """Remember a spec whose text is so long."""
        with self._door:
            self._size += size - self._known.pop((uid, generation), (None, 0))[1]
            self._known[uid, generation] = (spec, size)
            while self._size > SPEC_CHARACTERS:
                self._size -= self._known.popitem(last=False)[1][1]

    def clear(self) -> None:
        """Forget all."""
        with self._door:
            self._known.clear()
            self._size = 0


class Seen:
    """Objects that readers decoded, with the texts they were decoded from; any thread may ask."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[tuple[Any, ...], Object]] = OrderedDict()
        self._door = threading.Lock()

    def get(self, uid: str, row: tuple[Any, ...]) -> Object | None:
        """Return what was decoded from just this row, or None."""
        texts, found = self._known.get(uid, (None, None))
        return found if texts == row else None

    def keep(self, uid: str, row: tuple[Any, ...], found: Object) -> None:
        """Remember what a row was decoded to."""
        with self._door:
            self._known.pop(uid, None)
            self._known[uid] = (row, found)
            while len(self._known) > SEEN_OBJECTS:
                self._known.popitem(last=False)


class Memo:
    """What the writer remembers, or what readers do.

    Args:
        specs: Shared by both.
        seen: Shared by readers; None: every object is decoded anew.
    """

    def __init__(self, specs: Specs, seen: Seen | None = None) -> None:
        self.specs = specs
        self.seen = seen
        self._books: OrderedDict[str, tuple[Steps, int]] = OrderedDict()

    def book(self, uid: str) -> tuple[Steps, int]:
        """Return a Run's steps, and the number of the last write they know of."""
        return self._books.pop(uid, None) or (Steps(), 0)

    def keep_book(self, uid: str, steps: Steps, written: int) -> None:
        """Remember a Run's steps."""
        self._books[uid] = (steps, written)
        while (
            len(self._books) > 1 and sum(len(book) for book, _ in self._books.values()) > STEP_ROWS
        ):
            self._books.popitem(last=False)

    def forget(self) -> None:
        """Forget all, as something that was seen has been rolled back."""
        self._books.clear()
        self.specs.clear()
