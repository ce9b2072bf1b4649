"""What is one's own: nobody approves a change that they wrote or put on the line."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

from andon.api.v1.definitions import Approvals
from andon.api.v1.records import ChangeSpec, Object
from andon.domains.line.approvals import PERSON, as_actor

_ADDRESS = re.compile(r"<([^<>]*)>")
_CO_AUTHOR = re.compile(r"(?im)^[^\S\n]*co-authored-by[^\S\n]*:(.*)$")


class Refusal(Struct, frozen=True, kw_only=True):
    """Why somebody's consent does not count, and what to do instead."""

    reason: str
    hint: str


def addresses(text: str) -> frozenset[str]:
    """Read every address of a text such as ``Name <address>``, in lower case.

    >>> sorted(addresses("Ann <Ann@example.com>"))
    ['ann@example.com']
    """
    return frozenset(one.strip().casefold() for one in _ADDRESS.findall(text)) - {""}


def makers(spec: ChangeSpec) -> frozenset[str]:
    """Return the addresses of all who wrote a Change: author, committer and co-authors.

    None at all where the commit does not say whose it is.
    """
    authors = addresses(spec.author)
    others = (spec.committer, *_CO_AUTHOR.findall(spec.message))
    return authors.union(*map(addresses, others)) if authors else authors


def refuse_consent(
    change: Object,
    environment: str,
    rule: Approvals | None,
    *,
    by: str,
    teams: Iterable[str],
    emails: Iterable[str],
    job: str = "",
) -> Refusal | None:
    """Say why somebody's consent to a Change does not count; None: it does.

    Whoever cannot be told from the author is refused too: a person without a known address, and
    anybody where the commit names none.

    Args:
        change: An object of kind Change.
        environment: Where it may go.
        rule: Whose consent the environment asks for; None: nobody's, and a person only decides to go
            on where there is no verdict, which whoever made the Change may do.
        by: Who consents.
        teams: Names of their teams.
        emails: Addresses that their commits are known by.
        job: The job that asks, instead of an environment.
    """
    actor = as_actor(by)
    if not actor.startswith(PERSON):
        return Refusal(
            reason=f"{actor} is no person: only people approve",
            hint="a person approves; a token made with an owner acts for that person",
        )
    if rule is None:
        return None
    own = _own(change, actor, {one.strip().casefold() for one in emails} - {""})
    if own is not None:
        return own
    if not rule.counts(actor, teams):
        where = f"--job {job}" if job else f"--environment {environment}"
        place = f"job {job}" if job else environment
        return Refusal(
            reason=f"{actor} may not approve for {place}: it asks for {' or '.join(rule.people)}",
            hint=f"one of them: andon approve {change.name} {where} -m REASON",
        )
    return None


def _own(change: Object, actor: str, emails: set[str]) -> Refusal | None:
    name = actor.removeprefix(PERSON)
    wrote = makers(change.spec)
    brought = {one.casefold() for one in change.spec.brought_by}
    if as_actor(change.labels.get("by", "")) == actor or emails & brought:
        return _nobody(f"{name} put {change.name} on the line")
    if emails & wrote:
        return _nobody(f"{name} wrote {change.name}")
    if not wrote:
        return Refusal(
            reason=f"the commit of {change.name} names no author's address, so nobody can be told from "
            "its author",
            hint="git config user.email ADDRESS && git commit --amend --reset-author, and ship again",
        )
    if not emails:
        return Refusal(
            reason=f"{name} has no known address, so nobody can tell whether {change.name} is their own",
            hint=f"an administrator: andon admin user change {name} --email ADDRESS",
        )
    return None


def _nobody(why: str) -> Refusal:
    return Refusal(
        reason=f"{why}, and nobody approves their own change",
        hint="another person approves; an administrator lets one in with: "
        "andon admin user add NAME --role approver --email ADDRESS",
    )
