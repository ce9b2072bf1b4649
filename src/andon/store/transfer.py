"""Events as lines of JSON: CloudEvents whose extension attributes carry the chain.

A line says all that the chain covers, so that a file proves itself without a database. The last line of
an export is the summary; without it the file ends early.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from andon.kernel.digest import sha256
from andon.kernel.errors import InvalidDocument, Untrusted
from andon.ports.store import LedgerRow
from andon.store.ledger import FIRST, row_hash

LONGEST_LINE_BYTES = 4 << 20
MOST_FIELDS = 64
SUMMARY = "dev.cdeventsx.andon-ledger.exported.0.1.0"
ERASED_SOURCE = "urn:andon:erased"

_json = msgspec.json.Encoder(order="sorted")
_NUMBERS = {"andonseq": "seq", "andonn": "n"}
_TEXTS = {
    "andonstream": "stream",
    "andonchain": "chain",
    "andontime": "time",
    "andondigest": "body_digest",
    "andonprev": "prev_hash",
    "andonhash": "hash",
}
_OURS = {*_NUMBERS, *_TEXTS, "andonerased"}


def line_of(row: LedgerRow) -> bytes:
    """Write an event as a line, without its end."""
    event: dict[str, Any] = (
        msgspec.json.decode(row.body)
        if row.body
        else {
            "specversion": "1.0",
            "id": row.id,
            "source": ERASED_SOURCE,
            "type": row.type,
            "subject": row.subject,
            "andonerased": True,
        }
    )
    chain = {
        name: getattr(row, field) for name, field in (_NUMBERS | _TEXTS).items() if field != "time"
    }
    return _json.encode({**event, **chain, "andontime": repr(row.time)})


def decode_line(line: bytes, number: int) -> dict[str, Any]:
    """Read a line.

    Raises:
        InvalidDocument: It is no CloudEvent of ours; the message names the line.
    """
    if len(line) > LONGEST_LINE_BYTES:
        raise _bad(number, f"longer than {LONGEST_LINE_BYTES} bytes")
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _bad(number, f"no JSON: {error}") from None
    if not isinstance(value, dict):
        raise _bad(number, "no CloudEvent: it must be an object")
    if len(value) > MOST_FIELDS:
        raise _bad(number, f"has {len(value)} fields, at most {MOST_FIELDS} are allowed")
    for name in ("id", "type", "specversion"):
        if type(value.get(name)) is not str:
            raise _bad(number, f"no CloudEvent: it needs the text {name}")
    return value


def row_of(value: Mapping[str, Any], number: int) -> LedgerRow:
    """Make the row of a line, and prove it.

    Raises:
        InvalidDocument: An attribute is missing or of a wrong type.
        Untrusted: Its digest or hash does not fit.
    """
    for names, type_ in ((_NUMBERS, int), (_TEXTS, str)):
        for name in names:
            if type(value.get(name)) is not type_:
                raise _bad(number, f"needs the attribute {name}")
    fields = {field: value[name] for name, field in (_NUMBERS | _TEXTS).items()}
    fields["time"] = _time(value["andontime"], number)
    event = {name: part for name, part in value.items() if name not in _OURS}
    subject = value.get("subject", "")
    if type(subject) is not str:
        raise _bad(number, "its subject must be a text")
    body = b"" if value.get("andonerased") is True else _json.encode(event)
    row = LedgerRow(id=value["id"], type=value["type"], subject=subject, body=body, **fields)
    _prove(row, number)
    return row


def _prove(row: LedgerRow, number: int) -> None:
    place = f"line {number} ({row.stream} #{row.n}, seq {row.seq}, {row.id})"
    if row.body and sha256(row.body) != row.body_digest:
        raise Untrusted(f"{place}: its body was altered")
    if row_hash(row) != row.hash:
        raise Untrusted(f"{place}: its hash does not fit")


def _time(text: str, number: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if repr(value) != text or value != value:
        raise _bad(number, f"andontime is no time: {text[:40]!a}")
    return value


def links_of(row: LedgerRow) -> list[tuple[str, str, str]]:
    """Return source, target and kind of each link that an event's body tells."""
    if not row.body:
        return []
    try:
        links = msgspec.json.decode(row.body)["data"]["context"].get("links", [])
        return [
            (row.id, str(link["target"]["contextId"]), str(link["linkKind"]))
            for link in links
            if link.get("linkType") == "RELATION"
        ]
    except (KeyError, TypeError, AttributeError):
        return []


def _bad(number: int, what: str) -> InvalidDocument:
    return InvalidDocument(
        f"line {number}: {what}", hint="`andon ledger export` writes files that can be imported"
    )


def matches(row: LedgerRow, wanted: Mapping[str, str]) -> bool:
    """Say whether an event is asked for.

    Args:
        row: The event.
        wanted: Values of columns; a type that ends in a dot stands for all that begin with it.
    """
    for name, value in wanted.items():
        has = getattr(row, name)
        prefix = name == "type" and value.endswith(".")
        if has != value and not (prefix and has.startswith(value)):
            return False
    return True


class Summary(Struct, kw_only=True):
    """What a file holds.

    Args:
        events: So many.
        erased: Of them without body.
        last_seq: Position of the last.
        heads: Where each stream ends.
        is_whole: Nothing was filtered out and nothing is missing, from the first event on.
        gap: Where the first missing event should be; empty if whole.
    """

    events: int = 0
    erased: int = 0
    last_seq: int = 0
    heads: dict[str, tuple[int, str]] = {}
    is_whole: bool = True
    gap: str = ""


def read_file(lines: Iterable[bytes]) -> Summary:
    """Prove a file of events, by itself.

    Raises:
        InvalidDocument: A line is no event of ours.
        Untrusted: A line was altered, removed, moved or inserted, or the file ends early.
    """
    found, summary, number = Summary(), None, 0
    for number, line in enumerate(lines, 1):
        if summary is not None:
            raise Untrusted(f"line {number}: something follows the summary")
        value = decode_line(line.rstrip(b"\n"), number)
        if value["type"] == SUMMARY and "andonseq" not in value:
            summary = value
        else:
            follow(found, row_of(value, number), number)
    if summary is None:
        raise Untrusted(f"the file ends after line {number}, without the summary: it was cut off")
    _compare(found, summary.get("data"))
    return found


def follow(found: Summary, row: LedgerRow, number: int) -> None:
    """Add the event of a line to what was read.

    Raises:
        Untrusted: It does not follow what came before.
    """
    if row.seq <= found.last_seq:
        raise Untrusted(f"line {number}: seq {row.seq} is out of order")
    n, hash = found.heads.get(row.stream, (0, FIRST))
    if row.n == n + 1 and row.prev_hash != hash:
        raise Untrusted(f"line {number}: does not follow the event before it in {row.stream}")
    if row.n <= n:
        raise Untrusted(f"line {number}: {row.stream} #{row.n} is out of order")
    if found.is_whole and (row.seq, row.n) != (found.last_seq + 1, n + 1):
        found.is_whole = False
        after = found.last_seq + 1
        missing = f"seq {after}" if row.seq > after else f"{row.stream} #{n + 1}"
        found.gap = f"{missing} is not before line {number}"
    found.heads[row.stream] = (row.n, row.hash)
    found.events += 1
    found.erased += not row.body
    found.last_seq = row.seq


def _compare(found: Summary, said: Any) -> None:
    said = said if isinstance(said, dict) else {}
    heads = {stream: list(end) for stream, end in found.heads.items()}
    if not said.get("filtered") and not found.is_whole:
        raise Untrusted(f"events are missing from the file: {found.gap}")
    if (said.get("events"), said.get("heads")) != (found.events, heads):
        raise Untrusted("the file is not what its summary says: events are missing or were added")


def summary_line(found: Summary, source: str, *, filtered: bool, now: str) -> bytes:
    """Write the last line of an export."""
    return _json.encode(
        {
            "specversion": "1.0",
            "id": f"ledger/exported/{found.last_seq}",
            "source": source,
            "type": SUMMARY,
            "time": now,
            "datacontenttype": "application/json",
            "data": {"events": found.events, "heads": found.heads, "filtered": filtered},
        }
    )
