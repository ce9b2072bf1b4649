"""How much lies between the trunk and what is deployed, and how long branches stay away from it."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct


class Commit(Struct, frozen=True, kw_only=True):
    """A commit on the line.

    Args:
        change: Its Change.
        ref: Branch or tag it came by.
        sequence: Order of arrival.
        committed_at: Seconds since the Unix epoch.
        paths: What it touches; None: not known.
    """

    change: str
    ref: str
    sequence: int
    committed_at: float
    paths: tuple[str, ...] | None = None


class Batch(Struct, frozen=True, kw_only=True):
    """What the next deployment would bring at once.

    Args:
        deployed: The Change that runs there; empty: none yet.
        changes: Commits that came after it.
        paths: Files they touch together; None: not known of all.
        oldest: The one that has waited longest; empty: none waits.
        oldest_seconds: Since it was committed.
    """

    deployed: str
    changes: int
    paths: int | None
    oldest: str
    oldest_seconds: float


class BranchAge(Struct, frozen=True, kw_only=True):
    """How long work has stayed away from the trunk."""

    ref: str
    change: str
    age_seconds: float


def batch(commits: Iterable[Commit], deployed: Commit | None, now: float) -> Batch:
    """Say what waits to be deployed.

    Args:
        commits: Those of the trunk.
        deployed: What runs; None: nothing yet.
        now: Seconds since the Unix epoch.

    >>> came = [Commit(change=f"c{n}", ref="main", sequence=n, committed_at=n) for n in (1, 2, 3)]
    >>> told = batch(came, came[0], now=10)
    >>> told.changes, told.oldest, told.oldest_seconds, told.paths
    (2, 'c2', 8, None)
    """
    since = deployed.sequence if deployed else -1
    waiting = [one for one in commits if one.sequence > since]
    oldest = min(waiting, key=lambda one: one.committed_at, default=None)
    touched: set[str] | None = set()
    for one in waiting:
        touched = None if touched is None or one.paths is None else touched | set(one.paths)
    return Batch(
        deployed=deployed.change if deployed else "",
        changes=len(waiting),
        paths=None if touched is None else len(touched),
        oldest=oldest.change if oldest else "",
        oldest_seconds=max(0.0, now - oldest.committed_at) if oldest else 0.0,
    )


def branch_ages(commits: Iterable[Commit], now: float) -> list[BranchAge]:
    """Say how old the newest commit of each branch is, the oldest first.

    Args:
        commits: Those that were built and not merged.
        now: Seconds since the Unix epoch.
    """
    newest: dict[str, Commit] = {}
    for one in commits:
        if one.ref not in newest or newest[one.ref].sequence < one.sequence:
            newest[one.ref] = one
    found = [
        BranchAge(ref=one.ref, change=one.change, age_seconds=max(0.0, now - one.committed_at))
        for one in newest.values()
    ]
    return sorted(found, key=lambda one: (-one.age_seconds, one.ref))
