"""Answers questions about log lines: from the head that lies in memory, and from chunks."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

from andon.adapters.telemetry.database import Database
from andon.adapters.telemetry.logs.asked import Asked, Place, written_cursor
from andon.adapters.telemetry.logs.chunks import SEVERITIES, Entry, Packed, Unpacked
from andon.adapters.telemetry.logs.learning import Learnt
from andon.kernel.errors import Unavailable
from andon.ports.telemetry import LogBar, LogLine, LogPage, LogQuestion, LogTemplate

MOST_SCANNED_LINES = 4_000_000
MOST_ATTEMPTS = 20
T = TypeVar("T")


class Gone(Exception):
    """A chunk was forgotten, or became part of another, while it was asked for."""


class Reading:
    """Reads.

    Args:
        db: The file.
        learnt: Templates.
        label_sets: Label sets by id; others add to it.
        head: Returns the lines that are in no chunk yet.
    """

    def __init__(
        self,
        db: Database,
        learnt: Learnt,
        label_sets: dict[int, dict[str, str]],
        head: Callable[[], list[Entry]],
    ) -> None:
        self._db = db
        self._learnt = learnt
        self._label_sets = label_sets
        self._head_now = head

    def search(self, question: LogQuestion) -> LogPage:
        """Find lines, newest first; a page may end early where very many lines were looked at."""
        return _at_rest(lambda: self._search(question))

    def templates(self, question: LogQuestion) -> list[LogTemplate]:
        """Count the templates of the lines in question, most frequent first."""
        return _at_rest(lambda: self._templates(question))

    def histogram(self, question: LogQuestion, bars: int) -> list[LogBar]:
        """Count the lines in question over time, by severity."""
        return _at_rest(lambda: self._histogram(question, bars))

    def _search(self, question: LogQuestion) -> LogPage:
        asked, wanted = self._asked(question)
        found: dict[int, Entry] = {
            one.number: one for one in self._head_now() if one.labels in wanted and asked.wants(one)
        }
        newest = _Newest(question.limit, found.values())
        scanned, bound = 0, None
        for id, last_ns, lines in self._chunks(asked, wanted):
            if newest.full_before(last_ns):
                break
            if scanned >= MOST_SCANNED_LINES:
                bound = (last_ns + 1, 0)
                break
            scanned += lines
            chunk = self._unpacked(id)
            for place in asked.places(chunk):
                newest.add(chunk.at_ns[place], chunk.numbers[place], (chunk, place))
        return self._page(newest, bound)

    def _page(self, newest: _Newest, bound: Place | None) -> LogPage:
        entries = newest.entries()
        if bound is not None:
            entries = [one for one in entries if one.place >= bound]
        cursor = written_cursor(bound) if bound is not None else ""
        if len(entries) > newest.limit:
            entries = entries[: newest.limit]
            cursor = written_cursor(entries[-1].place)
        return LogPage(lines=[self._line(one) for one in entries], next=cursor)

    def _templates(self, question: LogQuestion) -> list[LogTemplate]:
        asked, wanted = self._asked(question)
        tallies: dict[int, list[int]] = {}

        def count(template: int, lines: int, first_ns: int, last_ns: int) -> None:
            row = tallies.setdefault(self._learnt.canonical(template), [0, first_ns, last_ns])
            row[0] += lines
            row[1], row[2] = min(row[1], first_ns), max(row[2], last_ns)

        head = self._head_now()
        for one in head:
            if one.labels in wanted and asked.wants(one):
                count(one.template, 1, one.at_ns, one.at_ns)
        seen = {one.number for one in head}
        for id, first_ns, last_ns in self._chunks_with_times(asked, wanted):
            if asked.only_labels and asked.start_ns <= first_ns and last_ns < asked.end_ns:
                for row in self._tallies(id, asked):
                    count(*row)
                continue
            chunk = self._unpacked(id)
            for place in asked.places(chunk):
                if chunk.numbers[place] not in seen:
                    at_ns = chunk.at_ns[place]
                    count(chunk.templates[place], 1, at_ns, at_ns)
        rows = [
            LogTemplate(
                id=id,
                text=self._learnt.text(id),
                count=lines,
                first_ns=first_ns,
                last_ns=last_ns,
                example=self._learnt.example(id),
            )
            for id, (lines, first_ns, last_ns) in tallies.items()
        ]
        return sorted(rows, key=lambda one: (-one.count, one.id))[: question.limit]

    def _histogram(self, question: LogQuestion, bars: int) -> list[LogBar]:
        asked, wanted = self._asked(question)
        width = max(1, -(-(question.end_ns - question.start_ns) // bars))
        counts: list[Counter[int]] = [Counter() for _ in range(bars)]
        head = self._head_now()
        for one in head:
            if one.labels in wanted and asked.wants(one):
                counts[(one.at_ns - question.start_ns) // width][one.severity] += 1
        seen = {one.number for one in head}
        for id, _, _ in self._chunks(asked, wanted):
            chunk = self._unpacked(id)
            for place in asked.places(chunk):
                if chunk.numbers[place] not in seen:
                    bar = (chunk.at_ns[place] - question.start_ns) // width
                    counts[bar][chunk.severities[place]] += 1
        return [
            LogBar(
                start_ns=question.start_ns + number * width,
                counts={SEVERITIES[severity]: n for severity, n in sorted(one.items())},
            )
            for number, one in enumerate(counts)
        ]

    def label_sets(self, start_ns: int, end_ns: int) -> list[dict[str, str]]:
        """Return the label sets that have lines then."""
        ids = {one.labels for one in self._head_now() if start_ns <= one.at_ns < end_ns}
        with self._db.read() as db:
            rows = db.execute(
                "SELECT DISTINCT labels FROM chunks WHERE last_ns >= ? AND first_ns < ?",
                (start_ns, end_ns),
            )
            ids.update(id for (id,) in rows)
        return [self._label_sets[id] for id in sorted(ids) if id in self._label_sets]

    # --- inside ------------------------------------------------------------------------------------

    def _asked(self, question: LogQuestion) -> tuple[Asked, set[int]]:
        same = self._learnt.same(question.template) if question.template else ()
        asked = Asked(question, frozenset(same))
        wanted = {id for id, one in list(self._label_sets.items()) if asked.wants_labels(one)}
        return asked, wanted

    def _line(self, entry: Entry) -> LogLine:
        return entry.line(
            self._label_sets.get(entry.labels, {}), self._learnt.canonical(entry.template)
        )

    def _chunks(self, asked: Asked, wanted: set[int]) -> list[tuple[int, int, int]]:
        return self._rows("id, last_ns, lines", asked, wanted)

    def _chunks_with_times(self, asked: Asked, wanted: set[int]) -> list[tuple[int, int, int]]:
        return self._rows("id, first_ns, last_ns", asked, wanted)

    def _rows(self, columns: str, asked: Asked, wanted: set[int]) -> list[tuple[int, int, int]]:
        """Return rows of chunks that may hold what is asked, those that ended last first."""
        # The columns are this file's own words.
        sql = f"SELECT {columns} FROM chunks WHERE last_ns >= ? AND first_ns < ? AND worst >= ?"
        values: list[object] = [asked.start_ns, asked.end_ns, asked.least]
        if len(wanted) < len(self._label_sets):
            sql += " AND labels IN (SELECT value FROM json_each(?))"
            values.append(json.dumps(sorted(wanted)))
        if asked.templates:
            sql += (
                " AND id IN (SELECT chunk FROM chunk_templates"
                " WHERE template IN (SELECT value FROM json_each(?)))"
            )
            values.append(json.dumps(sorted(asked.templates)))
        with self._db.read() as db:
            return db.execute(f"{sql} ORDER BY last_ns DESC", values).fetchall()

    def _tallies(self, chunk: int, asked: Asked) -> list[tuple[int, int, int, int]]:
        with self._db.read() as db:
            rows = db.execute(
                "SELECT template, lines, first_ns, last_ns FROM chunk_templates WHERE chunk = ?",
                (chunk,),
            ).fetchall()
        return [one for one in rows if not asked.templates or one[0] in asked.templates]

    def _unpacked(self, id: int) -> Unpacked:
        with self._db.read() as db:
            row = db.execute(
                "SELECT labels, texts, columns FROM chunks WHERE id = ?", (id,)
            ).fetchone()
        if row is None:
            raise Gone
        return Unpacked(row[0], Packed(row[1], row[2]))


class _Newest:
    """The newest of what was found, and one more, to know whether there is more.

    Args:
        limit: So many are wanted.
        entries: What is found already.
    """

    def __init__(self, limit: int, entries: Iterable[Entry]) -> None:
        self.limit = limit
        self._heap: list[tuple[int, int, Entry | tuple[Unpacked, int]]] = []
        self._numbers: set[int] = set()
        for one in entries:
            self.add(one.at_ns, one.number, one)

    def add(self, at_ns: int, number: int, what: Entry | tuple[Unpacked, int]) -> None:
        """Take one, unless it is there or older than enough others."""
        row = (at_ns, number, what)
        if len(self._heap) <= self.limit:
            if number not in self._numbers:
                self._numbers.add(number)
                heapq.heappush(self._heap, row)
        elif (at_ns, number) > self._heap[0][:2] and number not in self._numbers:
            self._numbers.add(number)
            self._numbers.discard(heapq.heapreplace(self._heap, row)[1])

    def full_before(self, last_ns: int) -> bool:
        """Say whether nothing of a chunk that ended then can be among them."""
        return len(self._heap) > self.limit and self._heap[0][0] > last_ns

    def entries(self) -> list[Entry]:
        """Return them, newest first."""
        rows = sorted(self._heap, key=lambda one: one[:2], reverse=True)
        return [one if isinstance(one, Entry) else one[0].entry(one[1]) for _, _, one in rows]


def _at_rest(ask: Callable[[], T]) -> T:
    """Ask again where a chunk went away meanwhile."""
    for _ in range(MOST_ATTEMPTS):
        try:
            return ask()
        except Gone:
            continue
    raise Unavailable("the logs change too quickly to be read", hint="ask again")
