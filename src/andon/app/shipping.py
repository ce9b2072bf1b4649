"""Takes a commit onto the line: reads its definitions, the rules in force, and makes a Change.

Service and Pipeline are read at the commit itself. Rules (Environment, Objective, Route) are read at
the policy revision adopted *before* this commit arrived; the policy branch's head is adopted after.
So a Change that touches the rules is judged by the old ones. The first commit brings its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from andon.api.overlay import merge_bases
from andon.api.project import Definitions, read_project
from andon.api.v1.control import Decision, NewObject
from andon.api.v1.definitions import EnvironmentSpec
from andon.api.v1.records import (
    BUILD_ONLY,
    ChangeSpec,
    ChangeStatus,
    EnvironmentRecordStatus,
    Object,
    ScheduleSpec,
    ScheduleStatus,
)
from andon.domains.delivery.plan import environments_in_order
from andon.domains.line import events
from andon.kernel.errors import Denied, InvalidDocument, NotFound
from andon.ports import Commit, Source
from andon.ports.store import Tx
from andon.runtime.turns import Turns

FILE = "andon.yaml"
DEFAULT_BRANCH = "main"
May = Callable[[str], bool]
OVER_AND_UNDONE = frozenset({"Failed", "RolledBack", "Cancelled"})


class Loaded(Struct, frozen=True):
    """A commit with its definitions, and the rules that hold for it."""

    commit: Commit
    repository: str
    ref: str
    own: Definitions
    policy: Definitions
    policy_revision: str
    next_policy: str
    """Policy revision that holds for the Changes after this one."""
    next_rules: Definitions
    """What that revision says."""


def read_definitions(source: Source, repository: str, sha: str) -> Definitions:
    """Read and check a commit's documents.

    Raises:
        InvalidDocument: They are missing or wrong; all problems at once.
    """
    data = source.read(repository, sha, FILE)
    if data is None:
        raise InvalidDocument(
            f"{repository} has no {FILE} at {sha[:12]}",
            hint="`andon init` writes one; commit it and ship again",
        )
    return read_project({FILE: data})


def load(
    source: Source, repository: str, ref: str, adopted: str | None, policy_branch: str
) -> Loaded:
    """Read everything a Change is made of.

    Args:
        source: Where repositories are read.
        repository: Path or URL.
        ref: Branch, tag or sha.
        adopted: Policy revision in force; None for the first Change of a repository.
        policy_branch: Branch whose head becomes the next policy revision.
    """
    commit = source.resolve(repository, ref)
    own = read_definitions(source, repository, commit.sha)
    revision = adopted or commit.sha
    policy = own if revision == commit.sha else read_definitions(source, repository, revision)
    head = _policy_head(source.heads(repository), policy_branch)
    known = {revision: policy, commit.sha: own}
    next_policy, next_rules = _next_policy(source, repository, head or revision, revision, known)
    return Loaded(
        commit=commit,
        repository=repository,
        ref=ref,
        own=own,
        policy=policy,
        policy_revision=revision,
        next_policy=next_policy,
        next_rules=next_rules,
    )


def _policy_head(heads: Mapping[str, str], branch: str) -> str | None:
    """Return the policy branch's head; an older repository may call its main branch `master`."""
    return heads.get(branch) or (heads.get("master") if branch == DEFAULT_BRANCH else None)


def _next_policy(
    source: Source, repository: str, head: str, revision: str, known: Mapping[str, Definitions]
) -> tuple[str, Definitions]:
    """Return the policy branch's head, unless its rules cannot be read: then the old ones stay."""
    if head in known:
        return head, known[head]
    try:
        return head, read_definitions(source, repository, head)
    except InvalidDocument:
        return revision, known[revision]


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
