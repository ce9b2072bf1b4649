"""Where what is seen is kept and asked for: metrics, log lines, spans.

Methods block; callers on an event loop ask from a thread. Times are milliseconds (metrics) or
nanoseconds (logs and spans, as OTLP has them) since the Unix epoch, UTC. A store that cannot write, as
its disk is full, raises ``Unavailable`` and stays readable; what was not written is unknown, never zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from andon.api.v1.spans import Edge, Span, SpanEvent, SpanKind, SpanStatus, Tally

__all__ = [
    "Accepted",
    "Edge",
    "Exemplar",
    "Labels",
    "LogBar",
    "LogLine",
    "LogPage",
    "LogQuestion",
    "LogStore",
    "LogTemplate",
    "MatchOp",
    "Matcher",
    "Metadata",
    "MetricStore",
    "Pending",
    "Ripe",
    "Series",
    "Settled",
    "Span",
    "SpanEvent",
    "SpanKind",
    "SpanStatus",
    "Tally",
    "TraceQuestion",
    "TraceStore",
    "TraceSummary",
    "Window",
]

Labels = tuple[tuple[str, str], ...]
"""Sorted pairs of name and value; the metric's name is ``__name__``."""

MatchOp = Literal["=", "!=", "=~", "!~"]


class Matcher(Struct, frozen=True):
    """A condition on a label; an absent label counts as empty. Regular expressions match the whole."""

    name: str
    op: MatchOp
    value: str


class Series(Struct, frozen=True):
    """Samples of one series as they were told, in the order of time.

    Args:
        labels: Its labels.
        times_ms: ``(n,) int64``.
        values: ``(n,) float64``; a staleness mark is the NaN of Prometheus (``STALE``).
    """

    labels: Labels
    times_ms: Any
    values: Any


class Window(Struct, frozen=True):
    """What a counter did in a window, exactly: no extrapolation, resets corrected.

    Args:
        increase: By how much it grew between the first and the last sample that count for the window.
        covered_seconds: How much of the window was observed: time between samples no further apart
            than the series' staleness allows. Less than the window's length means that the rest is
            unknown.
        samples: How many samples lie in it.
    """

    increase: float
    covered_seconds: float
    samples: int


class Metadata(Struct, frozen=True):
    """What a metric's family was told to be."""

    type: str
    help: str = ""
    unit: str = ""


class Exemplar(Struct, frozen=True):
    """One request that a count or a bucket was made of."""

    at_ms: int
    value: float
    labels: Labels
    """Its own, such as ``trace_id``."""


class Accepted(Struct, frozen=True):
    """What became of samples.

    Args:
        stored: So many are kept.
        late: So many were older than what their series has already.
        duplicate: So many were there, at the same time: the first stays.
        refused: So many belong to new series beyond the limit.
    """

    stored: int
    late: int = 0
    duplicate: int = 0
    refused: int = 0


class MetricStore(Protocol):
    """Samples by series."""

    def append(self, at_ms: int, rows: Iterable[tuple[Labels, float]]) -> Accepted:
        """Keep samples of one moment, such as a scrape, durably and all at once."""
        ...

    def describe(self, families: Mapping[str, Metadata]) -> None:
        """Remember what metrics are."""
        ...

    def add_exemplars(self, rows: Iterable[tuple[Labels, Exemplar]]) -> None:
        """Keep exemplars of series, the newest few of each."""
        ...

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Series]:
        """Return matching series with their samples of ``start_ms <= t <= end_ms``."""
        ...

    def increase(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int
    ) -> dict[Labels, Window]:
        """Return what matching counters did in a window (start exclusive), by series.

        Two look-ups a series, whatever the window's length.
        """
        ...

    def names_of(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """Return the labels of series that have samples then."""
        ...

    def metadata(self) -> dict[str, Metadata]:
        """Return what metrics are, by name."""
        ...

    def exemplars(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int
    ) -> dict[Labels, list[Exemplar]]:
        """Return exemplars by series."""
        ...


class LogLine(Struct, frozen=True, kw_only=True):
    """A line of a log.

    Args:
        at_ns: When it was said.
        text: The line, without its end.
        labels: Few and of few values: ``service``, ``environment``, ``source``, ``run``, ``job``…
        severity: ``trace``, ``debug``, ``info``, ``warn``, ``error`` or ``fatal``; empty: not known.
        trace: Hexadecimal id of the trace it belongs to.
        span: Hexadecimal id of the span.
        attributes: Whatever else was told.
        template: The id of what its like have in common; the store finds it.
    """

    at_ns: int
    text: str
    labels: dict[str, str] = {}
    severity: str = ""
    trace: str = ""
    span: str = ""
    attributes: dict[str, str] = {}
    template: int = 0


class LogQuestion(Struct, frozen=True, kw_only=True):
    """Which lines are wanted, newest first.

    Args:
        start_ns: Not before.
        end_ns: Before.
        labels: Conditions on labels.
        text: What the line contains, whatever the case; empty: anything.
        pattern: A regular expression it matches (RE2-like: no back-references).
        template: Only of this template.
        trace: Only of this trace.
        severity: At least as severe.
        limit: At most so many.
        before: Cursor of the page before.
    """

    start_ns: int
    end_ns: int
    labels: tuple[Matcher, ...] = ()
    text: str = ""
    pattern: str = ""
    template: int = 0
    trace: str = ""
    severity: str = ""
    limit: int = 100
    before: str = ""


class LogPage(Struct, frozen=True, kw_only=True):
    """Lines, newest first, and where the next page begins (empty: there is none)."""

    lines: list[LogLine]
    next: str = ""


class LogTemplate(Struct, frozen=True, kw_only=True):
    """What many lines have in common."""

    id: int
    text: str
    count: int
    first_ns: int
    last_ns: int
    example: str = ""


class LogBar(Struct, frozen=True, kw_only=True):
    """So many lines of each severity from a moment on."""

    start_ns: int
    counts: dict[str, int]


class LogStore(Protocol):
    """Log lines."""

    def append(self, lines: Sequence[LogLine], marks: Mapping[str, str] = {}) -> int:
        """Keep lines; returns how many.

        Args:
            lines: The lines.
            marks: How far their sources are read now, by source, kept with them or not at all; an
                empty one is forgotten.
        """
        ...

    def marks(self) -> dict[str, str]:
        """Return how far sources were read."""
        ...

    def template_of(self, text: str) -> int:
        """Return the template of a line that was kept."""
        ...

    def search(self, question: LogQuestion) -> LogPage:
        """Find lines."""
        ...

    def templates(self, question: LogQuestion) -> list[LogTemplate]:
        """Count the templates of the lines in question, most frequent first."""
        ...

    def histogram(self, question: LogQuestion, bars: int) -> list[LogBar]:
        """Count the lines in question over time."""
        ...

    def label_sets(self, start_ns: int, end_ns: int) -> list[dict[str, str]]:
        """Return the label sets that have lines then."""
        ...

    def seal(self) -> None:
        """Compress what came lately."""
        ...

    def forget(self, before_ns: int, max_bytes: int) -> int:
        """Forget what is older, and the oldest until the rest fits; returns how many lines."""
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...


class TraceQuestion(Struct, frozen=True, kw_only=True):
    """Which traces are wanted, newest first."""

    start_ns: int
    end_ns: int
    service: str = ""
    name: str = ""
    min_seconds: float = 0
    failed: bool = False
    attributes: dict[str, str] = {}
    limit: int = 50


class TraceSummary(Struct, frozen=True, kw_only=True):
    """A trace in a list."""

    trace: str
    root: str
    service: str
    start_ns: int
    seconds: float
    spans: int
    failed: bool


class Pending(Struct, frozen=True, kw_only=True):
    """A trace of which spans arrived that are not decided on.

    Args:
        spans: All of those.
        known: Spans of the same trace that are kept already.
    """

    spans: tuple[Span, ...]
    known: tuple[Span, ...] = ()


class Ripe(Struct, frozen=True, kw_only=True):
    """Traces that have waited long enough for their spans.

    Args:
        traces: By id.
        upto: What was received later is not in them.
    """

    traces: dict[str, Pending]
    upto: int


class Settled(Struct, frozen=True, kw_only=True):
    """What was decided on ripe traces, and what was counted of all of them.

    Args:
        ripe: They.
        kept: Those of their pending spans that stay; the others go.
        tallies: Requests by operation: the new totals of those that changed.
        edges: Who called whom, to be added to what is known of that minute.
        at_ns: When.
    """

    ripe: Ripe
    at_ns: int
    kept: tuple[Span, ...] = ()
    tallies: tuple[Tally, ...] = ()
    edges: tuple[Edge, ...] = ()


class TraceStore(Protocol):
    """Spans by trace.

    What comes from outside is *received*: durable at once, readable by its id, and found by a search once
    it was decided that it stays. What is *appended* stays in any case.
    """

    def receive(self, spans: Sequence[Span], at_ns: int) -> int:
        """Take spans that may or may not be kept; returns how many."""
        ...

    def ripe(self, before_ns: int, limit: int = 20_000) -> Ripe:
        """Return traces of which the first pending span was received before a moment.

        Args:
            before_ns: The moment.
            limit: Of about so many spans; the rest comes next time.
        """
        ...

    def settle(self, settled: Settled) -> None:
        """Keep and drop what was pending and count it, all at once or not at all."""
        ...

    def tallies(self) -> list[Tally]:
        """Return what was counted of every operation."""
        ...

    def append(self, spans: Sequence[Span], *, mark: tuple[str, str] = ("", "")) -> int:
        """Keep spans; returns how many.

        Args:
            spans: Of any traces.
            mark: Name and value of a note that is written with them, all at once or not at all.
        """
        ...

    def mark(self, name: str) -> str:
        """Return a note; empty: it was never written."""
        ...

    def trace(self, trace: str) -> list[Span]:
        """Return the spans of a trace, by start; none of them twice."""
        ...

    def search(self, question: TraceQuestion) -> list[TraceSummary]:
        """Find traces, newest first."""
        ...

    def edges(self, start_ns: int, end_ns: int) -> list[Edge]:
        """Return who called whom in the minutes that begin then."""
        ...

    def upkeep(self, now_ns: int) -> int:
        """Forget what is too old or too much; returns how many chunks."""
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...
