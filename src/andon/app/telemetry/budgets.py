"""Budget policies at work: they pull Holds and lift them, and a person may set one aside for a while."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping, Sequence

from msgspec import to_builtins
from msgspec.structs import replace

from andon.api.v1 import answers
from andon.api.v1.budgets import (
    STATES,
    BudgetPolicySpec,
    BudgetSpec,
    BudgetStanding,
    OverrideSpec,
)
from andon.api.v1.control import Decision, NewObject, Selector
from andon.api.v1.records import Empty, HoldSpec, Object
from andon.app import commands
from andon.app.acting import act
from andon.app.numbers import next_name
from andon.app.telemetry.alerting import stream_of
from andon.app.telemetry.rules import rules_of
from andon.domains.line import events
from andon.domains.line.approvals import PERSON, as_actor
from andon.domains.line.restraint import BUDGET
from andon.domains.reliability.budgets import (
    Balance,
    covers,
    is_same,
    judge_budget,
    overridden,
    place_key,
    tell,
    wanted_hold,
)
from andon.kernel.clock import Clock
from andon.kernel.errors import Denied, NotFound, UsageError
from andon.ports.asking import Asked
from andon.ports.store import Store, Tx
from andon.runtime.turns import Turns

MOST = 10_000
ACTIVE = {"state": "active"}
LONGEST_REASON = 2000

Place = tuple[str, str, str]
"""Policy, environment, service."""


def budget_name(policy: str, environment: str, service: str) -> str:
    """Name a Budget: no name has a dot in it."""
    return f"{policy}.{environment}.{service}"


def judge_all(
    policies: Mapping[str, BudgetPolicySpec],
    balances: Iterable[Balance],
    known: Mapping[Place, BudgetStanding],
    now: float,
) -> dict[Place, BudgetStanding]:
    """Say how the budgets of every place stand under every policy.

    Args:
        policies: By name.
        balances: What Objectives say.
        known: How they stood before; what is not told of any more is unseen.
        now: Seconds since the Unix epoch.
    """
    found: dict[Place, list[Balance]] = {place: [] for place in known if place[0] in policies}
    for balance in balances:
        for name, policy in policies.items():
            if covers(policy, balance):
                place = (name, balance.environment, balance.service)
                found.setdefault(place, []).append(balance)
    return {
        place: judge_budget(policies[place[0]], some, known.get(place), now)
        for place, some in found.items()
    }


# --- transactions ---------------------------------------------------------------------------------


def read_known(tx: Tx) -> dict[Place, BudgetStanding]:
    """Return how budgets stood when that last changed."""
    found = tx.list(Selector(kind="Budget"), limit=MOST)
    return {(one.spec.policy, one.spec.environment, one.spec.service): one.status for one in found}


def overrides_of(tx: Tx) -> list[Object]:
    """Return all overrides, newest first."""
    return tx.list(Selector(kind="Override"), limit=MOST, newest_first=True)


def budget_holds(tx: Tx) -> list[Object]:
    """Return the active Holds of budget policies."""
    found = tx.list(Selector(kind="Hold", labels=ACTIVE), limit=MOST)
    return [one for one in found if one.spec.source.startswith(BUDGET)]


def wanted_holds(
    tx: Tx, standings: Mapping[Place, BudgetStanding], now: float
) -> dict[Place, HoldSpec]:
    """Return the Holds that there should be."""
    policies = rules_of(tx, "BudgetPolicy")
    overrides = overrides_of(tx)
    wanted: dict[Place, HoldSpec] = {}
    for place, standing in standings.items():
        name, environment, service = place
        if name in policies:
            where = (environment, service)
            hold = wanted_hold(name, policies[name].spec, where, standing, overrides, now)
            if hold is not None:
                wanted[place] = hold
    return wanted


def is_settled(tx: Tx, standings: Mapping[Place, BudgetStanding], now: float) -> bool:
    """Say whether everything is as ``settle`` would leave it."""
    wanted = wanted_holds(tx, standings, now)
    there = {_place_of(one): one.spec for one in budget_holds(tx)}
    known = read_known(tx)
    return (
        there.keys() == wanted.keys()
        and all(is_same(there[place], wanted[place]) for place in wanted)
        and all(_is_noted(known.get(place), one) for place, one in standings.items())
        and known.keys() <= standings.keys()
    )


def settle(tx: Tx, turns: Turns, standings: Mapping[Place, BudgetStanding], now: float) -> None:
    """Pull and lift Holds, and note states that changed, in one transaction with the events."""
    wanted = wanted_holds(tx, standings, now)
    for hold in budget_holds(tx):
        place = _place_of(hold)
        if place not in wanted or not is_same(hold.spec, wanted[place]):
            why = _why_lifted(place, standings, place in wanted, tx, now)
            commands.open_hold(tx, turns, hold, by=hold.spec.source, reason=why, now=now)
        else:
            wanted.pop(place)
    for spec in wanted.values():
        commands.place_hold(tx, turns, spec, now)
    names = {_place_of(one): one.name for one in budget_holds(tx)}
    for place, standing in standings.items():
        _note(tx, turns, place, replace(standing, hold=names.get(place, "")), now)
    for gone in tx.list(Selector(kind="Budget"), limit=MOST):
        if (gone.spec.policy, gone.spec.environment, gone.spec.service) not in standings:
            tx.forget(gone)


def _place_of(hold: Object) -> Place:
    scope = hold.spec.scope
    return (hold.spec.source.removeprefix(BUDGET), scope.environment, scope.service)


def _why_lifted(
    place: Place, standings: Mapping[Place, BudgetStanding], replaced: bool, tx: Tx, now: float
) -> str:
    name, environment, service = place
    override = overridden(name, (environment, service), overrides_of(tx), now)
    if override is not None:
        return f"{override.spec.by} set {name} aside: {override.spec.reason}"
    if place not in standings:
        return f"no BudgetPolicy {name} is about this any more"
    return f"the budget is {standings[place].state}{' now' if replaced else ''}"


def _is_noted(known: BudgetStanding | None, standing: BudgetStanding) -> bool:
    """Say whether what is written says the same: figures alone are not worth a write."""
    return known is not None and (known.state, bool(known.unknown_since)) == (
        standing.state,
        bool(standing.unknown_since),
    )


def _note(tx: Tx, turns: Turns, place: Place, standing: BudgetStanding, now: float) -> None:
    policy, environment, service = place
    name = budget_name(*place)
    known = tx.get("Budget", name)
    if known is None:
        new = NewObject(
            kind="Budget",
            name=name,
            spec=BudgetSpec(policy=policy, environment=environment, service=service),
            status=standing,
            labels={"policy": policy, "environment": environment, "service": service},
        )
        turns.create(tx, Decision(create=(new,)), now)
    elif known.status.hold == standing.hold and _is_noted(known.status, standing):
        return
    else:
        tx.put_status(known, standing)
    before = known.status.state if known is not None else "healthy"
    if before != standing.state:
        _tell(tx, turns, place, standing, before, now)


def _tell(
    tx: Tx, turns: Turns, place: Place, standing: BudgetStanding, before: str, now: float
) -> None:
    policy, environment, service = place
    content = {
        "policy": policy,
        "environment": {"id": environment},
        "service": service,
        "state": standing.state,
        "before": before,
        "objective": standing.objective,
        "remaining": standing.remaining,
        "hold": standing.hold,
    }
    event = events.extension(
        "budget",
        "changed",
        id=f"budget/{budget_name(*place)}/{now:.6f}",
        stream=stream_of(tx, environment),
        about=place_key(environment, service),
        content={key: value for key, value in content.items() if value not in ("", None)},
    )
    turns.create(tx, Decision(events=(event,)), now)


def set_aside(
    tx: Tx,
    turns: Turns,
    policy: str,
    *,
    environment: str,
    service: str,
    seconds: float,
    asked: Asked,
    reason: str,
    now: float,
) -> Object:
    """Set a policy aside for a while, and lift what it holds there.

    Raises:
        NotFound: No such policy.
        Denied: Not a person, or not one of those that it names.
        UsageError: It has no end, or no reason.
    """
    found = rules_of(tx, "BudgetPolicy").get(policy)
    if found is None:
        known = ", ".join(rules_of(tx, "BudgetPolicy")) or "none"
        raise NotFound(f"there is no BudgetPolicy {policy}", hint=f"known: {known}")
    spec: BudgetPolicySpec = found.spec
    _refuse_override(policy, spec, seconds, asked, reason)
    name = next_name(tx, "override")
    override = OverrideSpec(
        policy=policy,
        environment=environment,
        service=service,
        reason=reason.strip()[:LONGEST_REASON],
        by=as_actor(asked.by),
        created_at=now,
        until=now + seconds,
    )
    new = NewObject(
        kind="Override", name=name, spec=override, status=Empty(), labels={"policy": policy}
    )
    event = events.extension(
        "budget",
        "overridden",
        id=f"override/{name}",
        stream=stream_of(tx, environment),
        about=name,
        content={key: value for key, value in to_builtins(override).items() if value},
    )
    turns.create(tx, Decision(create=(new,), events=(event,)), now)
    settle(tx, turns, read_known(tx), now)
    return tx.require("Override", name)


def _refuse_override(
    policy: str, spec: BudgetPolicySpec, seconds: float, asked: Asked, reason: str
) -> None:
    by = as_actor(asked.by)
    if not by.startswith(PERSON):
        raise Denied(f"{by} is no person: only people set a BudgetPolicy aside")
    people = set(spec.override.people)
    if people and not people & {by, *(f"team:{team}" for team in asked.teams)}:
        raise Denied(
            f"{by} may not set {policy} aside: it asks for {' or '.join(sorted(people))}",
            hint="one of them: andon budget override …",
        )
    if not reason.strip():
        raise UsageError("an override needs a reason", hint="-m 'why it cannot wait'")
    if not 0 < seconds <= spec.override.max_seconds:
        hours = spec.override.max_seconds / 3600
        raise UsageError(f"an override ends, after {hours:g} h at the latest", hint="--for 2h")


# --- the service ----------------------------------------------------------------------------------


class Budgets:
    """The ``BudgetService`` of an installation.

    Args:
        store: Where policies and Holds are.
        turns: Creates objects and wakes who waits for them.
        clock: The time.
    """

    def __init__(self, store: Store, turns: Turns, clock: Clock) -> None:
        self._store = store
        self._turns = turns
        self._clock = clock
        self._standings: dict[Place, BudgetStanding] = {}

    async def look(self, balances: Sequence[Balance]) -> None:
        """Judge all budgets, and settle what follows if anything does."""
        now = self._clock.now()
        policies, known = await self._store.read(
            lambda tx: (rules_of(tx, "BudgetPolicy"), read_known(tx))
        )
        if not policies and not known:
            self._standings = {}
            return
        specs = {name: rule.spec for name, rule in policies.items()}
        before = known | {place: one for place, one in self._standings.items() if place in known}
        standings = judge_all(specs, balances, before, now)
        if not await self._store.read(lambda tx: is_settled(tx, standings, now)):
            await self._store.transact(lambda tx: settle(tx, self._turns, standings, now))
        self._standings = standings

    async def list(self) -> builtins.list[answers.Budget]:
        """List budgets and how they stand, worst first."""
        now = self._clock.now()
        return await self._store.read(lambda tx: self._rows(tx, now))

    async def show(self, policy: str) -> answers.BudgetPolicy:
        """Return a policy, how its budgets stand, and who has set it aside."""
        now = self._clock.now()

        def look(tx: Tx) -> answers.BudgetPolicy:
            rule = tx.require("BudgetPolicy", policy)
            told = [one for one in overrides_of(tx) if one.spec.policy == policy]
            return {
                "name": policy,
                "spec": to_builtins(rule.spec),
                "budgets": [row for row in self._rows(tx, now) if row["policy"] == policy],
                "overrides": [override_json(one, now) for one in told],
            }

        return await self._store.read(look)

    async def override(
        self,
        policy: str,
        *,
        environment: str,
        service: str,
        seconds: float,
        asked: Asked,
        reason: str,
    ) -> answers.Override:
        """Set a policy aside for a while."""
        now = self._clock.now()

        def put(tx: Tx) -> answers.Override:
            made = set_aside(
                tx,
                self._turns,
                policy,
                environment=environment,
                service=service,
                seconds=seconds,
                asked=asked,
                reason=reason,
                now=now,
            )
            return override_json(made, now)

        return await self._store.transact(lambda tx: act(tx, asked, now, put))

    def _rows(self, tx: Tx, now: float) -> builtins.list[answers.Budget]:
        policies = rules_of(tx, "BudgetPolicy")
        overrides = overrides_of(tx)
        holds = {_place_of(one): one for one in budget_holds(tx)}
        standings = read_known(tx)
        standings |= {key: one for key, one in self._standings.items() if key in standings}
        rows = [
            _row(place, one, policies[place[0]].spec, holds.get(place), overrides, now)
            for place, one in standings.items()
            if place[0] in policies
        ]
        return sorted(rows, key=lambda row: (-STATES.index(row["state"]), row["remaining"] or 0.0))


def _row(
    place: Place,
    standing: BudgetStanding,
    policy: BudgetPolicySpec,
    hold: Object | None,
    overrides: Sequence[Object],
    now: float,
) -> answers.Budget:
    name, environment, service = place
    override = overridden(name, (environment, service), overrides, now)
    return {
        "policy": name,
        "environment": environment,
        "service": service,
        "state": standing.state,
        "since": standing.since,
        "remaining": standing.remaining,
        "burn": standing.burn,
        "objective": standing.objective,
        "unknownSince": standing.unknown_since,
        "effects": dict(hold.spec.effects) if hold else {},
        "hold": hold.name if hold else "",
        "override": override.name if override else "",
        "said": tell(policy, standing, now),
    }


def override_json(override: Object, now: float) -> answers.Override:
    """Show an override."""
    spec: OverrideSpec = override.spec
    return {
        "name": override.name,
        "policy": spec.policy,
        "environment": spec.environment,
        "service": spec.service,
        "by": spec.by,
        "reason": spec.reason,
        "createdAt": spec.created_at,
        "until": spec.until,
        "inForce": spec.created_at <= now < spec.until,
    }
