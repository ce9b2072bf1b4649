"""The first count: folding log lines into counts per version. Pure; time is an argument.

Inner requests of a trace end, and are logged, before the outer one: when a front service answers an
error, what its trace touched behind it is already known.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict

import msgspec
from msgspec import Struct, field

from andon.api.v1.actions import Counts
from andon.api.v1.latency import bucket_of

WINDOW_SECONDS = 10
TRACE_SECONDS = 10
MAX_TRACES = 20_000
_ROUNDING_MS = 1
MAX_CLIENTS = 100_000


class Line(Struct, frozen=True):
    """A log line: backend, status, ms, client's hash, trace id, state, worker's pid, end.

    And the span's id in ``traceparent``, whether the gateway made that, and the path's bytes in hex.
    """

    b: str
    s: int
    t: int
    c: str
    i: str
    e: str
    p: int
    d: int
    x: str = ""
    y: str = ""
    u: str = ""

    @property
    def started_ms(self) -> int:
        """When the request began, in milliseconds since the Unix epoch."""
        return self.d - max(self.t, 0)

    @property
    def client_gave_up(self) -> bool:
        """The client left before a response began."""
        return self.e[:1] in "Cc" and self.e[1:2] != "D"

    @property
    def failed(self) -> bool:
        """A server error, no answer, or an answer that the server broke off."""
        return not self.client_gave_up and (
            self.s >= 500 or self.s <= 0 or self.e[:1] in ("S", "s")
        )

    @property
    def result(self) -> str:
        """What became of it: the class of its status, or failed without an answer to the end.

        A client that left before a server error arrived is a matter of its own, as with any 4xx.
        """
        if self.failed:
            return "5xx" if self.s >= 500 else "failed"
        return "4xx" if self.s >= 500 else f"{self.s // 100}xx"


class Touch(Struct, frozen=True):
    """A version that a trace came by."""

    backend: str
    started_ms: int
    failed: bool
    counted: bool
    """Its failure already counts among its client errors."""


class Tally(Struct):
    """The counts of one version."""

    requests: int = 0
    errors: int = 0
    client_errors: int = 0
    attributed_errors: int = 0
    answered: int = 0
    """Requests with a status: what the second count sees."""
    answered_errors: int = 0
    """Statuses of 500 and more, whoever's fault: what the second count sees."""
    half_requests: int = 0
    half_errors: int = 0
    half_client_errors: int = 0
    latency: dict[int, int] = field(default_factory=dict)
    latency_ms: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    window: int = -1
    clients_before: int = 0
    clients: set[str] = field(default_factory=set)
    failed_clients: set[str] = field(default_factory=set)
    blamed_clients: set[str] = field(default_factory=set)

    def turn_to(self, window: int) -> None:
        """Begin a new window, if it is one."""
        if window == self.window:
            return
        self.clients_before = len(self.clients) if window == self.window + 1 else 0
        self.window, self.clients = window, set()
        self.failed_clients, self.blamed_clients = set(), set()

    def add(self, line: Line) -> bool:
        """Count a request; say whether it was counted as a client's error."""
        if line.s <= 0 and line.client_gave_up:
            return False
        half = is_of_half(line.c)
        self.requests += 1
        self.half_requests += half
        self.answered += line.s > 0
        self.answered_errors += line.s >= 500
        bucket = bucket_of(max(line.t, 0) / 1000)
        self.latency[bucket] = self.latency.get(bucket, 0) + 1
        self.latency_ms += max(line.t, 0)
        self.classes[line.result] = self.classes.get(line.result, 0) + 1
        _remember(self.clients, line.c)
        if not line.failed:
            return False
        self.errors += 1
        first = _remember(self.failed_clients, line.c)
        self.client_errors += first
        self.half_errors += half
        self.half_client_errors += half and first
        return first

    def blame(self, client: str) -> None:
        """Count an error that surfaced elsewhere."""
        first = _remember(self.blamed_clients, client)
        half = first and is_of_half(client)
        self.attributed_errors += first
        self.half_errors += half
        self.half_client_errors += half

    def counts(self, table_requests: int, table_errors: int) -> Counts:
        """Return the counts as the world sees them."""
        return Counts(
            requests=self.requests,
            errors=self.errors,
            client_errors=self.client_errors,
            attributed_errors=self.attributed_errors,
            clients=self.clients_before,
            latency=dict(sorted(self.latency.items())),
            half=(self.half_requests, self.half_errors, self.half_client_errors),
            classes=dict(sorted(self.classes.items())),
            latency_ms=self.latency_ms,
            table_requests=table_requests,
            table_errors=table_errors,
        )


class Counters:
    """Counts of all versions, by backend name."""

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}
        self._traces: OrderedDict[str, tuple[float, list[Touch]]] = OrderedDict()

    def fold(self, line: Line, now: float) -> None:
        """Count one line.

        Args:
            line: The line.
            now: Seconds since the Unix epoch when it arrived.
        """
        if line.b.count(".") != 2:
            return  # no version was chosen: a malformed request, or a service without versions
        counted = self.tally(line.b, now).add(line)
        touches = self._touches(line, now)
        if line.failed:
            self._attribute(line, touches, now)
        touches.append(Touch(line.b, line.started_ms, line.failed, counted))

    def tally(self, backend: str, now: float) -> Tally:
        """Return a version's counts, its window turned to now."""
        tally = self._tallies.setdefault(backend, Tally())
        tally.turn_to(int(now // WINDOW_SECONDS))
        return tally

    def forget(self, backend: str) -> None:
        """Drop the counts of a version that is gone."""
        self._tallies.pop(backend, None)

    def clear(self) -> None:
        """Begin anew."""
        self._tallies.clear()
        self._traces.clear()

    def _touches(self, line: Line, now: float) -> list[Touch]:
        """Return what the line's trace touched so far, in its environment."""
        while self._traces and (
            len(self._traces) > MAX_TRACES
            or next(iter(self._traces.values()))[0] < now - TRACE_SECONDS
        ):
            self._traces.popitem(last=False)
        key = f"{line.b.partition('.')[0]}/{line.i}"
        _, touches = self._traces.pop(key, (now, []))
        self._traces[key] = (now, touches)
        return touches

    def _attribute(self, line: Line, touches: list[Touch], now: float) -> None:
        """Charge the versions behind a failed request: those that failed, else all it touched."""
        service = line.b.rpartition(".")[0]
        behind = [
            touch
            for touch in touches
            if touch.backend.rpartition(".")[0] != service
            and touch.started_ms >= line.started_ms - _ROUNDING_MS  # else called earlier, beside it
        ]
        culprits = [touch for touch in behind if touch.failed] or behind
        for touch in culprits:
            if not touch.counted:
                self.tally(touch.backend, now).blame(line.c)


class LineReader:
    """Tells genuine log lines from anything else that arrives."""

    def __init__(self, token: str) -> None:
        self._prefix = f"{token} ".encode()
        self._decoder = msgspec.json.Decoder(Line, strict=False)

    def read(self, datagram: bytes) -> Line | None:
        """Parse a datagram; None if HAProxy says something else or somebody else is talking."""
        if not datagram.startswith(self._prefix):
            return None
        try:
            return self._decoder.decode(datagram[len(self._prefix) :])
        except msgspec.DecodeError:
            return None


def is_of_half(client: str) -> bool:
    """Say whether a client is of the half that is counted apart, whatever version it meets.

    >>> 400 < sum(is_of_half(str(number)) for number in range(1000)) < 600
    True
    """
    return zlib.crc32(client.encode()) % 2 == 0


def _remember(clients: set[str], client: str) -> bool:
    """Add a client; say whether it is new."""
    if client in clients or len(clients) >= MAX_CLIENTS:
        return False
    clients.add(client)
    return True
