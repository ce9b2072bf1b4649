"""Takes a commit onto the line: reads its definitions, the rules in force, and makes a Change.

Service and Pipeline are read at the commit itself. Rules (Environment, Objective, Route) are read at
the policy revision adopted *before* this commit arrived; the policy branch's head is adopted after.
So a Change that touches the rules is judged by the old ones. The first commit brings its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from andon.api.overlay import merge_bases
from andon.api.v1.control import Decision, NewObject, Selector
from andon.api.v1.definitions import EnvironmentSpec
from andon.api.v1.records import (
    BUILD_ONLY,
    ChangeSpec,
    ChangeStatus,
    EnvironmentRecordStatus,
    Object,
)
from andon.api.v1.schedules import ScheduleSpec, ScheduleStatus
from andon.app.loading import Loaded as Loaded
from andon.app.loading import load as load
from andon.app.loading import read_definitions as read_definitions
from andon.app.loading import read_whole as read_whole
from andon.app.sigma_files import keep_sigma_files
from andon.domains.delivery.plan import environments_in_order
from andon.domains.line import events
from andon.kernel.errors import Denied, NotFound
from andon.ports.store import Tx
from andon.runtime.turns import Turns

RECENT = 50
"""So many of a repository's newest Changes are looked at for one that was built well."""
May = Callable[[str], bool]
OVER_AND_UNDONE = frozenset({"Failed", "RolledBack", "Cancelled"})


def what_came_before(tx: Tx, repository: str, ref: str) -> tuple[str | None, str]:
    """Return the policy revision in force, if there is one, and the last commit built well."""
    return tx.get_setting(policy_setting(repository)), last_good(tx, repository, ref)


def last_good(tx: Tx, repository: str, ref: str) -> str:
    """Return the newest commit of a ref whose build passed; empty: there is none.

    What differs from it was never built well, so no rule about paths leaves out what a Change that
    failed in between had touched.
    """
    labels = {"repository": slug(repository)}
    for change in reversed(tx.list(Selector(kind="Change", labels=labels, newest=RECENT))):
        spec: ChangeSpec = change.spec
        if (spec.repository, spec.ref) == (repository, ref):
            run = tx.get("Run", f"build-{change.name}")
            if run is not None and run.status.phase == "Succeeded":
                return spec.sha
    return ""


def policy_setting(repository: str) -> str:
    """Key of the setting that keeps a repository's adopted policy revision."""
    return f"policy:{repository}"


def slug(repository: str) -> str:
    """Make the part of a Change's name that tells its repository.

    >>> slug("https://example.com/team/My_Shop.git")
    'my-shop'
    """
    last = repository.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git")
    return re.sub(r"[^a-z0-9]+", "-", last.lower()).strip("-")[:24] or "repository"


def change_spec(
    loaded: Loaded, *, until: str, notify: tuple[str, ...], sequence: int
) -> ChangeSpec:
    """Freeze what the Change is judged by.

    Raises:
        NotFound: ``until`` is no environment of the policy.
    """
    rules = merge_bases(loaded.policy.environments)
    if until not in ("", BUILD_ONLY, *rules):
        known = ", ".join(sorted(rules)) or "none"
        raise NotFound(f"there is no environment {until}", hint=f"known environments: {known}")
    return ChangeSpec(
        repository=loaded.repository,
        sha=loaded.commit.sha,
        ref=loaded.ref,
        author=loaded.commit.author,
        committer=loaded.commit.committer,
        message=loaded.commit.message,
        committed_at=loaded.commit.committed_at,
        policy_revision=loaded.policy_revision,
        pipeline_name=loaded.own.pipeline_name,
        pipeline=loaded.own.pipeline,
        services=loaded.own.services,
        environments=rules,
        overlays=merge_bases(loaded.own.environments),
        objectives=loaded.policy.objectives,
        routes=loaded.policy.routes,
        notify=notify,
        until=until,
        sequence=sequence,
        event=loaded.event,
        paths=loaded.paths,
        trusted=loaded.trusted,
        templates=loaded.own.templates,
        origins=loaded.origins,
        input_digests=dict(loaded.input_digests),
    )


def refuse_way(rules: Mapping[str, EnvironmentSpec], until: str, may: May) -> None:
    """Refuse to ship through an environment in which somebody may not.

    Args:
        rules: The environments.
        until: Where the way ends.
        may: Says where they may.

    Raises:
        Denied: One that comes before ``until`` is none of those.
    """
    way = environments_in_order(rules)
    way = way[: way.index(until) + 1] if until in way else ()
    for place in way:
        if not may(place):
            raise Denied(
                f"the way to {until} leads through {place}, where you may not ship",
                hint="`andon ship --until` an environment before it, or ask who may",
            )


def put_change(
    tx: Tx,
    turns: Turns,
    loaded: Loaded,
    *,
    until: str,
    notify: tuple[str, ...],
    by: str,
    now: float,
    emails: tuple[str, ...] = (),
) -> tuple[Object, bool]:
    """Create the Change, its environments' records, and adopt the next policy; all or nothing.

    Returns:
        The Change of that commit, and whether it is new. A Change that failed may be shipped again.
    """
    base = f"{slug(loaded.repository)}-{loaded.commit.sha[:12]}"
    name, existing = _free_name(tx, base, until)
    if existing is not None:
        return existing, False
    sequence = int(tx.get_setting("sequence") or "0") + 1
    spec = change_spec(loaded, until=until, notify=notify, sequence=sequence)
    spec = replace(spec, brought_by=emails)
    tx.put_setting("sequence", str(sequence))
    # What is only built may never be merged: it changes no rules.
    if until != BUILD_ONLY:
        _put_environments(tx, turns, spec.environments, now)
        _adopt(tx, turns, loaded, now)
        _put_schedule(tx, turns, loaded, now)
        from andon.app.telemetry.rules import take_in

        take_in(tx, turns, loaded.repository, loaded.next_policy, loaded.next_rules.rules, now)
        if loaded.next_sigma is not None:
            keep_sigma_files(tx, loaded.repository, loaded.next_sigma)
    change = NewObject(
        kind="Change",
        name=name,
        spec=spec,
        status=ChangeStatus(),
        labels={"repository": slug(loaded.repository), "sha": spec.sha, "by": by},
    )
    turns.create(tx, Decision(create=(change,)), now)
    return tx.require("Change", name), True


def _free_name(tx: Tx, base: str, until: str) -> tuple[str, Object | None]:
    name, number = base, 1
    while (found := tx.get("Change", name)) is not None:
        only_built = found.spec.until == BUILD_ONLY != until
        if found.status.phase not in OVER_AND_UNDONE and not only_built:
            return name, found
        number += 1
        name = f"{base}-{number}"
    return name, None


def _put_environments(
    tx: Tx, turns: Turns, environments: dict[str, EnvironmentSpec], now: float
) -> None:
    for name, spec in environments.items():
        found = tx.get("Environment", name)
        if found is not None:
            tx.put_spec(found, spec)
            continue
        new = NewObject(kind="Environment", name=name, spec=spec, status=EnvironmentRecordStatus())
        turns.create(tx, Decision(create=(new,)), now)


def _put_schedule(tx: Tx, turns: Turns, loaded: Loaded, now: float) -> None:
    """Write down when the repository wants to be built again, and have it looked at."""
    rules = loaded.next_rules
    spec = ScheduleSpec(
        repository=loaded.repository,
        pipeline=rules.pipeline_name,
        entries=rules.pipeline.schedule,
    )
    base, number = slug(loaded.repository), 1
    name = base
    while (found := tx.get("Schedule", name)) and found.spec.repository != loaded.repository:
        number += 1
        name = f"{base}-{number}"
    if found is None and spec.entries:
        labels = {"repository": base}
        new = NewObject(
            kind="Schedule", name=name, spec=spec, status=ScheduleStatus(), labels=labels
        )
        turns.create(tx, Decision(create=(new,)), now)
    elif found is not None and found.spec != spec:
        turns.wake(tx, tx.put_spec(found, spec), now)


def _adopt(tx: Tx, turns: Turns, loaded: Loaded, now: float) -> None:
    key = policy_setting(loaded.repository)
    if tx.get_setting(key) == loaded.next_policy:
        return
    tx.put_setting(key, loaded.next_policy)
    event = events.extension(
        "policy",
        "adopted",
        id=f"policy/{slug(loaded.repository)}/{loaded.next_policy}/{now:.6f}",
        stream=events.repository_stream(loaded.repository),
        about=loaded.next_policy,
        content={"before": loaded.policy_revision, "repository": loaded.repository},
    )
    turns.create(tx, Decision(events=(event,)), now)
