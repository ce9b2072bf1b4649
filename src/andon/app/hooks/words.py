"""How a Change is told to people outside: a state, one line, a link."""

from __future__ import annotations

from urllib.parse import quote

from andon.api.v1.control import Selector
from andon.api.v1.records import BUILD_ONLY, TERMINAL, Object
from andon.app.why import explain
from andon.ports.hooks import CommitStatus, State
from andon.ports.store import Tx

_ENDED: dict[str, State] = {
    "Succeeded": "success",
    "Failed": "failure",
    "RolledBack": "failure",
    "Cancelled": "error",
}


def change_url(base: str, change: str) -> str:
    """Return where a Change is shown.

    >>> change_url("https://andon.example/", "shop-0123456789ab")
    'https://andon.example/#/changes/shop-0123456789ab'
    """
    return f"{base.rstrip('/')}/#/changes/{quote(change)}"


def title(change: Object) -> str:
    """Name a Change for people: the first line of its message, and its commit."""
    line = str(change.spec.message).strip().partition("\n")[0]
    return f"{line[:100] or change.name} ({change.spec.sha[:12]})"


def why(tx: Tx, change: Object, now: float) -> str:
    """Say in one line how a Change stands."""
    if change.status.phase == "Succeeded":
        places = ", ".join(change.status.environments)
        built = change.spec.until == BUILD_ONLY or not places
        return "built; deployed nowhere, as was asked" if built else f"runs in {places}"
    said = str(explain(tx, change.name, "", now)["summary"])
    if change.status.phase in TERMINAL and change.status.message:
        said = str(change.status.message)
    return said.strip().partition("\n")[0]


def commit_status(tx: Tx, change: Object, base: str, now: float) -> CommitStatus:
    """Put how a Change stands into the words of forges."""
    state = _ENDED.get(change.status.phase, "pending")
    if state == "failure" and _machine_failed(tx, change):
        state = "error"
    return CommitStatus(
        state=state, description=why(tx, change, now), url=change_url(base, change.name)
    )


def _machine_failed(tx: Tx, change: Object) -> bool:
    runs = tx.list(Selector(kind="Run", labels={"change": change.name}))
    faults = {
        row.fault
        for run in runs
        if run.status.phase in ("Failed", "RolledBack")
        for row in tx.steps(run.uid)
    }
    return faults - {None} == {"machine"}
