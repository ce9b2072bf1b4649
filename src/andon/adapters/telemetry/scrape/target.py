"""What one endpoint tells, scrape by scrape, on its way into the store.

Most lines of a scrape name the series they named last time. So a series' text is read strictly once, and
known by it from then on: only text that the strict reader took is ever looked up, which is why the quick
way need not understand it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from andon.adapters.telemetry.scrape.text import Sample, parse_comment, parse_sample, with_comment
from andon.calc.relabel import Rule, relabelled
from andon.calc.staleness import STALE
from andon.kernel.errors import InvalidDocument
from andon.ports.telemetry import Accepted, Exemplar, Labels, Metadata

NAME = "__name__"
DROPPED = -2
REFUSED = -1
MOST_COMMENTS = 20_000
TRY_AGAIN = 20
"""Scrapes after which a series that was refused is tried again."""
_REPORT = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
)


class Sink(Protocol):
    """A store that knows series by number."""

    def refs(self, labels: Sequence[Labels]) -> list[int]:
        """Return a number for each series; below zero: there are too many."""
        ...

    def append_refs(self, at_ms: int, refs: Sequence[int], values: Sequence[float]) -> Accepted:
        """Keep samples."""
        ...

    def describe(self, families: Mapping[str, Metadata]) -> None:
        """Remember what metrics are."""
        ...

    def add_exemplars(self, rows: Sequence[tuple[Labels, Exemplar]]) -> None:
        """Keep exemplars."""
        ...


class Batch(NamedTuple):
    """Samples by number of series, value by value."""

    refs: list[int]
    values: list[float]


class Scrape:
    """What was read of one answer."""

    def __init__(self) -> None:
        self.plain = Batch([], [])
        self.timed: dict[int, Batch] = {}
        self.exemplars: list[tuple[Labels, Exemplar]] = []
        self.families: dict[str, Metadata] = {}
        self.told = 0
        self.dropped = 0


class Target:
    """An endpoint.

    Args:
        sink: Where samples go.
        labels: What every series of it has, ``job`` and ``instance`` among them.
        rules: Applied to each sample's labels.
        sample_limit: An answer of more is refused whole.
    """

    def __init__(
        self,
        sink: Sink,
        labels: Mapping[str, str],
        rules: Sequence[Rule] = (),
        sample_limit: int = 0,
    ) -> None:
        self._sink = sink
        self._labels = dict(labels)
        self._rules = rules
        self._limit = sample_limit
        self._known: dict[str, int] = {}
        self._names: dict[int, Labels] = {}
        self._families: dict[str, Metadata] = {}
        self._comments: set[str] = set()
        self._before: list[int] = []
        self._scrapes = 0

    def take(
        self, text: str, at_ms: int, seconds: float, *, open_metrics: bool = False
    ) -> Accepted:
        """Keep an answer.

        Args:
            text: The answer.
            at_ms: When it was asked for.
            seconds: How long that took.
            open_metrics: Whether it is in the format of OpenMetrics.

        Raises:
            InvalidDocument: It is none; the target is marked as down.
            Unavailable: The store takes nothing now.
        """
        try:
            scrape = self._read(text, open_metrics)
        except InvalidDocument:
            self.fail(at_ms, seconds)
            raise
        self._sink.describe(scrape.families)
        refs, values = scrape.plain
        kept = len(refs) + sum(len(batch.refs) for batch in scrape.timed.values())
        accepted = self._append(
            at_ms, refs, values, (1.0, seconds, float(scrape.told), float(kept))
        )
        for moment_ms, batch in sorted(scrape.timed.items()):
            self._sink.append_refs(moment_ms, batch.refs, batch.values)
        if scrape.exemplars:
            self._sink.add_exemplars(_dated(scrape.exemplars, at_ms))
        return accepted

    def fail(self, at_ms: int, seconds: float) -> None:
        """Note that nothing could be read: what was told before is not told any more."""
        self._append(at_ms, [], [], (0.0, seconds, 0.0, 0.0))

    def leave(self, at_ms: int) -> None:
        """Mark everything as not told any more: the target is gone."""
        gone = [*self._before, *self._report_refs()]
        self._sink.append_refs(at_ms, gone, [STALE] * len(gone))
        self._before = []

    def _append(
        self, at_ms: int, refs: list[int], values: list[float], report: Sequence[float]
    ) -> Accepted:
        gone = [] if refs == self._before else sorted(set(self._before) - set(refs))
        accepted = self._sink.append_refs(
            at_ms,
            [*refs, *gone, *self._report_refs()],
            [*values, *[STALE] * len(gone), *report],
        )
        self._before = refs
        return accepted

    def _report_refs(self) -> list[int]:
        return self._sink.refs([_sorted({**self._labels, NAME: name}) for name in _REPORT])

    # --- reading --------------------------------------------------------------------------------------

    def _read(self, text: str, open_metrics: bool) -> Scrape:
        if open_metrics and not text.rstrip("\n").endswith("# EOF"):
            raise InvalidDocument("the answer is cut off: it does not end with # EOF")
        self._tidy()
        scrape, known = Scrape(), self._known
        refs: list[int] = []
        numbers: list[str] = []
        for line in text.split("\n"):
            prefix, _, number = line.rpartition(" ")
            ref = known.get(prefix)
            if ref is None:
                self._read_strictly(line, open_metrics, scrape)
            else:
                refs.append(ref)
                numbers.append(number)
        values = _floats(numbers)
        if DROPPED in refs:
            scrape.dropped += refs.count(DROPPED)
            values = [value for ref, value in zip(refs, values, strict=True) if ref != DROPPED]
            refs = [ref for ref in refs if ref != DROPPED]
        scrape.plain.refs[:0], scrape.plain.values[:0] = refs, values
        refs = scrape.plain.refs
        scrape.told = len(refs) + sum(len(one.refs) for one in scrape.timed.values())
        if self._limit and scrape.told > self._limit:
            raise InvalidDocument(
                f"{scrape.told} samples, {self._limit} may be told at once",
                hint="telemetry.metrics.targets[].sampleLimit, or relabel rules that drop some",
            )
        scrape.told += scrape.dropped
        return scrape

    def _read_strictly(self, line: str, open_metrics: bool, scrape: Scrape) -> None:
        if not line or line.isspace():
            return
        if line[0] == "#":
            self._comment(line, scrape)
            return
        sample = parse_sample(line, open_metrics=open_metrics)
        ref = self._known.get(sample.prefix)
        if ref is None:
            ref = self._known[sample.prefix] = self._introduce(sample)
        if ref == DROPPED:
            scrape.dropped += 1
            return
        batch = scrape.plain
        if sample.at_ms is not None:
            batch = scrape.timed.setdefault(sample.at_ms, Batch([], []))
        batch.refs.append(ref)
        batch.values.append(sample.value)
        if sample.exemplar is not None and ref >= 0:
            scrape.exemplars.append((self._names[ref], sample.exemplar))

    def _comment(self, line: str, scrape: Scrape) -> None:
        if line in self._comments or len(self._comments) > MOST_COMMENTS:
            return
        told = parse_comment(line)
        if told is not None:
            word, name, what = told
            family = with_comment(self._families.get(name, Metadata("unknown")), word, what)
            self._families[name] = scrape.families[name] = family
        self._comments.add(line)

    def _introduce(self, sample: Sample) -> int:
        """Return the number of a series that was not told before."""
        labels = {
            f"exported_{name}" if name in self._labels else name: value
            for name, value in sample.labels.items()
        }
        found = relabelled(self._rules, {**labels, **self._labels, NAME: sample.name})
        if found is None:
            return DROPPED
        if not found.get(NAME):
            raise InvalidDocument(f"{sample.prefix[:120]} has no name after relabelling")
        named = _sorted(found)
        (ref,) = self._sink.refs([named])
        if ref >= 0:
            self._names[ref] = named
        return ref

    def _tidy(self) -> None:
        """Forget series that are not told any more, once they are many, and try those that were refused."""
        self._scrapes += 1
        if len(self._known) > 2 * len(self._before) + 1000:
            self._known, self._names = {}, {}
        elif self._scrapes % TRY_AGAIN == 0:
            self._known = {prefix: ref for prefix, ref in self._known.items() if ref != REFUSED}


def _floats(numbers: list[str]) -> list[float]:
    """Read values as strictly as ``parse_sample`` does: Python knows more ways to write a number."""
    together = "".join(numbers)
    if "_" not in together and together.isascii():
        try:
            return list(map(float, numbers))
        except ValueError:
            pass
    return [parse_sample(f"value {number}", open_metrics=False).value for number in numbers]


def _sorted(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted((name, value) for name, value in labels.items() if value))


def _dated(rows: list[tuple[Labels, Exemplar]], at_ms: int) -> list[tuple[Labels, Exemplar]]:
    return [
        (labels, one if one.at_ms else Exemplar(at_ms, one.value, one.labels))
        for labels, one in rows
    ]
