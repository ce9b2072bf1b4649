"""Metrics as text: whatever an endpoint tells is kept or refused, and the quick way means what the strict one does."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st
from material import every, files, mutated

from andon.adapters.telemetry.scrape.target import Target
from andon.kernel.errors import InvalidDocument
from andon.ports.telemetry import Accepted

PIECES = [
    b" ", b"  ", b"\t", b"\n", b"{", b"}", b'"', b'\\"', b"\\", b",", b"=", b"#", b" # {", b"} 5", b"# EOF\n",
    b"NaN", b"+Inf", b"1_0", b"0x1p3", b"1e999", b"-0", b" 1395066363000", b"\xd9\xa1", b"\x00", b"\r",
    b"__name__", b"job", b"# TYPE a counter\n", b"# TYPE a colour\n", b"lone 5\n", b"lone", b"h_count 17",
]  # fmt: skip
START_MS = 1_800_000_000_000


class Recorder:
    """Takes samples as a store does, and remembers those of the last moment."""

    def __init__(self):
        self.names, self.rows = {}, []

    def refs(self, labels):
        return [self.names.setdefault(one, len(self.names)) for one in labels]

    def append_refs(self, at_ms, refs, values):
        names = {ref: labels for labels, ref in self.names.items()}
        bits = [struct.pack("<d", value) for value in values]
        self.rows.append((at_ms, [(names[ref], bit) for ref, bit in zip(refs, bits, strict=True)]))
        return Accepted(len(refs))

    def describe(self, families):
        pass

    def add_exemplars(self, rows):
        self.rows.append(("exemplars", sorted(rows, key=repr)))


def told(before, text, open_metrics):
    """Return what a target keeps of a text that it is told after others; None: it is refused."""
    recorder = Recorder()
    target = Target(recorder, {"job": "a", "instance": "b"})
    for step, one in enumerate(before):
        target.take(one, START_MS + step, 0.01)
    recorder.rows.clear()
    try:
        target.take(text, START_MS + 15_000, 0.01, open_metrics=open_metrics)
    except InvalidDocument:
        return None
    return [
        (when, sorted((row for row in rows if row[1] != STALE), key=repr))
        for when, rows in recorder.rows
    ]


STALE = struct.pack("<Q", 0x7FF0000000000002)
LEARNT = [path.read_text() for path in files("metrics") if path.name != "open.txt"]


@every("metrics")
def test_every_known_text_is_kept(path):
    assert told([], path.read_text(), path.name == "open.txt")


@given(mutated("metrics", PIECES), st.booleans())
def test_what_is_known_changes_nothing(data, open_metrics):
    text = data.decode(errors="replace")
    assert told(LEARNT, text, open_metrics) == told([], text, open_metrics)
