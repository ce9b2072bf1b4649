"""The templates of a log store: learnt as lines come, written beside them, so that ids stay."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from sqlite3 import Connection

from andon.calc.logtemplates import MinedTemplate, Miner, MinerState
from andon.ports.telemetry import LogLine

TEMPLATES = """
CREATE TABLE IF NOT EXISTS templates(
  id INTEGER PRIMARY KEY, words TEXT NOT NULL, example TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS template_aliases(
  id INTEGER PRIMARY KEY, means INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""
EXAMPLE_CHARACTERS = 300


class Learnt:
    """A miner and what it wrote down.

    Args:
        db: Where an earlier one wrote.
    """

    def __init__(self, db: Connection) -> None:
        rows = db.execute("SELECT id, words, example FROM templates ORDER BY id").fetchall()
        aliases = dict(db.execute("SELECT id, means FROM template_aliases").fetchall())
        self._turn = threading.Lock()
        self._examples: dict[int, str] = {id: example for id, _, example in rows}
        self._miner = Miner(
            MinerState(
                next_id=max([0, *self._examples, *aliases]) + 1,
                templates=tuple(MinedTemplate(id, tuple(json.loads(w))) for id, w, _ in rows),
                aliases=aliases,
            )
        )

    def learn(self, lines: Sequence[LogLine]) -> list[int]:
        """Return the ids of lines' templates."""
        with self._turn:
            ids = self._miner.learn_all(one.text for one in lines)
            for line, id in zip(lines, ids, strict=True):
                if id and id not in self._examples:
                    self._examples[id] = line.text[:EXAMPLE_CHARACTERS]
            return ids

    def template_of(self, text: str) -> int:
        """Return the template of a line that was learnt."""
        with self._turn:
            return self._miner.canonical(self._miner.learn(text))

    def save(self, db: Connection) -> None:
        """Write down what changed since ``saved``."""
        miner = self._miner
        for id in miner.changed:
            root = miner.canonical(id)
            if root != id:
                db.execute("DELETE FROM templates WHERE id = ?", (id,))
                db.execute("INSERT OR REPLACE INTO template_aliases VALUES(?, ?)", (id, root))
            else:
                row = (id, json.dumps(miner.words(id)), self._examples.get(id, ""))
                db.execute("INSERT OR REPLACE INTO templates VALUES(?, ?, ?)", row)

    def saved(self) -> None:
        """What changed until now is durable."""
        for id in self._miner.changed:
            if self._miner.canonical(id) != id:
                self._examples.pop(id, None)
        self._miner.changed.clear()

    def canonical(self, id: int) -> int:
        """Return the id that a template goes by today."""
        return self._miner.canonical(id)

    def same(self, id: int) -> set[int]:
        """Return every id that means the same."""
        with self._turn:
            return self._miner.same(id)

    def text(self, id: int) -> str:
        """Return a template as a line."""
        return self._miner.text(id)

    def example(self, id: int) -> str:
        """Return the first line that was like it."""
        return self._examples.get(id, "")
