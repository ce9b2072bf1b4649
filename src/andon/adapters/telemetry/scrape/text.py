r"""Reads the Prometheus text format and OpenMetrics, strictly, a line at a time.

Source: Prometheus exposition formats, version 0.0.4; OpenMetrics 1.0.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from andon.kernel.errors import InvalidDocument
from andon.ports.telemetry import Exemplar, Labels, Metadata

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*')
_BLANKS = re.compile(r"[ \t]*")
_NUMBER = re.compile(
    r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|inf(?:inity)?|nan)", re.I | re.ASCII
)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "\\": "\\", '"': '"'}
_TYPES = frozenset(
    ("counter", "gauge", "histogram", "summary", "untyped", "unknown", "info", "stateset",
     "gaugehistogram")
)  # fmt: skip
_ENDS = {"counter": ("_total", "_created"), "info": ("_info",)}


class Sample(NamedTuple):
    """A line.

    Args:
        prefix: The text that names its series.
        name: Of the metric.
        labels: As told, in the order of the text.
        value: Its value.
        at_ms: When, if told.
        exemplar: If told.
    """

    prefix: str
    name: str
    labels: dict[str, str]
    value: float
    at_ms: int | None
    exemplar: Exemplar | None


def parse_sample(line: str, *, open_metrics: bool) -> Sample:
    """Read a line that is no comment.

    Args:
        line: Without its end.
        open_metrics: Times are seconds, and there may be an exemplar.

    Raises:
        InvalidDocument: It is no sample.
    """
    match = _NAME.match(line)
    if match is None:
        raise _bad(line, "no name of a metric")
    at = match.end()
    labels: dict[str, str] = {}
    blank = _BLANKS.match(line, at)
    brace = blank.end() if blank else at
    if line[brace : brace + 1] == "{":
        labels, at = _labels(line, brace + 1)
    rest = line[at:]
    if rest[:1] not in (" ", "\t") and not labels:
        raise _bad(line, "no value")
    told, _, behind = rest.partition(" # ") if open_metrics else (rest, "", "")
    words = told.split()
    if not 1 <= len(words) <= 2:
        raise _bad(line, "no value" if not words else "more than a value and a time")
    exemplar = _exemplar(line, behind) if behind else None
    at_ms = _time_ms(line, words[1], open_metrics) if len(words) == 2 else None
    return Sample(line[:at], match[0], labels, _number(line, words[0]), at_ms, exemplar)


def parse_comment(line: str) -> tuple[str, str, str] | None:
    """Read a line that begins with ``#``; None: it is for people.

    Returns:
        The word (``TYPE``, ``HELP``, ``UNIT``), the name of the family, and what is told.

    Raises:
        InvalidDocument: A type that there is not.
    """
    words = line[1:].split(None, 2)
    if len(words) < 2 or words[0] not in ("TYPE", "HELP", "UNIT"):
        return None
    told = words[2].strip() if len(words) == 3 else ""
    if words[0] == "TYPE" and told not in _TYPES:
        raise _bad(line, f"no type {told!r}")
    return words[0], words[1], _unescaped(told) if words[0] == "HELP" else told


def with_comment(family: Metadata, word: str, told: str) -> Metadata:
    """Return a family with what a comment tells of it."""
    if word == "TYPE":
        return Metadata("unknown" if told == "untyped" else told, family.help, family.unit)
    if word == "HELP":
        return Metadata(family.type, told, family.unit)
    return Metadata(family.type, family.help, told)


def _labels(line: str, at: int) -> tuple[dict[str, str], int]:
    labels: dict[str, str] = {}
    while True:
        match = _LABEL.match(line, at)
        if match is None:
            blank = _BLANKS.match(line, at)
            at = blank.end() if blank else at
            if line[at : at + 1] != "}":
                raise _bad(line, "labels do not end, or are none")
            return labels, at + 1
        name, value = match.groups()
        if name in labels:
            raise _bad(line, f"label {name} is told twice")
        labels[name] = _unescaped(value) if "\\" in value else value
        at = match.end()
        if line[at : at + 1] == ",":
            at += 1
        elif line[at : at + 1] != "}":
            raise _bad(line, "labels are not parted by a comma")


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[0]), text)


def _number(line: str, text: str) -> float:
    if _NUMBER.fullmatch(text) is None:
        raise _bad(line, f"{text[:40]!r} is no number")
    return float(text)


def _time_ms(line: str, text: str, open_metrics: bool) -> int:
    value = _number(line, text)
    if not math.isfinite(value) or (not open_metrics and not value.is_integer()):
        raise _bad(line, f"{text[:40]!r} is no time")
    return round(value * 1000) if open_metrics else int(value)


def _exemplar(line: str, text: str) -> Exemplar:
    text = text.strip()
    if not text.startswith("{"):
        raise _bad(line, "an exemplar has labels")
    labels, at = _labels(text, 1)
    words = text[at:].split()
    if not 1 <= len(words) <= 2:
        raise _bad(line, "an exemplar has a value")
    at_ms = _time_ms(line, words[1], open_metrics=True) if len(words) == 2 else 0
    pairs: Labels = tuple(sorted(labels.items()))
    return Exemplar(at_ms, _number(line, words[0]), pairs)


def _bad(line: str, why: str) -> InvalidDocument:
    return InvalidDocument(f"{line[:120]!r} is no line of metrics: {why}")
