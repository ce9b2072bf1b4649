"""Counts what browsers of real users tell, and has it in metrics and logs now and then."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec

from andon.api.v1.telemetry import BeaconSpec
from andon.domains.observability.visits import VITALS, Tallied, Visit, error_line
from andon.kernel.clock import Clock
from andon.kernel.errors import TooMany, UsageError
from andon.ports.telemetry import Labels, LogLine, LogStore, Metadata, MetricStore

MOST_ADDRESSES, MOST_LINES = 4096, 1000
EACH, EACH_A_SECOND = 30.0, 1.0
ALL, ALL_A_SECOND = 500.0, 100.0
VIEWS, ERRORS = "andon_page_views_total", "andon_page_errors_total"
FAMILIES = {
    VIEWS: Metadata("counter", "Views of pages that told, a share of all."),
    ERRORS: Metadata("counter", "Errors of the scripts of pages that told."),
} | {
    f"andon_web_{name}": Metadata("histogram", f"{name.partition('_')[0].upper()} of pages.")
    for name in VITALS
}
_read = msgspec.json.Decoder(Visit).decode


class Allowance:
    """So many at once, and so many a second.

    Args:
        most: At once.
        a_second: How fast one may come after the other in the long run.
    """

    def __init__(self, most: float, a_second: float) -> None:
        self._most, self._a_second = most, a_second
        self._left, self._at = most, 0.0

    def take(self, now: float) -> bool:
        """Take one, if there is one."""
        self._left = min(self._most, self._left + max(0.0, now - self._at) * self._a_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Beacon:
    """``BeaconService`` over the stores.

    Args:
        spec: Who may tell.
        metrics: Where counts go.
        logs: Where errors go.
        interval_seconds: Between two tellings of the counts.
        clock: The time.
    """

    def __init__(
        self,
        spec: BeaconSpec,
        metrics: MetricStore,
        logs: LogStore,
        interval_seconds: float,
        clock: Clock,
    ) -> None:
        self._spec, self._metrics, self._logs, self._clock = spec, metrics, logs, clock
        self._interval_seconds = interval_seconds
        self._tallied = Tallied({}, {}, {})
        self._lines: list[LogLine] = []
        self._all = Allowance(ALL, ALL_A_SECOND)
        self._each: OrderedDict[str, Allowance] = OrderedDict()
        self._guard = threading.Lock()
        self._told_at = 0.0

    @property
    def sample_ratio(self) -> float:
        """Share of the views of pages that tell."""
        return self._spec.sample_ratio

    def hears(self, origin: str) -> bool:
        """Say whether pages of an origin may tell."""
        return origin in self._spec.origins

    async def take(self, origin: str, body: bytes, address: str) -> None:
        """Count a visit; nothing of the visitor is kept."""
        now = self._clock.now()
        self._expect_room(address, now)
        try:
            visit = _read(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"a page told what is none: {error}") from None
        site = urlsplit(origin).netloc
        with self._guard:
            page = self._tallied.add(site, visit)
            room = MOST_LINES - len(self._lines)
            told = [error_line(one) for one in visit.errors[:room]]
            self._lines += [_line(text, site, page, now) for text in told]
        if now - self._told_at >= self._interval_seconds:
            await asyncio.to_thread(self.tell)

    def _expect_room(self, address: str, now: float) -> None:
        mine = self._each.setdefault(address, Allowance(EACH, EACH_A_SECOND))
        self._each.move_to_end(address)
        while len(self._each) > MOST_ADDRESSES:
            self._each.popitem(last=False)
        if not mine.take(now) or not self._all.take(now):
            raise TooMany("too many pages tell at once", again_seconds=10)

    async def run(self) -> None:
        """Have the counts in the metrics at each interval, until cancelled."""
        while True:
            await asyncio.sleep(self._interval_seconds)
            await asyncio.to_thread(self.tell)

    def tell(self) -> None:
        """Have the counts so far in the metrics, and errors in the logs."""
        now = self._clock.now()
        with self._guard:
            self._told_at = now
            lines, self._lines = self._lines, []
            rows = list(samples(self._tallied))
        if rows:
            self._metrics.describe(FAMILIES)
            self._metrics.append(int(now * 1000), rows)
        if lines:
            self._logs.append(lines)


def samples(tallied: Tallied) -> Iterator[tuple[Labels, float]]:
    """Yield what was counted as samples."""
    for name, counts in ((VIEWS, tallied.views), (ERRORS, tallied.errors)):
        for (site, page), count in counts.items():
            yield _series(name, site=site, page=page), count
    for (site, vital), one in tallied.vitals.items():
        name = f"andon_web_{vital}"
        for bound, below in zip(VITALS[vital], one.buckets, strict=True):
            yield _series(f"{name}_bucket", site=site, le=f"{bound:g}"), below
        yield _series(f"{name}_bucket", site=site, le="+Inf"), one.count
        yield _series(f"{name}_sum", site=site), one.total
        yield _series(f"{name}_count", site=site), one.count


def _series(name: str, **labels: str) -> Labels:
    return tuple(sorted({"__name__": name, **labels}.items()))


def _line(text: str, site: str, page: str, now: float) -> LogLine:
    return LogLine(
        at_ns=int(now * 1e9),
        text=text,
        labels={"source": "beacon", "site": site},
        severity="error",
        attributes={"page": page},
    )
