"""Whatever is done to one place of a chain is found."""

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from andon.api.v1.control import Event
from andon.kernel.digest import canonical_json, sha256
from andon.ports.store import LedgerRow
from andon.store.ledger import FIRST, row_hash, seal
from andon.store.verification import ERASED, verify

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
