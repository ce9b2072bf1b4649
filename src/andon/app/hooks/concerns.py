"""Whom an event concerns, and what they are told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

from andon.api.v1.access import Identity, TeamSpec, UserSpec
from andon.api.v1.control import Selector
from andon.api.v1.definitions import Approvals
from andon.api.v1.jobs import PIPELINES
from andon.api.v1.records import BUILD_ONLY, ChangeSpec, HoldSpec, Object
from andon.app.hooks.words import change_url, title, why
from andon.app.ledger.telling import event_body
from andon.app.queries import active_runs
from andon.app.why import scope_of
from andon.domains.access.own import makers, refuse_consent
from andon.domains.line.gate import LATCH, ONE
from andon.domains.line.restraint import stops_deploys
from andon.ports.notices import Notice
from andon.ports.store import LedgerRow, Tx

FINISHED = "dev.cdeventsx.andon-change.finished."
PULLED = "dev.cdeventsx.andon-hold.pulled."
REQUESTED = "dev.cdeventsx.andon-approval.requested."
MOST_PEOPLE = 10_000
_STOPPED = ("Failed", "RolledBack")

Told = Iterator[tuple[Object, Notice]]


class Asking(Struct, frozen=True, kw_only=True):
    """What is asked of the store for one event.

    Args:
        tx: A transaction.
        row: The event.
        url: Of the installation, for links.
        now: Seconds since the Unix epoch.
    """

    tx: Tx
    row: LedgerRow
    url: str
    now: float


def concerned(tx: Tx, event: str, *, url: str, now: float) -> list[tuple[Object, Notice]]:
    """Return the users whom an event concerns, each with what they are told.

    Args:
        tx: A transaction.
        event: Id of the event.
        url: Of the installation, for links.
        now: Seconds since the Unix epoch.
    """
    row = tx.event(event)
    if row is None or not row.body:
        return []
    asking = Asking(tx=tx, row=row, url=url, now=now)
    tellers = [tell for beginning, tell in _TELLERS.items() if row.type.startswith(beginning)]
    return [one for tell in tellers for one in tell(asking)]


def _finished(asking: Asking) -> Told:
    change = asking.tx.get("Change", asking.row.subject)
    if change is None:
        return
    phase = change.status.phase
    if phase == "Succeeded" and change.spec.until != BUILD_ONLY:
        yield from _to_owners(
            asking, change, "shipped", f"It {why(asking.tx, change, asking.now)}."
        )
    elif phase in _STOPPED:
        said = why(asking.tx, change, asking.now)
        yield from _to_owners(asking, change, "stopped", said, f"andon why {change.name}")


def _pulled(asking: Asking) -> Told:
    hold = asking.tx.get("Hold", asking.row.subject)
    if hold is None or hold.spec.source == LATCH or not stops_deploys(hold.spec):
        return
    spec: HoldSpec = hold.spec
    said = f"{spec.source} holds {spec.scope}: {spec.reason}"
    names = dict.fromkeys(
        run.spec.change for run in active_runs(asking.tx) if spec.scope.matches(scope_of(run))
    )
    for name in names:
        change = asking.tx.get("Change", name)
        if change is not None:
            yield from _to_owners(asking, change, "held", said, f"andon why {name}")


def _to_owners(asking: Asking, change: Object, word: str, *lines: str) -> Told:
    notice = Notice(
        id=f"{asking.row.id}/{change.name}",
        subject=f"{word}: {title(change)}",
        lines=tuple(lines),
        url=change_url(asking.url, change.name),
    )
    wrote = makers(change.spec)
    for user in _users(asking.tx):
        spec: UserSpec = user.spec
        asked = change.labels.get("by", "") in (user.name, f"person:{user.name}")
        if asked or wrote & {one.casefold() for one in spec.emails}:
            yield user, notice


def _requested(asking: Asking) -> Told:
    change = asking.tx.get("Change", asking.row.chain)
    content = event_body(asking.row).get("data", {}).get("subject", {}).get("content", {})
    environment = content.get("environment", {}).get("id", "")
    if change is None:
        return
    spec: ChangeSpec = change.spec
    rules = spec.environments.get(environment)
    rule = (rules.approvals if rules else None) or ONE
    job = str(content.get("job", ""))
    place, where = f"in {environment}", f"--environment {environment}"
    if job:
        rule = Approvals(count=content["count"], people=tuple(content["people"]))
        place, where, environment = f"of job {job}", f"--job {job}", PIPELINES
    notice = Notice(
        id=asking.row.id,
        subject=f"waits for your approval {place}: {title(change)}",
        lines=(f"by {spec.author}", f"andon approve {change.name} {where} -m REASON"),
        url=change_url(asking.url, change.name),
    )
    teams = list(asking.tx.list(Selector(kind="Team"), limit=MOST_PEOPLE))
    for user in _users(asking.tx):
        if _may_approve(user, teams, change, environment, rule):
            yield user, notice


def _may_approve(
    user: Object, teams: list[Object], change: Object, environment: str, rule: Approvals
) -> bool:
    theirs: list[tuple[str, TeamSpec]] = [
        (team.name, team.spec) for team in teams if user.name in team.spec.members
    ]
    grants = (*user.spec.grants, *(grant for _, spec in theirs for grant in spec.grants))
    name = f"person:{user.name}"
    if not Identity(name=name, grants=grants).may("approve", environment):
        return False
    refusal = refuse_consent(
        *(change, environment, rule),
        by=name,
        teams=[team for team, _ in theirs],
        emails=user.spec.emails,
    )
    return refusal is None


def _users(tx: Tx) -> list[Object]:
    found = tx.list(Selector(kind="User"), limit=MOST_PEOPLE)
    return [one for one in found if not one.spec.disabled]


_TELLERS: Mapping[str, Callable[[Asking], Told]] = {
    FINISHED: _finished,
    PULLED: _pulled,
    REQUESTED: _requested,
}


def addresses(spec: UserSpec, notify: tuple[str, ...], mail: bool) -> tuple[str, ...]:
    """Return where a user is told: where they asked for it, else at their first address.

    Args:
        spec: The user.
        notify: Where they asked for it, opened.
        mail: Whether the installation can send mail.
    """
    if notify or not mail:
        return notify
    return tuple(f"mailto:{one}" for one in spec.emails[:1])


def anybody(tx: Tx) -> bool:
    """Say whether anybody wants to be told somewhere."""
    return any(one.spec.notify for one in _users(tx))
