"""How fast the feedback of a repository is, from what is stored of its commits."""

from __future__ import annotations

from collections.abc import Sequence

from andon.api.v1 import answers
from andon.api.v1.control import Selector
from andon.api.v1.records import (
    BUILD_ONLY,
    TERMINAL,
    ChangeSpec,
    EnvironmentRecordStatus,
    Object,
    RunStatus,
)
from andon.app.builds.graph import path_json, path_of
from andon.app.builds.outcomes import Outcomes
from andon.domains.delivery.plan import environments_in_order
from andon.domains.pipelines.feedback import WINDOW, Awaiting, coffee
from andon.domains.pipelines.trunk import Commit, batch, branch_ages
from andon.kernel.errors import NotFound
from andon.ports.store import Tx

MOST_CHANGES = 300
BRANCH_SECONDS = 30 * 86400.0
"""A branch of which nothing was heard for so long is thought to be gone."""
MOST_BRANCHES = 20


def changes_of(tx: Tx, name: str, most: int = MOST_CHANGES) -> list[Object]:
    """Return the Changes of a repository, newest first."""
    selector = Selector(kind="Change", labels={"repository": name})
    return tx.list(selector, limit=most, newest_first=True)


def build_of(tx: Tx, change: Object) -> Object | None:
    """Return the Run that built a Change; None: not yet."""
    return tx.get("Run", f"build-{change.name}")


def deployable(change: Object) -> bool:
    """Say whether a Change is more than a proposal."""
    return bool(change.spec.until != BUILD_ONLY)


def feedback(tx: Tx, outcomes: Outcomes, name: str, now: float) -> answers.Feedback:
    """Say how fast the feedback of a repository is.

    Raises:
        NotFound: Nothing of it was ever shipped.
    """
    changes = changes_of(tx, name)
    if not changes:
        raise NotFound(f"there is no repository {name}", hint="`andon status` lists its changes")
    builds = [(change, build_of(tx, change)) for change in changes[:WINDOW]]
    awaiting = [one for change, run in builds if run and (one := _awaiting(change, run))]
    decided = next((run for _, run in builds if run and _decided(run)), None)
    told = coffee(awaiting, now)
    trunk = [_commit(one) for one in changes if deployable(one)]
    newest = next((one for one in changes if deployable(one)), None)
    return {
        "repository": name,
        "run": decided.name if decided else "",
        "coffee": {
            "state": told.state,
            "limitSeconds": float(changes[0].spec.pipeline.verdict_within_seconds),
            "window": WINDOW,
            "verdicts": told.verdicts,
            "late": told.late,
            "allowed": told.allowed,
            "burnRate": told.burn_rate,
            "low": told.low,
            "high": told.high,
            "medianSeconds": told.median_seconds,
            "slowest": told.slowest,
            "slowestSeconds": told.slowest_seconds,
        },
        "path": _path(tx, outcomes, decided, now) if decided else None,
        "batches": _batches(tx, newest, trunk, now) if newest else [],
        "branches": [
            {"ref": one.ref, "change": one.change, "ageSeconds": one.age_seconds}
            for one in branch_ages(_proposals(changes, now), now)[:MOST_BRANCHES]
        ],
    }


def _path(tx: Tx, outcomes: Outcomes, run: Object, now: float) -> answers.CriticalPath:
    rows = tx.steps(run.uid)
    return path_json(path_of(run, rows, outcomes.of(tx, run, rows), now))


def _decided(run: Object) -> bool:
    return run.status.phase in ("Succeeded", "Failed")


def _awaiting(change: Object, run: Object) -> Awaiting | None:
    """Return a commit and its verdict; None: it was ended before it had one."""
    status: RunStatus = run.status
    if status.phase in TERMINAL and not _decided(run):
        return None
    return Awaiting(
        run=run.name,
        arrived_at=change.created_at,
        verdict_at=status.finished_at if _decided(run) else 0.0,
        limit_seconds=float(change.spec.pipeline.verdict_within_seconds),
    )


def _commit(change: Object) -> Commit:
    spec: ChangeSpec = change.spec
    return Commit(
        change=change.name,
        ref=spec.ref,
        sequence=spec.sequence,
        committed_at=spec.committed_at,
        paths=spec.paths,
    )


def _proposals(changes: Sequence[Object], now: float) -> list[Commit]:
    """Return commits of branches that were heard of lately, and not merged as they are."""
    merged = {one.spec.sha for one in changes if deployable(one)}
    return [
        _commit(one)
        for one in changes
        if not deployable(one)
        and one.spec.sha not in merged
        and now - one.created_at < BRANCH_SECONDS
    ]


def _batches(tx: Tx, newest: Object, trunk: list[Commit], now: float) -> list[answers.BatchRow]:
    spec: ChangeSpec = newest.spec
    rows: list[answers.BatchRow] = []
    for place in environments_in_order(spec.environments):
        told = batch(trunk, _deployed(tx, place, tuple(spec.services)), now)
        rows.append(
            {
                "environment": place,
                "deployed": told.deployed,
                "changes": told.changes,
                "paths": told.paths,
                "oldest": told.oldest,
                "oldestSeconds": told.oldest_seconds,
            }
        )
    return rows


def _deployed(tx: Tx, place: str, services: tuple[str, ...]) -> Commit | None:
    """Return the oldest commit that a service still runs there; None: one runs none."""
    record = tx.get("Environment", place)
    status: EnvironmentRecordStatus | None = record.status if record else None
    found: list[Commit] = []
    for service in services:
        version = status.services.get(service) if status else None
        change = tx.get("Change", version.change) if version and version.change else None
        if change is None:
            return None
        found.append(_commit(change))
    return min(found, key=lambda one: one.sequence, default=None)
