"""Advances the counters of all goals: what was counted since they were last looked at, and nothing else.

A counter begins with the first sample of its indicator. Where samples are missing no time is covered: a
gap stays a gap, however often Andon was restarted meanwhile.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from andon.adapters.telemetry.tallies import Counter, Tallies
from andon.app.telemetry.indicators import (
    NAME,
    PLACEHOLDERS,
    AskValue,
    Buckets,
    Reader,
    exact,
)
from andon.domains.reliability.goals import Goal, Sli, Term, counter_key
from andon.ports.telemetry import MetricStore

SETTLED_SECONDS = 150.0
"""What is older is counted for good: the samples around it have arrived. The rest is looked at anew."""
STEP_SECONDS = 15.0
ROW_SECONDS = 60.0
"""What is settled is written this often."""
LIVE_SECONDS = SETTLED_SECONDS + ROW_SECONDS + 2 * STEP_SECONDS
"""How long that rest is, at most, while all goes well."""
BACKFILL = (
    (1800.0, 60.0),
    (6 * 3600.0, 300.0),
    (3 * 86_400.0, 3600.0),
    (math.inf, 6 * 3600.0),
)
"""How finely the past is counted, by its age, in seconds."""
MOST_POINTS = 10
_FIRST_MS = 1
_COMPARE = {"lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge}


class Piece(Struct, frozen=True):
    """What happened in a short window: bad events, all events, seconds observed."""

    bad: float = 0.0
    total: float = 0.0
    covered: float = 0.0


UNSEEN = Piece()


class Counting:
    """Keeps the counters of goals up to date.

    Args:
        metrics: The samples.
        tallies: Where the counters are kept.
        ask: Asks PromQL; None: only counters are read.
    """

    def __init__(self, metrics: MetricStore, tallies: Tallies, ask: AskValue | None = None) -> None:
        self._metrics = metrics
        self._tallies = tallies
        self._ask = ask
        self._buckets = Buckets(metrics)
        self._counters = tallies.counters()
        self._live = dict(self._counters)

    def counter(self, goal: Goal) -> Counter | None:
        """Return the counter of a goal as it is just now; None: nothing was ever observed."""
        return self._live.get(counter_key(goal))

    def advance(self, goals: Iterable[Goal], now: float) -> None:
        """Count what happened until now.

        Raises:
            Unavailable: The samples cannot be read, or the counters not written.
        """
        by_key = {counter_key(goal): goal for goal in goals if not goal.sli.unsupported}
        self._begin({key: goal for key, goal in by_key.items() if key not in self._counters}, now)
        for last_ms, slice_seconds, some in self._alike(by_key):
            steps = _steps(last_ms / 1000, now - SETTLED_SECONDS, slice_seconds)
            if rows := self._count(some, [(round(a * 1000), round(b * 1000)) for a, b in steps]):
                self._tallies.advance(rows)
                self._counters |= {row.key: row for row in rows}
        self._live = dict(self._counters)
        for last_ms, slice_seconds, some in self._alike(by_key):
            if not slice_seconds:
                rows = self._count(some, [(last_ms, max(last_ms, round(now * 1000)))])
                self._live |= {row.key: row for row in rows}
        self._listen(by_key, round(now * 1000))

    def _alike(
        self, by_key: Mapping[str, Goal]
    ) -> Iterator[tuple[int, float, list[tuple[Counter, Goal]]]]:
        """Yield goals that have come as far as each other, with their counters."""
        found: dict[tuple[int, float], list[tuple[Counter, Goal]]] = {}
        for key, goal in by_key.items():
            if (counter := self._counters.get(key)) is not None:
                group = (counter.last_ms, goal.slice_seconds)
                found.setdefault(group, []).append((counter, goal))
        for (last_ms, slice_seconds), some in found.items():
            yield last_ms, slice_seconds, some

    def _listen(self, by_key: Mapping[str, Goal], now_ms: int) -> None:
        """Note who had a sample before its silence became too long."""
        for key, goal in by_key.items():
            live, total = self._live.get(key), exact(goal.sli).total
            if live is None or live.last_ms > now_ms or total is None or not total.matchers:
                continue
            if live.heard_ms == now_ms and goal.silence_seconds > LIVE_SECONDS:
                continue
            since_ms = now_ms - round(goal.silence_seconds * 1000)
            heard = Reader(self._metrics, since_ms, now_ms).of(total).samples > 0
            heard_ms = now_ms if heard else self._counters[key].heard_ms
            self._live[key] = replace(live, heard_ms=heard_ms)

    def _begin(self, new: Mapping[str, Goal], now: float) -> None:
        """Begin counters with the first sample of any of them that is still in its window."""
        if not new:
            return
        now_ms = round(now * 1000)
        asked = [key for key, goal in new.items() if not _all_exact(exact(goal.sli))]
        begun = [(key, now_ms) for key in asked if self._ask is not None]
        totals = {
            key: term
            for key, goal in new.items()
            if key not in asked and (term := exact(goal.sli).total) is not None
        }
        period_ms = round(1000 * max(goal.period_seconds for goal in new.values()))
        first_ms = self._first_ms(set(totals.values()), max(_FIRST_MS, now_ms - period_ms), now_ms)
        if first_ms is not None:
            reader = Reader(self._metrics, first_ms, now_ms)
            reader.read(totals.values())
            begun += [(key, first_ms) for key, term in totals.items() if reader.of(term).samples]
        if begun:
            found = self._tallies.begin(begun)
            self._counters |= {key: one for key, one in found.items() if key in new}

    def _first_ms(self, terms: Collection[Term], start_ms: int, now_ms: int) -> int | None:
        """Return when the first of some terms was first observed; None: none ever was."""

        def samples(since_ms: int) -> int:
            reader = Reader(self._metrics, since_ms, now_ms)
            reader.read(terms)
            return sum(reader.of(term).samples for term in terms)

        all_of_them = samples(start_ms) if terms else 0
        if not all_of_them:
            return None
        low, high = start_ms, now_ms
        while high - low > 1:
            middle = (low + high) // 2
            if samples(middle) == all_of_them:
                low = middle
            else:
                high = middle
        return low

    def _count(
        self, some: Sequence[tuple[Counter, Goal]], steps: Sequence[tuple[int, int]]
    ) -> list[Counter]:
        """Count the same steps for goals that have come as far as each other."""
        indicators = [
            (counter, goal, self._named(exact(goal.sli), steps[-1][1] if steps else 0))
            for counter, goal in some
        ]
        current = {counter.key: counter for counter, _ in some}
        rows: list[Counter] = []
        for start_ms, end_ms in steps:
            reader = Reader(self._metrics, start_ms, end_ms)
            reader.read(term for _, _, sli in indicators for term in _terms(sli))
            for counter, goal, sli in indicators:
                piece = self._piece(goal, sli, reader, start_ms, end_ms)
                row = _plus(current[counter.key], piece, end_ms)
                current[counter.key] = row
                rows.append(row)
        return rows

    def _named(self, sli: Sli, now_ms: int) -> Sli:
        if sli.good is None or not sli.good.at_most:
            return sli
        return replace(sli, good=self._buckets.found(sli.good, now_ms))

    def _piece(self, goal: Goal, sli: Sli, reader: Reader, start_ms: int, end_ms: int) -> Piece:
        if _all_exact(sli):
            piece = _counted(sli, reader)
        else:
            piece = self._asked(goal, sli, start_ms / 1000, end_ms / 1000)
        return _sliced(goal, piece) if goal.slice_seconds else piece

    def _asked(self, goal: Goal, sli: Sli, start: float, end: float) -> Piece:
        """Ask for values: of a slice several, of a step the one at its end."""
        count = 1
        if goal.slice_seconds:
            count = max(1, min(MOST_POINTS, round((end - start) / STEP_SECONDS)))
        step = (end - start) / count
        pieces = [self._asked_once(sli, start + n * step, step) for n in range(count)]
        return Piece(*(math.fsum(column) for column in zip(*map(_columns, pieces), strict=True)))

    def _asked_once(self, sli: Sli, start: float, seconds: float) -> Piece:
        if sli.value is not None:
            value = self._value(sli.value, start + seconds, seconds)
            if value is None:
                return UNSEEN
            good = _COMPARE[sli.op](value, sli.limit)
            return Piece(0.0 if good else seconds, seconds, seconds)
        if sli.raw is not None:
            share = self._value(sli.raw, start + seconds, seconds)
            if share is None or not -1e-9 <= share <= 1 + 1e-9:
                return UNSEEN
            return Piece((share if sli.raw_failure else 1 - share) * seconds, seconds, seconds)
        return self._asked_ratio(sli, start + seconds, seconds)

    def _asked_ratio(self, sli: Sli, at: float, seconds: float) -> Piece:
        part = sli.bad or sli.good
        if sli.total is None or part is None:
            return UNSEEN
        total, some = (self._value(term, at, seconds, sum_up=True) for term in (sli.total, part))
        if total is None or some is None:
            return UNSEEN
        return Piece(some if sli.bad is not None else total - some, total, seconds)

    def _value(
        self, term: Term, at: float, seconds: float, *, sum_up: bool = False
    ) -> float | None:
        """Ask for a value; of several series there is none, unless they may be added up."""
        if self._ask is None:
            return None
        query = term.query
        for placeholder in PLACEHOLDERS:
            query = query.replace(placeholder, f"{max(1, round(seconds))}s")
        values = self._ask(query, at)
        if not values or (len(values) > 1 and not sum_up):
            return None
        total = math.fsum(values)
        return total if math.isfinite(total) else None


def _terms(sli: Sli) -> Iterator[Term]:
    return (term for term in (sli.total, sli.good, sli.bad) if term is not None and term.matchers)


def _all_exact(sli: Sli) -> bool:
    return sli.total is not None and all(
        term is None or term.matchers for term in (sli.total, sli.good, sli.bad)
    )


def _counted(sli: Sli, reader: Reader) -> Piece:
    """Return what counters counted exactly.

    Where the part that is good or bad is a metric of its own and not there, it is unknown, not zero.
    """
    part = sli.bad or sli.good
    if sli.total is None or part is None:
        return UNSEEN
    total, some = reader.of(sli.total), reader.of(part)
    if not total.covered_seconds or (not some.samples and _metric(part) != _metric(sli.total)):
        return UNSEEN
    bad = some.increase if sli.bad is not None else total.increase - some.increase
    return Piece(bad, total.increase, total.covered_seconds)


def _metric(term: Term) -> str:
    return next((value for name, op, value in term.matchers if (name, op) == (NAME, "=")), "")


def _sliced(goal: Goal, piece: Piece) -> Piece:
    """Judge a slice of time; one that was mostly not seen is unknown."""
    if piece.covered < goal.slice_seconds / 2:
        return UNSEEN
    if piece.total <= 0:
        return Piece(0.0, 0.0, goal.slice_seconds)
    good = min(1.0, max(0.0, 1 - piece.bad / piece.total))
    bad = 1 - good if goal.budgeting == "RatioTimeslices" else float(good < goal.slice_target)
    return Piece(bad, 1.0, goal.slice_seconds)


def _plus(counter: Counter, piece: Piece, end_ms: int) -> Counter:
    since_ms = counter.since_ms
    if not counter.heard_ms and piece.covered > 0:
        since_ms = max(since_ms, end_ms - math.ceil(piece.covered * 1000))
    return replace(
        counter,
        since_ms=since_ms,
        last_ms=end_ms,
        heard_ms=end_ms if piece.covered > 0 else counter.heard_ms,
        bad=counter.bad + piece.bad,
        total=counter.total + piece.total,
        covered=counter.covered + piece.covered,
    )


def _columns(piece: Piece) -> tuple[float, float, float]:
    return piece.bad, piece.total, piece.covered


def _steps(last: float, upto: float, slice_seconds: float) -> list[tuple[float, float]]:
    """Cut the time since a counter was last advanced into steps, the finer the younger.

    >>> _steps(100.0, 170.0, 0), _steps(100.0, 250.0, 60)
    ([(100.0, 120.0)], [(120, 180), (180, 240)])
    """
    if slice_seconds:
        first, end = math.ceil(last / slice_seconds), math.floor(upto / slice_seconds)
        width = _whole(slice_seconds)
        return [(n * width, (n + 1) * width) for n in range(first, end)]
    edges, at = [last], last
    while upto - at >= ROW_SECONDS:
        at = min(upto, _edge_after(at, upto - at))
        edges.append(at)
    return list(itertools.pairwise(edges))


def _edge_after(at: float, age: float) -> float:
    """Return where the step ends that begins at a moment of some age."""
    width = next(width for most, width in BACKFILL if age <= most)
    return (at // width + 1) * width if age > width else at + age


def _whole(seconds: float) -> float:
    return int(seconds) if seconds == int(seconds) else seconds
