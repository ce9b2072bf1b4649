"""How repositories and their branches stand, for badges and the page of a repository."""

from __future__ import annotations

from andon.api.v1 import answers
from andon.api.v1.control import Selector
from andon.api.v1.records import TERMINAL, Object
from andon.app.builds.speed import build_of, changes_of, deployable
from andon.kernel.errors import NotFound
from andon.ports.store import Tx

RECENT = 500
MOST_BRANCHES = 50
_STATES: dict[str, answers.BuildState] = {
    "Succeeded": "passing",
    "Failed": "failing",
    "Cancelled": "cancelled",
}
_DECIDED = frozenset({"passing", "failing"})


def repositories(tx: Tx) -> list[answers.RepositoryRow]:
    """List the repositories that were heard of lately, by name."""
    recent = tx.list(Selector(kind="Change"), limit=RECENT, newest_first=True)
    names = sorted({one.labels.get("repository", "") for one in recent} - {""})
    return [repository(tx, name) for name in names]


def repository(tx: Tx, name: str) -> answers.RepositoryRow:
    """Say how a repository's branches stand, the newest first.

    Raises:
        NotFound: Nothing of it was ever shipped.
    """
    changes = changes_of(tx, name)
    if not changes:
        raise NotFound(f"there is no repository {name}", hint="`andon status` lists its changes")
    newest: dict[str, Object] = {}
    for one in changes:
        newest.setdefault(one.spec.ref, one)
    return {
        "name": name,
        "location": changes[0].spec.repository,
        "state": _last_decided(tx, _of_trunk(changes)),
        "badge": f"/badge/{name}.svg",
        "branches": [_branch(tx, one) for one in list(newest.values())[:MOST_BRANCHES]],
    }


def state_of(tx: Tx, name: str) -> answers.BuildState:
    """Say how a repository or one of its branches stands: ``shop``, ``shop/main``."""
    repo, _, ref = name.partition("/")
    changes = changes_of(tx, repo) if repo else []
    if len({one.spec.repository for one in changes}) > 1:
        return "unknown"  # Two repositories of one name: nobody knows which is meant.
    wanted = [one for one in changes if one.spec.ref == ref] if ref else _of_trunk(changes)
    return _last_decided(tx, wanted)


def _of_trunk(changes: list[Object]) -> list[Object]:
    """Return what may be deployed; where all is only built, what nobody merely proposes."""
    found = [one for one in changes if deployable(one)]
    return found or [one for one in changes if one.spec.event != "pull-request"]


def _last_decided(tx: Tx, changes: list[Object]) -> answers.BuildState:
    """Return the last verdict; as long as there is none, how the newest one stands."""
    for one in changes:
        state = _state(one, build_of(tx, one))
        if state in _DECIDED:
            return state
    return _state(changes[0], build_of(tx, changes[0])) if changes else "unknown"


def _state(change: Object, run: Object | None) -> answers.BuildState:
    if run is None:
        return "unknown" if change.status.phase in TERMINAL else "running"
    return _STATES.get(run.status.phase, "running")


def _branch(tx: Tx, change: Object) -> answers.BranchBuild:
    run = build_of(tx, change)
    return {
        "ref": change.spec.ref,
        "state": _state(change, run),
        "change": change.name,
        "sha": change.spec.sha,
        "title": change.spec.message.partition("\n")[0],
        "run": run.name if run else "",
        "at": change.created_at,
    }
