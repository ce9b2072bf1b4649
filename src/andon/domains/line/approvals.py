"""Consent of people: whose Approvals count at a gate, and how to say how many are missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from andon.api.v1.approvals import ApprovalSpec
from andon.api.v1.definitions import Approvals
from andon.api.v1.records import Object, Subject

CHECK = "approval"
"""What a gate that asks for consent requires."""
PERSON = "person:"


def as_actor(by: str) -> str:
    """Name somebody as the ledger does, whoever wrote it down.

    >>> as_actor("ann"), as_actor("person:ann"), as_actor("service:ci")
    ('person:ann', 'person:ann', 'service:ci')
    """
    return by if ":" in by else f"{PERSON}{by}"


def consents(
    subject: Subject, claims: Iterable[Object], rule: Approvals, *, since: float, job: str = ""
) -> tuple[ApprovalSpec, ...]:
    """Return the first consent of each different person that counts, oldest first.

    Args:
        subject: What asks for consent.
        claims: Approvals, among other claims.
        rule: Whose consent counts.
        since: Older ones do not count; seconds since the Unix epoch.
        job: The job that asks; empty: the gate of an environment, which no consent to a job opens.
    """
    given = [
        one.spec
        for one in claims
        if is_given(one) and one.spec.job == job and one.spec.subject.matches(subject)
    ]
    found: dict[str, ApprovalSpec] = {}
    for spec in sorted(given, key=lambda spec: spec.approved_at):
        by = as_actor(spec.by)
        if by.startswith(PERSON) and spec.approved_at >= since and rule.counts(by, spec.teams):
            found.setdefault(by, spec)
    return tuple(found.values())


def is_given(claim: Object) -> bool:
    """Say whether a claim is a consent that was not withdrawn."""
    return isinstance(claim.spec, ApprovalSpec) and not claim.status.withdrawn_at


def tell(rule: Approvals, given: Sequence[ApprovalSpec]) -> str:
    """Say how many consents there are, whose, and whose are missing.

    >>> tell(Approvals(count=2, people=("team:sre",)), ())
    '0 of 2 approvals; needs somebody of team:sre'
    """
    names = ", ".join(as_actor(one.by).removeprefix(PERSON) for one in given)
    said = f"{len(given)} of {rule.count} approval{'s' if rule.count > 1 else ''}"
    return f"{said}{f': {names}' if names else ''}; needs {_whom(rule, bool(given))}"


def _whom(rule: Approvals, more: bool) -> str:
    if not rule.people:
        return "another person" if more else "a person"
    teams = [name for name in rule.people if not name.startswith(PERSON)]
    people = [name.removeprefix(PERSON) for name in rule.people if name.startswith(PERSON)]
    return " or ".join([*(f"somebody of {team}" for team in teams), *people])
