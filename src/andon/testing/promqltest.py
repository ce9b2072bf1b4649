"""Prometheus's own language for tests of PromQL: data, queries and their answers in plain text.

``run`` carries a script out and says what became of each query. Both ways to write what is expected are
understood: ``eval_fail`` and the like, and lines of ``expect``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from andon.calc.patterns import whole
from andon.domains.observability.promql.engine import Answer, Limits, Row, instant, ranged
from andon.domains.observability.promql.nodes import (
    NAME,
    Labels,
    Matcher,
    Unreadable,
    Unsupported,
)
from andon.kernel.errors import UsageError
from andon.testing.promql_series import milliseconds, number, points_of, series_of, unquoted

TOLERANCE = 1e-6
Outcome = Literal["right", "wrong", "refused", "unreadable", "native histogram", "start timestamp"]


class BeyondFloats(Exception):
    """A query meets samples that are no plain numbers."""

    def __init__(self, what: Literal["native histogram", "start timestamp"]) -> None:
        super().__init__(what)
        self.what: Outcome = what


@dataclass
class Loaded:
    """One series of a script."""

    labels: Labels
    samples: dict[int, float] = field(default_factory=dict)
    beyond: Literal["", "native histogram", "start timestamp"] = ""

    @property
    def times_ms(self) -> np.ndarray:
        """When its samples are."""
        return np.array(sorted(self.samples), np.int64)

    @property
    def values(self) -> np.ndarray:
        """What its samples are."""
        return np.array([self.samples[at] for at in sorted(self.samples)], float)


def matches(labels: Labels, matchers: Sequence[Matcher]) -> bool:
    """Say whether labels meet conditions."""
    known = dict(labels)
    for one in matchers:
        value = known.get(one.name, "")
        if one.op in ("=", "!="):
            met = value == one.value
        else:
            met = whole(one.value).fullmatch(value) is not None
        if met == one.op.startswith("!"):
            return False
    return True


class Data:
    """What a script has loaded so far."""

    def __init__(self) -> None:
        self.series: dict[Labels, Loaded] = {}

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Row]:
        """Find series as an engine asks for them."""
        found = []
        for one in self.series.values():
            if not matches(one.labels, matchers):
                continue
            if one.beyond:
                raise BeyondFloats(one.beyond)
            times, values = one.times_ms, one.values
            kept = (times >= start_ms) & (times <= end_ms)
            if kept.any():
                found.append(Row(one.labels, times[kept], values[kept]))
        return found

    def at(self, labels: Labels) -> Loaded:
        """Return a series, a new one if need be."""
        return self.series.setdefault(labels, Loaded(labels))


@dataclass
class Told:
    """What became of one query.

    Args:
        line: Where it stands.
        query: What was asked.
        outcome: What became of it.
        why: More of that.
    """

    line: int
    query: str
    outcome: Outcome
    why: str = ""


@dataclass
class _Expected:
    ordered: bool = False
    fails: bool = False
    fail_text: str = ""
    fail_pattern: str = ""
    warns: bool = False
    informs: bool = False
    text: str | None = None
    number: float | None = None
    grid: tuple[int, int, int] | None = None
    series: list[tuple[Labels, list[float | None]]] = field(default_factory=list)
    native: bool = False


def run(script: str) -> list[Told]:
    """Carry out a script; each query's outcome is told."""
    lines = [_uncommented(line) for line in script.split("\n")]
    data, told, at = Data(), [], 0
    while at < len(lines):
        end = at + 1
        word = lines[at].split(" ", 1)[0].lower()
        if word != "clear" and lines[at]:
            while end < len(lines) and lines[end]:
                end += 1
        if word == "clear":
            data = Data()
        elif word.startswith("load"):
            _load(data, lines[at], lines[at + 1 : end])
        elif word.startswith("eval"):
            end = _end_of_eval(lines, at, end)
            told.append(_evaluated(data, at + 1, lines[at], lines[at + 1 : end]))
        elif word:
            raise ValueError(f"line {at + 1}: no command: {lines[at]}")
        at = end
    return told


def _end_of_eval(lines: list[str], at: int, end: int) -> int:
    """A number or the reason of a failure ends what is expected, without an empty line."""
    for index in range(at + 1, end):
        if number(lines[index]) is not None or lines[index].startswith("expected_fail"):
            return index + 1
    return end


def _uncommented(line: str) -> str:
    line = line.strip()
    return "" if line.startswith("#") else line


# --- data ---------------------------------------------------------------------------------------
def _load(data: Data, command: str, lines: list[str]) -> None:
    gap = milliseconds(command.split()[1])
    for line in lines:
        labels, rest = series_of(line)
        if rest.startswith("@st"):
            data.at(labels).beyond = "start timestamp"
            continue
        one = data.at(labels)
        if "{{" in rest:
            one.beyond = "native histogram"
            continue
        for index, value in enumerate(points_of(rest)):
            if value is not None:
                one.samples[index * gap] = value
        if command.startswith("load_with_nhcb"):
            _mark_histogram(data, labels)


def _mark_histogram(data: Data, labels: Labels) -> None:
    known = dict(labels)
    name = re.sub(r"_(bucket|count|sum)$", "", known[NAME])
    if name != known[NAME]:
        known.pop("le", None)
        data.at(tuple(sorted((known | {NAME: name}).items()))).beyond = "native histogram"


# --- queries ------------------------------------------------------------------------------------

_INSTANT = re.compile(r"eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(\S+))?\s+(.+)")
_RANGE = re.compile(r"eval(?:_(fail|warn|info))?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+?)\s+(.+)")  # fmt: skip


def _evaluated(data: Data, line: int, command: str, lines: list[str]) -> Told:
    at_once = _INSTANT.fullmatch(command)
    over = _RANGE.fullmatch(command)
    found = at_once or over
    if found is None:
        raise ValueError(f"line {line}: no query: {command}")
    query = found.groups()[-1]
    expected = _expectations(found.group(1) or "", lines)
    told = Told(line, query, "right")
    if expected.native:
        told.outcome = "native histogram"
        return told
    try:
        if at_once:
            _check_instant(data, query, milliseconds(at_once.group(2) or "0"), expected)
        elif over:
            start, end, step = (milliseconds(text) for text in over.groups()[1:4])
            answer = ranged(query, data.select, start, end, step, Limits())
            _check(expected, answer, range(start, end + 1, step))
    except BeyondFloats as error:
        told.outcome = error.what
    except Unsupported as error:
        told.outcome, told.why = "refused", error.message
    except Unreadable as error:
        if not expected.fails:
            told.outcome, told.why = "unreadable", error.message
    except UsageError as error:
        if not _is_expected(expected, error.message):
            told.outcome, told.why = "wrong", error.message
    except AssertionError as error:
        told.outcome, told.why = "wrong", str(error)
    return told


def _is_expected(expected: _Expected, message: str) -> bool:
    if not expected.fails:
        return False
    if expected.fail_text:
        return expected.fail_text in message
    return re.search(expected.fail_pattern, message) is not None


def _expectations(modifier: str, lines: list[str]) -> _Expected:
    found = _Expected(
        ordered=modifier == "ordered",
        fails=modifier == "fail",
        warns=modifier == "warn",
        informs=modifier == "info",
    )
    for line in lines:
        if line.startswith("expect string"):
            found.text = unquoted(line.removeprefix("expect string").strip())
        elif line.startswith("expect range vector"):
            words = line.split()
            start, end, step = (milliseconds(words[index]) for index in (4, 6, 8))
            found.grid = (start, end, step)
        elif re.match(r"expect(ed_fail_\w+)?\s", line):
            _expect(found, line)
        elif (value := number(line)) is not None:
            found.number = value
        elif "{{" in line:
            found.native = True
        else:
            labels, rest = series_of(line)
            found.series.append((labels, list(points_of(rest))))
    return found


def _expect(found: _Expected, line: str) -> None:
    words = re.fullmatch(
        r"expect(?:ed)?[ _]([a-z]+(?:_(?:info|warn))?)(?:[ _](msg|message|regexp?)\b:?)?:?\s*(.*)",
        line,
    )
    assert words is not None, line
    kind, how, text = words.groups()
    if kind == "ordered":
        found.ordered = True
    elif kind == "fail":
        found.fails = True
        if (how or "").startswith("msg") or how == "message":
            found.fail_text = text.strip()
        elif how:
            found.fail_pattern = text.strip()
    elif kind in ("warn", "info"):
        found.warns = found.warns or kind == "warn"
        found.informs = found.informs or kind == "info"


def _check_instant(data: Data, query: str, at_ms: int, expected: _Expected) -> None:
    if expected.grid:
        at_ms = expected.grid[1]
    answer = instant(query, data.select, at_ms, Limits())
    if expected.grid:
        start, end, step = expected.grid
        _check(expected, answer, range(start, end + 1, step))
        return
    _check(expected, answer, range(at_ms, at_ms + 1))
    if answer.kind in ("vector", "scalar") and not expected.ordered:
        # The same must come of it in the middle of a range.
        around = ranged(query, data.select, at_ms - 60_000, at_ms + 60_000, 60_000, Limits())
        kept = []
        for row in around.rows:
            here = row.times_ms == at_ms
            if here.any():
                kept.append(Row(row.labels, row.times_ms[here], row.values[here]))
        _check(expected, Answer(kind=answer.kind, rows=kept), range(at_ms, at_ms + 1))


def _check(expected: _Expected, answer: Answer, times: range) -> None:
    assert not expected.fails, "it should have failed"
    if expected.text is not None:
        assert answer.text == expected.text, f"{answer.text!r} instead of {expected.text!r}"
        return
    if expected.number is not None:
        assert answer.kind in ("scalar", "matrix"), f"a {answer.kind} instead of a number"
        for value in answer.rows[0].values:
            assert alike(float(value), expected.number), f"{value} instead of {expected.number}"
        return
    got = {row.labels: row for row in answer.rows}
    assert len(got) == len(answer.rows), "two series with the same labels"
    wanted = dict(expected.series)
    if len(times) > 1:
        wanted = {labels: row for labels, row in wanted.items() if any(v is not None for v in row)}
    missing, unexpected = wanted.keys() - got.keys(), got.keys() - wanted.keys()
    assert not missing, f"missing {sorted(missing)}; got {sorted(got)}"
    assert not unexpected, f"unexpected {sorted(unexpected)}"
    for labels, points in wanted.items():
        _check_points(labels, points, got[labels], times)
    if expected.ordered:
        assert [row.labels for row in answer.rows] == [labels for labels, _ in expected.series], (
            "another order"
        )
    assert not expected.warns or answer.warnings or len(times) == 1, "no warning"


def _check_points(labels: Labels, points: list[float | None], row: Row, times: range) -> None:
    wanted = {at: value for at, value in zip(times, points, strict=False) if value is not None}
    got = dict(zip(row.times_ms.tolist(), row.values.tolist(), strict=True))
    assert wanted.keys() == got.keys(), f"{labels}: samples at {sorted(got)}, not {sorted(wanted)}"
    for at, value in wanted.items():
        assert alike(got[at], value), f"{labels} at {at}: {got[at]} instead of {value}"


def alike(one: float, other: float) -> bool:
    """Compare as Prometheus's tests do: a millionth apart is the same."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    if one == other:
        return True
    if one == 0 or other == 0 or abs(one) + abs(other) < 2.2250738585072014e-308:
        return abs(one - other) < TOLERANCE * 2.2250738585072014e-308
    return abs(one - other) / min(abs(one) + abs(other), 1.7e308) < TOLERANCE
