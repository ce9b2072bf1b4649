"""Metrics as people and their tools ask for them.

Queries compute in threads, few at a time, each within a budget of work: what controls is never kept waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from andon import __version__
from andon.app.telemetry.prometheus_json import answer_json, number_text, seconds
from andon.calc.staleness import is_stale
from andon.kernel.clock import Clock
from andon.kernel.errors import UsageError
from andon.ports.metrics import Told
from andon.ports.telemetry import Exemplar, Labels, Matcher, MetricStore, Series

if TYPE_CHECKING:
    from andon.domains.observability.promql import nodes

AT_ONCE = 3
LATEST_MS = 2**53
LOOKBACK_MS = 300_000
UP = "up"
LIKE_PROMETHEUS = "2.55.0"
"""Which Prometheus tools may take this for: they choose by it what they ask."""
T = TypeVar("T")


class RuleBook(Protocol):
    """Knows recording rules and how they do."""

    def told(self) -> list[dict[str, Any]]:
        """Return the rules as Prometheus's API has them, in groups."""
        ...


class Metrics:
    """Answers from a store of samples.

    Args:
        store: Samples.
        clock: The time.
        rules: Recording rules, if there are any.
    """

    def __init__(
        self,
        store: MetricStore,
        clock: Clock,
        rules: RuleBook | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._places = asyncio.Semaphore(AT_ONCE)

    async def query(self, text: str, at: float | None = None) -> Told:
        """Answer a query at one moment."""
        at_ms = _ms(self._clock.now() if at is None else at)
        return await self._thread(lambda: ask_instant(self._store, text, at_ms))

    async def query_range(self, text: str, start: float, end: float, step: float) -> Told:
        """Answer a query at every step of a time."""
        times = _ms(start), _ms(end), _ms(step)
        return await self._thread(lambda: ask_range(self._store, text, *times))

    async def series(
        self, selectors: Sequence[str], start: float | None = None, end: float | None = None
    ) -> Told:
        """List the labels of series."""
        if not selectors:
            raise UsageError("no match[] parameter provided")
        found = await self._names(selectors, start, end)
        return Told([dict(labels) for labels in found])

    async def labels(
        self, selectors: Sequence[str] = (), start: float | None = None, end: float | None = None
    ) -> Told:
        """List the names of labels."""
        found = await self._names(selectors, start, end)
        return Told(sorted({name for labels in found for name, _ in labels}))

    async def label_values(
        self,
        name: str,
        selectors: Sequence[str] = (),
        start: float | None = None,
        end: float | None = None,
    ) -> Told:
        """List the values of a label."""
        found = await self._names(selectors, start, end)
        return Told(sorted({value for labels in found for key, value in labels if key == name}))

    async def metadata(self, metric: str = "", limit: int = 0) -> Told:
        """Say what metrics are."""
        known = await asyncio.to_thread(self._store.metadata)
        chosen = sorted(name for name in known if metric in ("", name))
        return Told(
            {
                name: [{"type": one.type, "help": one.help, "unit": one.unit}]
                for name in chosen[: limit or None]
                for one in (known[name],)
            }
        )

    async def exemplars(
        self, text: str, start: float | None = None, end: float | None = None
    ) -> Told:
        """List exemplars of the series in a query."""
        start_ms, end_ms = _span(start, end)
        return await self._thread(lambda: _exemplars(self._store, text, start_ms, end_ms))

    async def targets(self) -> Told:
        """List what is scraped."""
        at_ms = _ms(self._clock.now())
        found = await self._thread(lambda: _targets(self._store, at_ms))
        return Told({"activeTargets": found, "droppedTargets": []})

    async def rules(self) -> Told:
        """List recording rules and how they do."""
        return Told({"groups": self._rules.told() if self._rules else []})

    async def build(self) -> Told:
        """Say which Prometheus this is like."""
        return Told(
            {
                "version": LIKE_PROMETHEUS,
                "revision": f"andon {__version__}",
                "branch": "",
                "buildUser": "",
                "buildDate": "",
                "goVersion": "",
            }
        )

    async def format(self, text: str) -> Told:
        """Write a query as it is usually written."""
        return Told(await asyncio.to_thread(_formatted, text))

    async def parse(self, text: str) -> Told:
        """Say what a query says, as a tree."""
        return Told(await asyncio.to_thread(_parsed, text))

    async def _names(
        self, selectors: Sequence[str], start: float | None, end: float | None
    ) -> list[Labels]:
        start_ms, end_ms = _span(start, end)

        def find() -> list[Labels]:
            chosen = [_matchers(text) for text in selectors] or [()]
            found = {
                labels
                for matchers in chosen
                for labels in self._store.names_of(matchers, start_ms, end_ms)
            }
            return sorted(found)

        return await self._thread(find)

    async def _thread(self, work: Callable[[], T]) -> T:
        async with self._places:
            return await asyncio.to_thread(work)


def ask_instant(store: MetricStore, text: str, at_ms: int) -> Told:
    """Answer a query at one moment."""
    from andon.domains.observability.promql.engine import instant

    answer = instant(text, selecting(store), at_ms)
    return Told(answer_json(answer, at_ms), answer.warnings, answer.infos)


def ask_range(store: MetricStore, text: str, start_ms: int, end_ms: int, step_ms: int) -> Told:
    """Answer a query at every step of a time."""
    from andon.domains.observability.promql.engine import ranged

    answer = ranged(text, selecting(store), start_ms, end_ms, step_ms)
    return Told(answer_json(answer, end_ms), answer.warnings, answer.infos)


def selecting(
    store: MetricStore,
) -> Callable[[Sequence[nodes.Matcher], int, int], Sequence[Series]]:
    """Let queries find samples in a store."""

    def select(matchers: Sequence[nodes.Matcher], start_ms: int, end_ms: int) -> Sequence[Series]:
        return store.select(_ported(matchers), start_ms, end_ms)

    return select


def _ported(matchers: Sequence[nodes.Matcher]) -> list[Matcher]:
    return [Matcher(one.name, one.op, one.value) for one in matchers]


def _matchers(text: str) -> Sequence[Matcher]:
    """Read a bare selector.

    Raises:
        UsageError: It is none.
    """
    from andon.domains.observability.promql.nodes import Selector
    from andon.domains.observability.promql.reading import read

    node = read(text)
    if not isinstance(node, Selector) or node.offset_ms or node.at is not None:
        raise UsageError(f'invalid parameter "match[]": {text!r} is no selector')
    return _ported(node.matchers)


def _exemplars(store: MetricStore, text: str, start_ms: int, end_ms: int) -> Told:
    from andon.domains.observability.promql.nodes import selectors_in
    from andon.domains.observability.promql.reading import read

    found: dict[Labels, list[Exemplar]] = {}
    for selector in selectors_in(read(text)):
        found |= store.exemplars(_ported(selector.matchers), start_ms, end_ms)
    return Told(
        [
            {
                "seriesLabels": dict(labels),
                "exemplars": [
                    {
                        "labels": dict(one.labels),
                        "value": number_text(one.value),
                        "timestamp": seconds(one.at_ms),
                    }
                    for one in found[labels]
                ],
            }
            for labels in sorted(found)
            if found[labels]
        ]
    )


def _targets(store: MetricStore, at_ms: int) -> list[dict[str, Any]]:
    """Tell what is scraped from what its scrapes told: the newest ``up`` of each target."""
    found = []
    for one in store.select((Matcher("__name__", "=", UP),), at_ms - LOOKBACK_MS, at_ms):
        if not len(one.values) or is_stale(float(one.values[-1])):
            continue
        labels = {name: value for name, value in one.labels if name != "__name__"}
        last = datetime.fromtimestamp(int(one.times_ms[-1]) / 1000, UTC).isoformat()
        found.append(
            {
                "discoveredLabels": labels,
                "labels": labels,
                "scrapePool": labels.get("job", ""),
                "scrapeUrl": labels.get("instance", ""),
                "globalUrl": labels.get("instance", ""),
                "lastError": "" if one.values[-1] else "it does not answer",
                "lastScrape": last.replace("+00:00", "Z"),
                "lastScrapeDuration": 0,
                "health": "up" if one.values[-1] else "down",
            }
        )
    return found


def _formatted(text: str) -> str:
    from andon.domains.observability.promql.reading import formatted

    return formatted(text)


def _parsed(text: str) -> dict[str, Any]:
    from andon.app.telemetry.prometheus_tree import tree_json
    from andon.domains.observability.promql.reading import read

    return tree_json(read(text))


def _ms(moment: float) -> int:
    """Return milliseconds of seconds.

    Raises:
        UsageError: No clock ever shows that.
    """
    if not abs(moment) < LATEST_MS / 1000:
        raise UsageError(f"a time of {moment:g} seconds is out of range")
    return round(moment * 1000)


def _span(start: float | None, end: float | None) -> tuple[int, int]:
    span = 0 if start is None else _ms(start), LATEST_MS if end is None else _ms(end)
    if span[1] < span[0]:
        raise UsageError("end timestamp must not be before start time")
    return span
