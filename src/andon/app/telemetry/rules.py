"""Takes what the policy branch says about watching into the store, and out again when it is gone.

Objectives, budget policies and checks concern what runs, not the Change that brings them: they hold from
when the policy branch says so. Each becomes an object, in the transaction of the Change that brought it.
"""

from __future__ import annotations

from collections.abc import Iterable

from andon.api.v1.control import Decision, NewObject, Selector
from andon.api.v1.definitions import RULE_KINDS, Definition
from andon.api.v1.objectives import ObjectiveSpec, RuleStatus
from andon.api.v1.records import Object
from andon.domains.line import events
from andon.domains.reliability.report import exclusion_key
from andon.ports.store import Tx
from andon.runtime.turns import Turns

LABEL = "repository"


def take_in(
    tx: Tx,
    turns: Turns,
    repository: str,
    revision: str,
    definitions: Iterable[Definition],
    now: float,
) -> None:
    """Let the rules of a repository be those of a revision of its policy branch.

    Args:
        tx: The transaction of the Change.
        turns: Creates objects and events.
        repository: Path or URL.
        revision: Commit that the definitions were read from.
        definitions: All documents of the kinds that are rules.
        now: Seconds since the Unix epoch.
    """
    told = {(one.kind, one.metadata.name): one for one in definitions}
    for kind in sorted(RULE_KINDS):
        known = {one.labels.get("name", one.name): one for one in _of(tx, kind, repository)}
        for name in sorted(known.keys() - {n for k, n in told if k == kind}):
            tx.forget(known[name])
            _tell(tx, turns, "removed", known[name], repository, revision, now)
        for (of, name), definition in sorted(told.items()):
            if of == kind:
                _put(tx, turns, known.get(name), definition, repository, revision, now)


def _of(tx: Tx, kind: str, repository: str) -> list[Object]:
    found = tx.list(Selector(kind=kind, labels={LABEL: _label(repository)}), limit=10_000)
    return [one for one in found if one.status.repository == repository]


def _label(repository: str) -> str:
    return events.repository_stream(repository).removeprefix("repo/")


def _put(
    tx: Tx,
    turns: Turns,
    known: Object | None,
    definition: Definition,
    repository: str,
    revision: str,
    now: float,
) -> None:
    before = known.status if known is not None else RuleStatus()
    same = known is not None and known.spec == definition.spec
    status = RuleStatus(
        repository=repository,
        revision=revision,
        taken_at=before.taken_at if same else now,
        known=_known(definition, before.known, now),
    )
    if known is None:
        name = _free_name(tx, definition, repository)
        labels = {LABEL: _label(repository), "name": definition.metadata.name, **_about(definition)}
        new = NewObject(
            kind=definition.kind, name=name, spec=definition.spec, status=status, labels=labels
        )
        turns.create(tx, Decision(create=(new,)), now)
        known = tx.require(definition.kind, name)
    elif not same:
        labels = {**known.labels, **_about(definition)}
        known = tx.put_spec(known, definition.spec, labels)
    if status != known.status:
        known = tx.put_status(known, status)
    if not same:
        _tell(tx, turns, "taken", known, repository, revision, now)


def _about(definition: Definition) -> dict[str, str]:
    service = getattr(definition.spec, "service", "")
    return {"service": service} if service else {}


def _free_name(tx: Tx, definition: Definition, repository: str) -> str:
    """Return the document's own name, or one with the repository's where another has taken it."""
    name, number = definition.metadata.name, 1
    while tx.get(definition.kind, name) is not None:
        suffix = _label(repository) + (f"-{number}" if number > 1 else "")
        name, number = f"{definition.metadata.name}-{suffix}", number + 1
    return name


def _known(definition: Definition, before: dict[str, float], now: float) -> dict[str, float]:
    """Remember when each exclusion was first known: one told later excuses nothing."""
    if not isinstance(definition.spec, ObjectiveSpec):
        return before
    keys = [exclusion_key(one) for one in definition.spec.exclusions]
    return {key: before.get(key, now) for key in keys}


def _tell(
    tx: Tx,
    turns: Turns,
    predicate: str,
    rule: Object,
    repository: str,
    revision: str,
    now: float,
) -> None:
    event = events.extension(
        "rule",
        predicate,
        id=f"rule/{rule.kind}/{rule.name}/{revision}/{predicate}/{now:.6f}",
        stream=events.repository_stream(repository),
        about=f"{rule.kind}/{rule.name}",
        content={"kind": rule.kind, "name": rule.name, "revision": revision},
    )
    turns.create(tx, Decision(events=(event,)), now)


def rules_of(tx: Tx, kind: str) -> dict[str, Object]:
    """Return the rules of a kind by name.

    Args:
        tx: A snapshot.
        kind: One of ``RULE_KINDS``.
    """
    return {one.name: one for one in tx.list(Selector(kind=kind), limit=10_000)}
