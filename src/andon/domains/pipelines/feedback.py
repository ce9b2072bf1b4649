"""How fast a commit learns whether it is good, what decided that, and what would shorten it.

The critical path of a Run, and the coffee budget: the share of commits that waited for their verdict longer
than agreed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Literal

from msgspec import Struct

from andon.calc.intervals import exact_interval

WINDOW = 100
"""So many verdicts the coffee budget is meant for."""
LATE_RATIO = 0.05
"""The share of verdicts that may come later than agreed."""
MOST_ADVICE = 5
MOST_CANDIDATES = 40
WORTH_SECONDS = 0.5
"""What saves less is not told."""

CoffeeState = Literal["no-data", "healthy", "burning", "exhausted"]
Awaited = Literal["place", "matrix", "lock", "worker", "people"]
_PLACES: frozenset[Awaited] = frozenset({"place", "matrix", "worker"})


class TimedJob(Struct, frozen=True, kw_only=True):
    """A job of a Run, with its times in seconds since the Unix epoch.

    Args:
        name: Of the job.
        needs: Jobs it came after.
        started_at: When its turn came; 0: it never did.
        finished_at: When it ended; 0: not yet.
        ran_seconds: How long it truly ran; None: from its start to its end.
        awaits: What it waits for, when it waits.
        awaited: The same, by its name (of the lock, the labels); may be empty.
    """

    name: str
    needs: tuple[str, ...] = ()
    started_at: float = 0
    finished_at: float = 0
    ran_seconds: float | None = None
    awaits: Awaited = "place"
    awaited: str = ""


class Stretch(Struct, frozen=True, kw_only=True):
    """A job's share of the critical path: first it waited, then it ran."""

    job: str
    ready_at: float
    waited_seconds: float
    ran_seconds: float
    awaits: Awaited
    awaited: str


class Advice(Struct, frozen=True, kw_only=True):
    """What would shorten a Run, and by how much at most.

    Args:
        kind: ``instant``: were ``job`` done in no time, and all others waited and ran as they did;
            ``places``: were there a place and a worker for every job at once.
        job: Which; empty for ``places``.
        saves_seconds: Upper bound.
    """

    kind: Literal["instant", "places"]
    job: str = ""
    saves_seconds: float


class CriticalPath(Struct, frozen=True, kw_only=True):
    """Where the time of a Run went: the stretches and the tail make up all of it.

    Args:
        stretches: In the order of time.
        total_seconds: Of the whole Run.
        tail_seconds: After the last job: packing, writing down.
        advice: What saves most comes first.
    """

    stretches: tuple[Stretch, ...]
    total_seconds: float
    tail_seconds: float
    advice: tuple[Advice, ...]


def critical_path(
    jobs: Iterable[TimedJob], began_at: float, ended_at: float, *, most: int = MOST_ADVICE
) -> CriticalPath:
    """Tell which jobs decided how long a Run took.

    Source: J. E. Kelley and M. R. Walker, "Critical-path planning and scheduling", 1959.

    Args:
        jobs: Those of the Run.
        began_at: When it began.
        ended_at: When it ended; now, while it runs.
        most: So many pieces of advice.

    >>> jobs = [TimedJob(name="a", started_at=1, finished_at=3),
    ...         TimedJob(name="b", needs=("a",), started_at=4, finished_at=9),
    ...         TimedJob(name="c", started_at=1, finished_at=5)]
    >>> path = critical_path(jobs, began_at=1, ended_at=10)
    >>> [(one.job, one.waited_seconds, one.ran_seconds) for one in path.stretches]
    [('a', 0.0, 2), ('b', 1, 5)]
    >>> [(one.kind, one.job, one.saves_seconds) for one in path.advice]
    [('instant', 'b', 4.0), ('instant', 'a', 2.0), ('places', '', 1.0)]
    """
    known = {job.name: job for job in jobs if job.started_at}
    stretches = {name: _stretch(job, known, began_at, ended_at) for name, job in known.items()}
    path = _path(known, stretches, ended_at)
    last = max((_end(job, ended_at) for job in known.values()), default=began_at)
    total = max(0.0, ended_at - began_at)
    found = _advice(known, stretches, path)
    return CriticalPath(
        stretches=tuple(stretches[name] for name in path),
        total_seconds=total,
        tail_seconds=max(0.0, ended_at - last),
        advice=tuple(sorted(found, key=lambda one: -one.saves_seconds)[:most]),
    )


def _end(job: TimedJob, now: float) -> float:
    return job.finished_at or now


def _last_need(job: TimedJob, known: Mapping[str, TimedJob], now: float) -> str:
    """Name the need that ended last; empty: it needs nothing."""
    needs = [need for need in job.needs if need in known]
    return max(needs, key=lambda need: _end(known[need], now), default="")


def _stretch(job: TimedJob, known: Mapping[str, TimedJob], began_at: float, now: float) -> Stretch:
    need = _last_need(job, known, now)
    ready = _end(known[need], now) if need else began_at
    ended = _end(job, now)
    ran = ended - job.started_at if job.ran_seconds is None else job.ran_seconds
    ran = min(max(0.0, ran), max(0.0, ended - ready))
    return Stretch(
        job=job.name,
        ready_at=ready,
        waited_seconds=max(0.0, ended - ready - ran),
        ran_seconds=ran,
        awaits=job.awaits,
        awaited=job.awaited,
    )


def _path(known: Mapping[str, TimedJob], stretches: Mapping[str, Stretch], now: float) -> list[str]:
    name = max(known, key=lambda one: _end(known[one], now), default="")
    path: list[str] = []
    while name and name not in path:
        path.append(name)
        name = _last_need(known[name], known, now)
    return [one for one in path[::-1] if one in stretches]


def _advice(
    known: Mapping[str, TimedJob], stretches: Mapping[str, Stretch], path: Sequence[str]
) -> list[Advice]:
    order = _in_order(known)

    def length(seconds: Callable[[Stretch], float]) -> float:
        ends: dict[str, float] = {}
        for name in order:
            ready = max((ends[need] for need in known[name].needs if need in ends), default=0.0)
            ends[name] = ready + seconds(stretches[name])
        return max(ends.values(), default=0.0)

    def whole(one: Stretch) -> float:
        return one.waited_seconds + one.ran_seconds

    def with_places(one: Stretch) -> float:
        return one.ran_seconds if one.awaits in _PLACES else whole(one)

    def without(name: str) -> float:
        return length(lambda one: 0.0 if one.job == name else whole(one))

    now = length(whole)
    longest = sorted(path, key=lambda name: -whole(stretches[name]))[:MOST_CANDIDATES]
    found = [
        Advice(kind="places", saves_seconds=now - length(with_places)),
        *(Advice(kind="instant", job=name, saves_seconds=now - without(name)) for name in longest),
    ]
    return [one for one in found if one.saves_seconds >= WORTH_SECONDS]


def _in_order(known: Mapping[str, TimedJob]) -> list[str]:
    graph = {name: [need for need in job.needs if need in known] for name, job in known.items()}
    return list(TopologicalSorter(graph).static_order())


# --- the coffee budget --------------------------------------------------------------------------


class Awaiting(Struct, frozen=True, kw_only=True):
    """A commit and its verdict.

    Args:
        run: The build Run.
        arrived_at: When the commit came, seconds since the Unix epoch.
        verdict_at: When it was known whether it is good; 0: not yet.
        limit_seconds: What was agreed at that commit.
    """

    run: str
    arrived_at: float
    verdict_at: float
    limit_seconds: float


class Coffee(Struct, frozen=True, kw_only=True):
    """How the coffee budget stands.

    Args:
        state: ``no-data`` is neither good nor bad; ``burning``: more are late than should be, so that
            the budget will not last; ``exhausted``: it is used up.
        verdicts: So many commits were looked at.
        late: Those that waited longer than agreed, still waiting ones included.
        allowed: So many may be late among ``WINDOW``.
        burn_rate: Share of late ones over the allowed share: above 1 the budget shrinks; None: no data.
        low: Lower bound of the true share of late ones, 19 times in 20.
        high: Upper bound.
        median_seconds: Of the verdicts there are; None: there are none.
        slowest: The Run that took longest; empty: none.
        slowest_seconds: How long.
    """

    state: CoffeeState
    verdicts: int
    late: int
    allowed: int
    burn_rate: float | None
    low: float
    high: float
    median_seconds: float | None
    slowest: str
    slowest_seconds: float


def coffee(commits: Iterable[Awaiting], now: float) -> Coffee:
    """Say how often commits waited for their verdict longer than agreed.

    One that still waits counts once it is late, and not before: nobody knows yet what it will be.

    Args:
        commits: The newest ones; at most ``WINDOW`` count.
        now: Seconds since the Unix epoch.

    >>> one = Awaiting(run="a", arrived_at=0, verdict_at=100, limit_seconds=300)
    >>> late = Awaiting(run="b", arrived_at=0, verdict_at=301, limit_seconds=300)
    >>> told = coffee([one] * 19 + [late], now=400)
    >>> told.state, told.late, told.verdicts, told.burn_rate
    ('healthy', 1, 20, 1.0)
    >>> coffee([], now=400).state, coffee([late] * 6, now=400).state
    ('no-data', 'exhausted')
    """
    counted = [one for one in commits if one.verdict_at or _waited(one, now) > one.limit_seconds]
    counted = counted[:WINDOW]
    late = sum(_waited(one, now) > one.limit_seconds for one in counted)
    allowed = math.floor(LATE_RATIO * WINDOW + 1e-9)
    low, high = exact_interval(late, len(counted))
    slowest = max(counted, key=lambda one: _waited(one, now), default=None)
    burn = round(late / len(counted) / LATE_RATIO, 6) if counted else None
    return Coffee(
        state=_state(late, allowed, burn),
        verdicts=len(counted),
        late=late,
        allowed=allowed,
        burn_rate=burn,
        low=low,
        high=high,
        median_seconds=_median([_waited(one, now) for one in counted]),
        slowest=slowest.run if slowest else "",
        slowest_seconds=_waited(slowest, now) if slowest else 0.0,
    )


def _state(late: int, allowed: int, burn: float | None) -> CoffeeState:
    if burn is None:
        return "no-data"
    if late > allowed:
        return "exhausted"
    return "burning" if burn > 1 else "healthy"


def _waited(one: Awaiting, now: float) -> float:
    return max(0.0, (one.verdict_at or now) - one.arrived_at)


def _median(values: list[float]) -> float | None:
    if not values:
        return None
    values.sort()
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2
