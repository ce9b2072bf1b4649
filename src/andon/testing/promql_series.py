"""How Prometheus's tests write series: labels, then values as ``1 2+3x4 _ stale``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from andon.calc.staleness import STALE
from andon.domains.observability.promql.nodes import NAME, Labels

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000,
          "y": 31_536_000_000}  # fmt: skip


def milliseconds(text: str) -> int:
    """Read a duration, such as ``1h30m``; a bare number is seconds."""
    if re.fullmatch(r"-?[\d.]+", text):
        return round(float(text) * 1000)
    parts = re.findall(r"(\d+)(ms|[smhdwy])", text)
    sign = -1 if text.startswith("-") else 1
    return sign * sum(int(count) * _UNITS[unit] for count, unit in parts)


_PAIR = re.compile(
    r"""\s*(?:(?P<key>[\w.:]+|"(?:\\.|[^"])*"|'(?:\\.|[^'])*')\s*(?P<op>=)\s*)?"""
    r"""(?P<value>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)\s*,?"""
)


def series_of(line: str) -> tuple[Labels, str]:
    """Read the labels of a series; returns what follows, too."""
    name = re.match(r"[a-zA-Z_:][\w:]*", line)
    labels = {NAME: name.group()} if name else {}
    at = name.end() if name else 0
    if at < len(line) and line[at] == "{" and line[at : at + 2] != "{{":
        at += 1
        while found := _PAIR.match(line, at):
            key = found["key"] or NAME
            labels[unquoted(key) if key[0] in "\"'" else key] = unquoted(found["value"])
            at = found.end()
        at = line.index("}", at) + 1
    pairs = tuple(sorted((key, value) for key, value in labels.items() if value))
    rest = line[at:]
    return pairs, rest if rest.startswith("@st") else rest.strip()


def unquoted(text: str) -> str:
    """Read a string in quotes."""
    if text[0] == "`":
        return text[1:-1]
    return str(ast.literal_eval(text))


_POINT = re.compile(
    r"(?P<start>[+-]?(?:[\d.]+(?:e[+-]?\d+)?|0x[\da-f]+|inf|nan))"
    r"(?:(?P<step>[+-](?:[\d.]+(?:e[+-]?\d+)?|inf|nan)))?(?:x(?P<times>\d+))?",
    re.IGNORECASE,
)


def points_of(text: str) -> Iterator[float | None]:
    """Read values: ``1 2+3x4 _ _x3 stale``; None: there is none."""
    for word in text.split():
        if word.startswith("_"):
            yield from [None] * int(word[2:] or 1)
            continue
        if word.startswith("stale"):
            yield from [STALE] * (1 + int(word.partition("x")[2] or 0))
            continue
        found = _POINT.fullmatch(word)
        if found is None:
            raise ValueError(f"no value: {word}")
        value = number(found["start"])
        assert value is not None
        for _ in range(int(found["times"] or 0) + 1):
            yield value
            value += float(found["step"] or 0)


def number(text: str) -> float | None:
    """Read a number, if it is one."""
    try:
        return float(int(text, 16)) if text.lower().startswith("0x") else float(text)
    except ValueError:
        return None
