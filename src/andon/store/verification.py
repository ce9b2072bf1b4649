"""Recomputing the chains: what fits, and where it does not.

Rows are taken as the driver gives them, a part of the ledger at a time, so that parts can be read by
several processes; ``joined`` puts their ends together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from andon.ports.store import Finding, LedgerRow, Segment, Verification
from andon.store.ledger import FIRST, Raw

ERASED = "dev.cdeventsx.andon-ledger.erased.0.1.0"
"""Type of the event that says whose body was taken out; its subject is the id of that event."""

TYPES = (int, str, int, str, str, str, str, float, bytes, str, str, str)
"""Of a row."""

_json = msgspec.json.Encoder(order="sorted")


class Place(Struct, array_like=True, frozen=True):
    """An event, as far as its neighbours must fit it: where it is and what it is called."""

    stream: str
    n: int
    seq: int
    id: str
    prev_hash: str
    hash: str


class Part(Struct):
    """What is known after reading some rows: their two ends by stream, and what does not fit."""

    events: int = 0
    firsts: dict[str, Place] = {}
    lasts: dict[str, Place] = {}
    erased: dict[str, Place] = {}
    told: list[str] = []
    """Ids whose erasure is told."""
    findings: list[Finding] = []


def scanned(rows: Iterable[Raw]) -> Part:
    """Recompute the digests and hashes of rows, and that each follows the one before.

    Args:
        rows: By ``seq``, or any order that keeps each stream's.
    """
    part = Part()
    lasts: dict[str, Raw] = {}
    sha, encode, join = hashlib.sha256, _json.encode, "".join
    count = 0
    for row in rows:
        count += 1
        seq, stream, n, id, type_, subject, chain, time, body, digest, prev, hash = row
        before = lasts.get(stream)
        if before is None or not body or type_ == ERASED:
            _note(part, row, first=before is None)
        lasts[stream] = row
        covered = (prev, seq, stream, n, id, type_, subject, chain, repr(time), digest)
        try:
            if (
                (before is None or (prev == before[11] and n == before[2] + 1 and seq > before[0]))
                and type(body) is bytes
                and join((prev, stream, id, type_, subject, chain, digest))
                and (not body or f"sha256:{sha(body).hexdigest()}" == digest)
                and sha(encode(covered)).hexdigest() == hash
            ):
                continue
        except TypeError:  # JSON would write bytes as a text: joining tells them apart.
            pass
        part.findings += _explain(row, before)
        lasts[stream] = row if type(n) is int else (seq, stream, 0, *row[3:])
    part.events = count
    part.lasts = {place.stream: place for place in map(_place, lasts.values())}
    return part


def _place(row: Raw) -> Place:
    seq, stream, n, id, *_, prev_hash, hash = row
    number = n if type(n) is int else 0
    return Place(_text(stream), number, seq, _text(id), _text(prev_hash), _text(hash))


def _text(value: object) -> str:
    return value if type(value) is str else repr(value)


def _note(part: Part, row: Raw, *, first: bool) -> None:
    place = _place(row)
    if first:
        part.firsts[place.stream] = place
    if not row[8]:
        part.erased[place.id] = place
    if row[4] == ERASED:
        part.told.append(_text(row[5]))


def _explain(row: Raw, before: Raw | None) -> Iterator[Finding]:
    """Say what is wrong with a row (a file's columns may hold anything, whatever their type says)."""
    seq, stream, n, id, type_, subject, chain, time, body, digest, prev, hash = row
    place = _place(row)
    if before is not None:
        yield from _check_order(_place(before), place)
    if tuple(map(type, row)) != TYPES:
        yield _at(place, "holds a value of a wrong type")
        return
    if body and f"sha256:{hashlib.sha256(body).hexdigest()}" != digest:
        yield _at(place, "its body was altered")
    covered = (prev, seq, stream, n, id, type_, subject, chain, repr(time), digest)
    if hashlib.sha256(_json.encode(covered)).hexdigest() != hash:
        yield _at(place, "its hash does not fit")


def _check_order(before: Place, after: Place) -> Iterator[Finding]:
    if after.n != before.n + 1:
        place = replace(after, n=min(before.n + 1, after.n))
        yield _at(place, f"event {before.n + 1} should be here, not {after.n}")
    elif after.prev_hash != before.hash:
        yield _at(after, "does not follow the event before it")
    if after.seq <= before.seq:
        yield _at(after, "is out of order")


def _at(place: Place, what: str) -> Finding:
    return Finding(stream=place.stream, n=place.n, seq=place.seq, id=place.id, what=what)


def joined(
    parts: Sequence[Part],
    heads: Mapping[str, tuple[int, str]],
    last_seq: int,
    segments: Sequence[Segment] = (),
) -> Verification:
    """Put the parts of a ledger together.

    Args:
        parts: In the order of ``seq``.
        heads: Last position and hash of each stream, as the store remembers them.
        last_seq: Position of the newest event in the whole ledger, as the store remembers it.
        segments: What was archived, by stream and position.
    """
    findings = [finding for part in parts for finding in part.findings]
    ends: dict[str, Place] = {}
    for segment in segments:
        findings += _follow(ends, _first_of(segment))
        ends[segment.stream] = _last_of(segment)
    for part in parts:
        for first in part.firsts.values():
            findings += _follow(ends, first)
        ends |= part.lasts
    events = sum(part.events for part in parts)
    archived = sum(segment.last_n - segment.first_n + 1 for segment in segments)
    findings += _check_ends(ends, heads)
    if events + archived != last_seq:
        what = f"{events + archived} events are there, {last_seq} were written"
        findings.append(Finding(stream="", n=0, seq=last_seq, what=what))
    findings += _check_range(parts, ends, last_seq)
    findings += _check_erasures(parts)
    findings.sort(key=lambda finding: (finding.stream == "", finding.seq))
    return Verification(
        events=events,
        streams=len(ends),
        erased=sum(len(part.erased) for part in parts),
        findings=tuple(findings),
        archived=archived,
        segments=len(segments),
    )


def _check_range(
    parts: Sequence[Part], ends: Mapping[str, Place], last_seq: int
) -> Iterator[Finding]:
    """Check that positions go from 1 to the last; with their number that leaves no gap and no more."""
    for first in (first for part in parts for first in part.firsts.values()):
        if first.seq < 1:
            yield _at(first, "is before the beginning of the ledger")
    last = max((place.seq for place in ends.values()), default=0)
    if last != last_seq:
        what = f"the last event is at seq {last}, the last written was at {last_seq}"
        yield Finding(stream="", n=0, seq=last_seq, what=what)


def _first_of(segment: Segment) -> Place:
    return Place(segment.stream, segment.first_n, segment.first_seq, "", segment.prev_hash, "")


def _last_of(segment: Segment) -> Place:
    return Place(segment.stream, segment.last_n, segment.last_seq, "", "", segment.last_hash)


def _follow(ends: Mapping[str, Place], first: Place) -> Iterator[Finding]:
    """Check the first event of a part, or of a segment, against the end of what came before."""
    begin = Place(first.stream, 0, 0, "", "", FIRST)
    return _check_order(ends.get(first.stream, begin), first)


def _check_ends(
    ends: Mapping[str, Place], heads: Mapping[str, tuple[int, str]]
) -> Iterator[Finding]:
    for stream, (n, hash) in sorted(heads.items()):
        end = ends.get(stream, Place(stream, 0, 0, "", "", ""))
        if (end.n, end.hash) != (n, hash):
            what = f"ends at {end.n} where {n} events were written, or with another hash"
            yield _at(end, what)
    for stream, place in sorted(ends.items()):
        if stream not in heads:
            yield _at(place, "a stream that was never begun")


def _check_erasures(parts: Sequence[Part]) -> Iterator[Finding]:
    told = {id for part in parts for id in part.told}
    for part in parts:
        for id, place in part.erased.items():
            if id not in told:
                yield _at(place, "its body was taken out, and no event says by whom and why")


def verify(
    rows: Iterable[LedgerRow] | Iterable[Raw],
    heads: Mapping[str, tuple[int, str]],
    last_seq: int,
    segments: Sequence[Segment] = (),
) -> Verification:
    """Recompute every chain; see ``scanned`` and ``joined``."""
    raw = (msgspec.structs.astuple(row) if isinstance(row, LedgerRow) else row for row in rows)
    return joined([scanned(raw)], heads, last_seq, segments)
