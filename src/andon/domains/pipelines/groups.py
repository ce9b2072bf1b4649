"""Runs of one word, one at a time: who waits for whom, and who gives way.

A group is a repository's own, and strangers' changes have theirs apart: nobody from outside ends or
holds up what is trusted. The order is that of arrival.
"""

from __future__ import annotations

from andon.api.v1.control import Selector, View
from andon.api.v1.jobs import BuildPlan
from andon.api.v1.records import TERMINAL, Object

NEWEST = 100
"""So many of the newest Runs of a group are looked at."""
LABEL = "concurrency"


def selectors(run: Object) -> dict[str, Selector]:
    """See the other Runs of the group."""
    word = run.labels.get(LABEL, "")
    found = Selector(kind="Run", labels={LABEL: word}, newest=NEWEST)
    return {"group": found} if word else {}


def wakes(changed: Object) -> tuple[Selector, ...]:
    """Wake the other Runs of the group of one that came, began or ended."""
    if changed.kind != "Run" or LABEL not in changed.labels:
        return ()
    return (Selector(kind="Run", labels={LABEL: changed.labels[LABEL]}, newest=NEWEST),)


def ahead(view: View) -> Object | None:
    """Return a Run that has not ended and goes first: it has begun, or its Change came earlier."""
    mine = view.object
    first = [
        one
        for one in _group(view)
        if one.status.phase not in TERMINAL
        and (_order(one) < _order(mine) or (one.uid != mine.uid and one.status.started_at))
    ]
    return min(first, key=_order, default=None)


def superseded_by(view: View) -> Object | None:
    """Return the newest later Run that ends those before it, if there is one."""
    later = [
        one
        for one in _group(view)
        if _order(one) > _order(view.object) and one.spec.build.cancel_older and not _withdrawn(one)
    ]
    return max(later, key=_order, default=None)


def _order(run: Object) -> tuple[int, float, str]:
    """Order Runs as their Changes came: turns may be taken in another order."""
    return run.spec.sequence, run.created_at, run.uid


def _withdrawn(run: Object) -> bool:
    """Say whether it was over before it began."""
    return run.status.phase in TERMINAL and not run.status.started_at


def _group(view: View) -> list[Object]:
    mine: BuildPlan = view.object.spec.build
    return [
        run
        for run in view.related.get("group", ())
        if run.spec.build is not None
        and (run.spec.build.repository, run.spec.build.trusted) == (mine.repository, mine.trusted)
    ]


REASON = "Superseded"
"""Reason in the status of a Run that a newer one of its group ended."""


def tell(newer: Object) -> str:
    """Say that a newer Run ends an older one."""
    return f"a newer run of group {newer.spec.build.concurrency} takes its place: {newer.name}"
