"""Two counts of the same requests, compared.

One is folded from log lines that HAProxy sends as datagrams; the other is what HAProxy counts itself
for each backend. A worker books both in the same turn, so they agree exactly whenever no line is under
way; a count between two readings of the other must lie between them.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct

from msgspec import Struct

from andon.adapters.haproxy.counters import Counters, LineReader
from andon.adapters.haproxy.recent import Recent
from andon.adapters.haproxy.workers import Fleet, Totals
from andon.api.v1.actions import Counts
from andon.kernel.clock import Clock

DISPUTE_SECONDS = 2.0
_BUFFER_BYTES = 8 << 20
_BASELINE_TRIES = 20
_SO_RCVBUFFORCE = 33
_SO_RXQ_OVFL = 40
_LINE_BYTES = 2048


class Reading(Struct, frozen=True):
    """Counts by backend name, and what is wrong with them."""

    source: str
    counts: dict[str, Counts]
    disputes: tuple[str, ...] = ()


class Accounts:
    """Keeps both counts.

    Args:
        token: Begins every genuine line.
        clock: Tells in which window a line falls.
        fleet: Tells HAProxy's own counts.
    """

    def __init__(self, token: str, clock: Clock, fleet: Fleet) -> None:
        self._clock, self._fleet = clock, fleet
        self._counters, self._reader = Counters(), LineReader(token)
        self.recent = Recent()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._lines = 0
        self._overflow = 0
        self._dropped = 0
        self._slack = 0
        self._baseline: dict[str, Totals] = {}
        self._disputed_since: dict[str, float] = {}
        self._source = ""

    @property
    def source(self) -> str:
        """Changes whenever the counts began anew."""
        return self._source

    def listen(self, port: int) -> int:
        """Take log lines on a port, if possible this one; return which."""
        # A Unix datagram socket queues only net.unix.max_dgram_qlen lines (10 by default), whatever
        # its buffer: a busy agent would lose some. UDP fills the whole buffer.
        self._socket.setblocking(False)
        for option in (socket.SO_RCVBUF, _SO_RCVBUFFORCE):
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
            except PermissionError:
                pass
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        try:
            self._socket.bind(("127.0.0.1", port))
        except OSError:
            self._socket.bind(("127.0.0.1", 0))
        asyncio.get_running_loop().add_reader(self._socket, self._drain)
        return int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Stop counting."""
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()

    async def begin_anew(self) -> None:
        """Set all counts to zero, both at the same moment."""
        for _ in range(_BASELINE_TRIES):
            self._drain()
            seen = self._lines
            baseline = await self._fleet.totals()
            self._drain()
            self._slack = self._lines - seen
            if not self._slack:
                break
        self._counters.clear()
        self._disputed_since.clear()
        self._baseline, self._source = baseline, secrets.token_hex(8)
        self._dropped = await self._dropped_by_haproxy()
        self._fleet.lost = False

    async def read(self, backends: list[str]) -> Reading:
        """Read both counts of some backends and compare them."""
        if self._fleet.lost or await self._dropped_by_haproxy() > self._dropped:
            await self.begin_anew()
        overflow = self._overflow
        self._drain()
        before = {name: self._answered(name) for name in backends}
        totals = await self._fleet.totals()
        self._drain()
        if self._overflow != overflow:
            await self.begin_anew()
            return await self.read(backends)
        second = {name: self._since_baseline(name, totals) for name in backends}
        disputes = tuple(
            text for name in backends if (text := self._dispute(name, before[name], second[name]))
        )
        now = self._clock.now()
        counts = {name: self._counters.tally(name, now).counts(*second[name]) for name in backends}
        return Reading(self._source, counts, disputes)

    async def forget(self, backend: str) -> None:
        """Begin one backend's counts anew, once it has no traffic any more."""
        totals = await self._fleet.totals()
        self._drain()
        self._baseline[backend] = totals.get(backend, Totals())
        self._counters.forget(backend)

    async def _dropped_by_haproxy(self) -> int:
        return int((await self._fleet.info()).get("DroppedLogs", 0))

    def _answered(self, backend: str) -> tuple[int, int]:
        tally = self._counters.tally(backend, self._clock.now())
        return tally.answered, tally.answered_errors

    def _since_baseline(self, backend: str, totals: dict[str, Totals]) -> tuple[int, int]:
        now, then = totals.get(backend, Totals()), self._baseline.get(backend, Totals())
        return now.requests - then.requests, now.errors - then.errors

    def _dispute(self, backend: str, before: tuple[int, int], second: tuple[int, int]) -> str:
        """Say how the counts of a backend disagree, if they have done so for a while."""
        after, slack = self._answered(backend), self._slack
        triples = zip(before, second, after, strict=True)
        if all(low - slack <= value <= high + slack for low, value, high in triples):
            self._disputed_since.pop(backend, None)
            return ""
        now = self._clock.now()
        if now - self._disputed_since.setdefault(backend, now) < DISPUTE_SECONDS:
            return ""
        return (
            f"the two counts of {backend} disagree: {after[0]} requests and {after[1]} errors in "
            f"log lines, {second[0]} and {second[1]} counted by HAProxy"
        )

    def _drain(self) -> None:
        """Fold all lines that have arrived."""
        now = self._clock.now()
        while True:
            try:
                datagram, extra, _, _ = self._socket.recvmsg(_LINE_BYTES, 64)
            except BlockingIOError:
                return
            for level, kind, data in extra:
                if (level, kind) == (socket.SOL_SOCKET, _SO_RXQ_OVFL):
                    self._overflow = struct.unpack("I", data)[0]
            line = self._reader.read(datagram)
            if line and line.p not in self._fleet.strangers:
                self._lines += 1
                self._counters.fold(line, now)
                self.recent.add(line)
