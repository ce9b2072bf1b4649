"""Many lines of one label set, packed: their texts apart from everything else, as only texts are searched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import zstandard
from msgspec import Struct

from andon.ports.telemetry import LogLine

SEVERITIES = ("", "trace", "debug", "info", "warn", "error", "fatal")
_END = "\0"
_LEVEL = 3


class Entry(Struct, frozen=True, array_like=True):
    """A line as the head keeps it; ``number`` grows with every line ever taken."""

    at_ns: int
    number: int
    labels: int
    text: str
    severity: int = 0
    trace: str = ""
    span: str = ""
    attributes: dict[str, str] = {}
    template: int = 0

    @property
    def place(self) -> tuple[int, int]:
        """Its place in the order of all lines."""
        return self.at_ns, self.number

    def line(self, labels: dict[str, str], template: int) -> LogLine:
        """Return it as others know it."""
        return LogLine(
            at_ns=self.at_ns,
            text=self.text,
            labels=labels,
            severity=SEVERITIES[self.severity],
            trace=self.trace,
            span=self.span,
            attributes=self.attributes,
            template=template,
        )


class _Columns(Struct, frozen=True, array_like=True):
    at_ns: list[int]
    numbers: list[int]
    severities: bytes
    templates: list[int]
    traces: dict[int, tuple[str, str]]
    attributes: dict[int, dict[str, str]]


class Packed(Struct, frozen=True):
    """What a chunk's row holds."""

    texts: bytes
    columns: bytes


def pack(entries: Sequence[Entry]) -> Packed:
    """Pack lines of one label set."""
    columns = _Columns(
        at_ns=_deltas([one.at_ns for one in entries]),
        numbers=_deltas([one.number for one in entries]),
        severities=bytes(one.severity for one in entries),
        templates=[one.template for one in entries],
        traces={n: (one.trace, one.span) for n, one in enumerate(entries) if one.trace or one.span},
        attributes={n: one.attributes for n, one in enumerate(entries) if one.attributes},
    )
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    texts = _END.join([one.text for one in entries]).encode()
    return Packed(compressor.compress(texts), compressor.compress(msgspec.msgpack.encode(columns)))


class Unpacked:
    """A chunk that is read: columns at once, texts when somebody asks.

    Args:
        labels: Id of its label set.
        packed: The row.
    """

    def __init__(self, labels: int, packed: Packed) -> None:
        self.labels = labels
        columns = msgspec.msgpack.decode(_decompressed(packed.columns), type=_Columns)
        self._columns = columns
        self.at_ns = _sums(columns.at_ns)
        self.numbers = _sums(columns.numbers)
        self.severities, self.templates = columns.severities, columns.templates
        self.traces = columns.traces
        self._packed_texts = packed.texts
        self._blob: str | None = None
        self._texts: list[str] | None = None

    @property
    def blob(self) -> str:
        """All texts in one."""
        if self._blob is None:
            self._blob = _decompressed(self._packed_texts).decode()
        return self._blob

    @property
    def texts(self) -> list[str]:
        """The texts."""
        if self._texts is None:
            self._texts = self.blob.split(_END)
        return self._texts

    def entry(self, place: int) -> Entry:
        """Return one line."""
        trace, span = self.traces.get(place, ("", ""))
        return Entry(
            self.at_ns[place],
            self.numbers[place],
            self.labels,
            self.texts[place],
            self.severities[place],
            trace,
            span,
            self._columns.attributes.get(place, {}),
            self.templates[place],
        )

    def entries(self) -> Iterator[Entry]:
        """Return all lines."""
        return map(self.entry, range(len(self.at_ns)))


def printable(text: str) -> str:
    """Return a text that can be packed: no end marks within, nothing that UTF-8 cannot say."""
    if text.isascii() and _END not in text:
        return text
    text = text.replace(_END, "\N{REPLACEMENT CHARACTER}")
    return text.encode(errors="replace").decode()


def _decompressed(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(data)


def _deltas(numbers: list[int]) -> list[int]:
    before = 0
    found = []
    for one in numbers:
        found.append(one - before)
        before = one
    return found


def _sums(deltas: list[int]) -> list[int]:
    total = 0
    found = []
    for one in deltas:
        total += one
        found.append(total)
    return found
