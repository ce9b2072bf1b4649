"""The last requests of the gateway, for traces: a fixed number of them, failed ones kept longest."""

from __future__ import annotations

import heapq
import re
import secrets
from collections import deque

from andon.adapters.haproxy.counters import Line
from andon.api.v1.requests import GatewayRequest, RequestsSeen
from andon.calc.paths import told_path

MOST_FAILED, MOST_OTHERS = 1000, 3000
_PARTS = 3
_TRACE, _SPAN = re.compile("[0-9a-f]{32}"), re.compile("[0-9a-f]{16}")


class Recent:
    """Remembers lines."""

    def __init__(self) -> None:
        self._source = secrets.token_hex(8)
        self._number = 0
        self._failed: deque[tuple[int, Line]] = deque(maxlen=MOST_FAILED)
        self._others: deque[tuple[int, Line]] = deque(maxlen=MOST_OTHERS)

    def add(self, line: Line) -> None:
        """Remember a line."""
        self._number += 1
        (self._failed if line.failed else self._others).append((self._number, line))

    def since(self, source: str, after: int) -> RequestsSeen:
        """Return what came since the last answer."""
        if source != self._source:
            return RequestsSeen(source=self._source, upto=self._number)
        merged = heapq.merge(_behind(self._failed, after), _behind(self._others, after))
        found = (request_of(number, line) for number, line in merged)
        return RequestsSeen(
            source=self._source, upto=self._number, requests=tuple(filter(None, found))
        )


def _behind(lines: deque[tuple[int, Line]], after: int) -> list[tuple[int, Line]]:
    """Return the lines with greater numbers, looking from the newest."""
    found = []
    for one in reversed(lines):
        if one[0] <= after:
            break
        found.append(one)
    return found[::-1]


def request_of(number: int, line: Line) -> GatewayRequest | None:
    """Return what a line says of a request; None: no version was chosen, or it has no trace."""
    parts = line.b.split(".")
    if len(parts) != _PARTS or not _TRACE.fullmatch(line.i) or not _SPAN.fullmatch(line.x):
        return None
    environment, service, version = parts
    return GatewayRequest(
        number=number,
        environment=environment,
        service=service,
        version=version,
        status=line.s,
        failed=line.failed,
        trace=line.i,
        span=line.x,
        made=line.y == "1",
        start_ms=line.started_ms,
        duration_ms=max(line.t, 0),
        path=_path(line.u),
    )


def _path(digits: str) -> str:
    """Return what may be told of a path; empty: the line has none."""
    try:
        return told_path(bytes.fromhex(digits).decode("latin-1"))
    except ValueError:
        return ""
