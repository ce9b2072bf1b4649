"""Whatever is done to one place of a chain is found."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from andon.adapters.blobs.files import FileBlobs
from andon.adapters.signing.ed25519 import Ed25519Signer
from andon.api.v1.control import Event
from andon.app.ledger.book import Book
from andon.kernel.digest import canonical_json, sha256
from andon.ports.store import LedgerRow
from andon.store import open_store
from andon.store.ledger import EVENT, FIRST, row_hash, seal
from andon.store.verification import ERASED, verify
from andon.testing.clock import FakeClock

TYPE = "dev.cdeventsx.andon-test.written.0.1.0"
Heads = dict[str, tuple[int, str]]


def chains(streams: list[int]) -> tuple[list[LedgerRow], Heads]:
    heads: Heads = {}
    rows = []
    for seq, stream in enumerate((f"s{k}" for k in streams), 1):
        n, prev = heads.get(stream, (0, FIRST))
        event = Event(id=f"e{seq}", stream=stream, type=TYPE, subject="x", data={"v": seq})
        row = seal(event, "/andon/test", float(seq), seq, n + 1, prev)
        heads[stream] = (n + 1, row.hash)
        rows.append(row)
    return rows, heads


def found(rows: list[LedgerRow], heads: Heads, last: int) -> bool:
    return bool(verify(sorted(rows, key=lambda r: (r.stream, r.n)), heads, last).findings)


histories = st.lists(st.integers(0, 2), min_size=1, max_size=12)


@given(histories)
def test_an_untouched_ledger_has_no_findings(streams: list[int]) -> None:
    rows, heads = chains(streams)
    assert not found(rows, heads, len(rows))


@settings(max_examples=400)
@given(histories, st.data())
def test_any_single_change_is_found(streams: list[int], data: st.DataObject) -> None:
    rows, heads = chains(streams)
    last = len(rows)
    at = data.draw(st.integers(0, last - 1))
    row = rows[at]
    how = data.draw(
        st.sampled_from(
            ["column", "body", "forged", "resealed", "remove", "insert", "swap", "head"]
        )
    )
    if how == "column":
        field = data.draw(
            st.sampled_from(
                ["stream", "id", "type", "subject", "chain", "body_digest", "prev_hash", "hash"]
            )
        )
        rows[at] = replace(row, **{field: getattr(row, field) + "x"})
    elif how == "body":
        rows[at] = replace(row, body=row.body + b" ")
    elif how == "forged":
        rows[at] = replace(row, body=b"{}", body_digest=sha256(b"{}"))
    elif how == "resealed":
        forged = replace(row, body=b"{}", body_digest=sha256(b"{}"))
        rows[at] = replace(forged, hash=row_hash(forged))
    elif how == "remove":
        del rows[at]
    elif how == "insert":
        extra = replace(
            row,
            id="forged",
            seq=last + 1,
            n=row.n + data.draw(st.integers(0, 3)),
            prev_hash=row.hash,
        )
        rows.append(replace(extra, hash=row_hash(extra)))
    elif how == "swap":
        others = [k for k, r in enumerate(rows) if r.stream == row.stream and k != at]
        if not others:
            return
        other = data.draw(st.sampled_from(others))
        rows[at], rows[other] = replace(rows[other], n=row.n), replace(row, n=rows[other].n)
    else:
        n, hash = heads[row.stream]
        heads[row.stream] = data.draw(st.sampled_from([(n - 1, hash), (n + 1, hash), (n, "x")]))
    assert found(rows, heads, last), how


@given(histories, st.data())
def test_numbers_and_times_are_covered(streams: list[int], data: st.DataObject) -> None:
    rows, heads = chains(streams)
    at = data.draw(st.integers(0, len(rows) - 1))
    field = data.draw(st.sampled_from(["seq", "n", "time"]))
    rows[at] = replace(rows[at], **{field: getattr(rows[at], field) + 1000})
    assert found(rows, heads, len(rows))


COVERED = ["type", "subject", "chain", "id", "body_digest"]


@given(histories, st.sampled_from([*COVERED, "body", "hash", "prev_hash"]), st.data())
def test_the_finding_names_the_place(streams: list[int], field: str, data: st.DataObject) -> None:
    rows, heads = chains(streams)
    at = data.draw(st.integers(0, len(rows) - 1))
    row = rows[at]
    more = b"x" if field == "body" else "x"
    rows[at] = replace(row, **{field: getattr(row, field) + more})
    ordered = sorted(rows, key=lambda r: (r.stream, r.n))
    first = verify(ordered, heads, len(rows)).findings[0]
    assert (first.stream, first.n, first.seq) == (row.stream, row.n, row.seq)


@given(histories, st.sets(st.integers(0, 11)))
def test_erased_bodies_are_counted_and_prove_the_rest(streams: list[int], erased: set[int]) -> None:
    rows, heads = chains(streams)
    gone = {at for at in erased if at < len(rows)}
    rows = [replace(row, body=b"") if at in gone else row for at, row in enumerate(rows)]
    result = verify(sorted(rows, key=lambda r: (r.stream, r.n)), heads, len(rows))
    assert result.erased == len(gone)
    assert [one.seq for one in result.findings] == sorted(at + 1 for at in gone)
    for at in gone:
        n, prev = heads.get("ledger", (0, FIRST))
        told = Event(id=f"t{at}", stream="ledger", type=ERASED, subject=f"e{at + 1}")
        rows.append(seal(told, "/andon/test", 0.0, len(rows) + 1, n + 1, prev))
        heads["ledger"] = (n + 1, rows[-1].hash)
    result = verify(rows, heads, len(rows))
    assert (result.findings, result.erased) == ((), len(gone))


names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(names, names, st.floats(0, 1e12))
def test_anybody_can_recompute_a_hash_from_canonical_json(
    id: str, subject: str, now: float
) -> None:
    event = Event(id=id, stream="org", type=TYPE, subject=subject, chain=id)
    row = seal(event, "/andon/test", min(now, 1e11), 7, 3, FIRST)
    covered = [
        *(row.prev_hash, row.seq, row.stream, row.n, row.id, row.type, row.subject, row.chain),
        *(repr(row.time), row.body_digest),
    ]
    assert row.hash == hashlib.sha256(canonical_json(covered)).hexdigest()


# --- a real ledger, and one who can write its database ---------------------------------------------

STREAMS = "abacbabcabca"
SIGNED = (4, 8)
COLUMNS = [*LedgerRow.__struct_fields__]
ANY_TEXT = st.one_of(st.just(""), st.text(max_size=3), st.integers(-9, 9), st.binary(max_size=3))
OTHERS: dict[str, st.SearchStrategy[Any]] = {
    "seq": st.integers(-3, 20),
    "n": st.one_of(st.integers(-3, 20), st.text(max_size=3), st.floats(0, 9)),
    "time": st.one_of(st.floats(allow_nan=False), st.just("never")),
    "body": st.one_of(st.binary(max_size=4), st.text(max_size=4)),
}


class Ledger:
    """A file of SQLite that was signed after some events, and not after others."""

    def __init__(self, folder: Path, signed: tuple[int, ...]) -> None:
        self.folder = folder
        self.signed_seq = max(signed, default=0)
        self.signer = Ed25519Signer(folder / "key")
        asyncio.run(self._write(signed))
        with sqlite3.connect(folder / "control.db") as file:
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self.rows = [LedgerRow(*row) for row in file.execute(f"SELECT {EVENT} FROM event")]
        file.close()

    def _book(self, name: str) -> Book:
        self.store = open_store(str(self.folder / name), source="/andon/test")
        return Book(self.store, self.signer, FileBlobs(self.folder / "blobs"), FakeClock(0.0))

    async def _write(self, signed: tuple[int, ...]) -> None:
        book = self._book("control.db")
        for seq, stream in enumerate(STREAMS, 1):
            one = Event(id=f"e{seq}", stream=stream, type=TYPE, subject="x", data={"v": seq})
            await self.store.transact(lambda tx, one=one, seq=seq: tx.append(one, float(seq)))
            if seq in signed:
                await book.checkpoint()
        self.store.close()

    def places_in(
        self, rows: list[LedgerRow], heads: Heads | None, damage: str = ""
    ) -> list[tuple[str, int]] | None:
        """Put other rows into a copy and verify it: where something is found; None: it cannot be written."""
        copy = self.folder / "copy.db"
        for end in ("-wal", "-shm"):
            copy.with_name(f"copy.db{end}").unlink(missing_ok=True)
        shutil.copyfile(self.folder / "control.db", copy)
        try:
            with sqlite3.connect(copy) as file:
                file.execute("DELETE FROM event")
                marks = ", ".join("?" * len(COLUMNS))
                values = [[getattr(row, name) for name in COLUMNS] for row in rows]
                file.executemany(
                    f"INSERT INTO event ({', '.join(COLUMNS)}) VALUES ({marks})", values
                )
                file.execute(damage)
                for stream, (n, hash) in (heads or {}).items():
                    file.execute("REPLACE INTO head VALUES (?, ?, ?)", (stream, n, hash))
                if heads is not None:
                    marks = ", ".join("?" * len(heads))
                    file.execute(f"DELETE FROM head WHERE stream NOT IN ({marks})", [*heads])
        except sqlite3.IntegrityError:
            return None
        finally:
            file.close()
        book = self._book("copy.db")
        try:
            answer = asyncio.run(book.verify())
        finally:
            self.store.close()
        return [(one["stream"], one["n"]) for one in answer["places"]]


@pytest.fixture(scope="module")
def unsigned(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return Ledger(tmp_path_factory.mktemp("unsigned"), ())


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return Ledger(tmp_path_factory.mktemp("signed"), SIGNED)


Touched = set[tuple[str, int]]
real = settings(max_examples=100, deadline=None)


def altered(rows: list[LedgerRow], data: st.DataObject) -> Touched:
    """Do one thing to one place, and leave the rest; what was there."""
    at = data.draw(st.integers(0, len(rows) - 1))
    row = rows[at]
    how = data.draw(st.sampled_from(["column", "remove", "swap", "insert"]))
    if how == "column":
        field = data.draw(st.sampled_from(COLUMNS))
        value = data.draw(OTHERS.get(field, ANY_TEXT))
        rows[at] = replace(row, **{field: value})
        return {(row.stream, row.n), (str(value), row.n)} if rows[at] != row else set()
    if how == "remove":
        del rows[at]
    elif how == "swap":
        other = data.draw(st.integers(0, len(rows) - 1))
        if other == at:
            return set()
        there = rows[other]
        rows[at] = replace(there, seq=row.seq)
        rows[other] = replace(row, seq=there.seq)
        return {(row.stream, row.n), (there.stream, there.n)}
    else:
        seq, n = data.draw(st.integers(-2, 20)), data.draw(st.integers(0, 9))
        stream = data.draw(st.sampled_from("abcx"))
        made = replace(row, id="forged", stream=stream, seq=seq, n=n)
        rows.append(replace(made, hash=row_hash(made)))
        return {(stream, n)}
    return {(row.stream, row.n)}


def is_placed(places: list[tuple[str, int]], touched: Touched) -> bool:
    """Whether some finding is in a stream that was touched, there or before."""
    return any(stream == there and n <= at for there, at in touched for stream, n in places)


@real
@given(st.data())
def test_what_is_altered_in_a_file_is_found_there(unsigned: Ledger, data: st.DataObject) -> None:
    rows = list(unsigned.rows)
    touched = altered(rows, data)
    places = unsigned.places_in(rows, None)
    if places is not None:
        assert bool(places) == bool(touched)
        assert not touched or is_placed(places, touched)


def rewritten(rows: list[LedgerRow], data: st.DataObject) -> tuple[Touched, int]:
    """Do one thing to one place; what was there, and its ``seq``. All else is made to fit by ``forge``."""
    at = data.draw(st.integers(0, len(rows) - 1))
    row = rows[at]
    how = data.draw(st.sampled_from(["column", "body", "stream", "remove", "swap", "insert"]))
    if how == "column":
        field = data.draw(st.sampled_from(["id", "type", "subject", "chain"]))
        rows[at] = replace(row, **{field: getattr(row, field) + "x"})
    elif how == "body":
        rows[at] = replace(row, body=b"{}", body_digest=sha256(b"{}"), time=row.time + 1)
    elif how == "stream":
        rows[at] = replace(row, stream=data.draw(st.sampled_from("xyz")))
    elif how == "remove":
        del rows[at]
    elif how == "swap":
        other = data.draw(st.integers(0, len(rows) - 1).filter(lambda k: k != at))
        rows[at], rows[other] = rows[other], row
        there = rows[at]
        return {(row.stream, row.n), (there.stream, there.n)}, min(row.seq, there.seq)
    else:
        stream = data.draw(st.sampled_from("abcx"))
        rows.insert(at, replace(row, id="forged", stream=stream))
        n = 1 + sum(one.stream == stream for one in rows[:at])
        return {(stream, n), (row.stream, row.n)}, row.seq
    return {(row.stream, row.n)}, row.seq


def forge(rows: list[LedgerRow]) -> tuple[list[LedgerRow], Heads]:
    """Number and hash everything again, as one who knows how can."""
    heads: Heads = {}
    made = []
    for seq, row in enumerate(rows, 1):
        n, hash = heads.get(row.stream, (0, FIRST))
        one = replace(row, seq=seq, n=n + 1, prev_hash=hash)
        made.append(replace(one, hash=row_hash(one)))
        heads[row.stream] = (n + 1, made[-1].hash)
    return made, heads | {"": (len(rows), "")}


@real
@given(st.data())
def test_what_was_signed_cannot_be_rewritten(signed: Ledger, data: st.DataObject) -> None:
    rows = list(signed.rows)
    touched, seq = rewritten(rows, data)
    places = signed.places_in(*forge(rows))
    assert places is not None
    # What came after the newest checkpoint one who controls the database can rewrite.
    assert bool(places) == (seq <= signed.signed_seq)
    assert not places or is_placed(places, touched)


@settings(real, max_examples=40)
@given(st.data())
def test_what_was_never_signed_can_be_rewritten(unsigned: Ledger, data: st.DataObject) -> None:
    rows = list(unsigned.rows)
    rewritten(rows, data)
    assert unsigned.places_in(*forge(rows)) == []


@settings(real, max_examples=40)
@given(st.sampled_from(["type", "subject", "chain", "stream", "id"]), st.integers(0, 11))
def test_text_that_is_no_text_is_found(unsigned: Ledger, field: str, at: int) -> None:
    damage = f"UPDATE event SET {field} = CAST(X'78ff' AS TEXT) WHERE seq = {at + 1}"
    places = unsigned.places_in(list(unsigned.rows), None, damage)
    assert places is not None
    row = unsigned.rows[at]
    assert is_placed(places, {(row.stream, row.n)})
