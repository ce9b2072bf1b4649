"""What all that concerns access shares: the store, the time, chance and the directory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import TypeVar

from andon.api.v1 import answers
from andon.api.v1.access import EVERYWHERE, ROLES, Grant
from andon.api.v1.control import NewObject, Selector
from andon.api.v1.records import Empty, Object
from andon.app.access.directory import Directory, every
from andon.app.acting import Answer, act
from andon.kernel.clock import Clock, Randomness
from andon.kernel.errors import NotFound, UsageError
from andon.kernel.ids import new_uid
from andon.ports.asking import Asked
from andon.ports.store import Store, Tx

Noted = TypeVar("Noted", answers.User, answers.Team, answers.TokenWithSecret)
MOST_GRANTS = 200
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NOUNS = {"User": "user", "Team": "team", "Token": "token"}


class Room:
    """Base of what answers for access.

    Args:
        store: The durable store.
        clock: The time that expiry goes by.
        randomness: Where secrets come from.
    """

    def __init__(self, store: Store, clock: Clock, randomness: Randomness) -> None:
        self.store = store
        self.clock = clock
        self.randomness = randomness
        self.directory = Directory(store)

    async def write(
        self, asked: Asked, fn: Callable[[Tx], Answer], subject: tuple[str, str] | None = None
    ) -> Answer:
        """Carry out a wish; by its answer it holds for everybody who comes in."""
        now = self.clock.now()
        answer = await self.store.transact(lambda tx: act(tx, asked, now, fn, subject=subject))
        await self.directory.refresh()
        return answer

    def create(self, tx: Tx, new: NewObject) -> Object:
        """Create an object that there is not yet."""
        now = self.clock.now()
        created, _ = tx.create(new, new_uid(now, self.randomness), now)
        return created


def require(tx: Tx, kind: str, name: str) -> Object:
    """Return a user, team or token.

    Raises:
        NotFound: There is none of that name; the hint names the nearest ones.
    """
    found = tx.get(kind, name) if is_label(name) else None
    if found is None:
        noun = _NOUNS[kind]
        near = get_close_matches(name[:63], [one.name for one in every(tx, kind)], 3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"`andon admin {noun} list`"
        raise NotFound(f"there is no {noun} {name[:63]!r}", hint=hint)
    return found


def is_label(name: str) -> bool:
    """Say whether a user, team or token may be called so."""
    return _LABEL.fullmatch(name) is not None


def check_label(name: str, noun: str) -> None:
    """Refuse what cannot be a name.

    Source: RFC 1123, section 2.1 (a label of a host name).
    """
    if not is_label(name):
        raise UsageError(
            f"{name[:80]!r} cannot be a {noun}'s name",
            hint="lower-case letters, digits and - between them, at most 63",
        )


def checked_grants(grants: Sequence[Grant]) -> tuple[Grant, ...]:
    """Return each grant once.

    Raises:
        UsageError: There is no such role, an environment cannot be called so, or they are too many.
    """
    if len(grants) > MOST_GRANTS:
        raise UsageError(f"{len(grants)} roles are too many", hint=f"at most {MOST_GRANTS}")
    for grant in grants:
        if grant.role not in ROLES:
            raise UsageError(f"there is no role {grant.role!r}", hint=f"known: {', '.join(ROLES)}")
        if grant.environment != EVERYWHERE:
            check_label(grant.environment, "environment")
    return tuple(dict.fromkeys(grants))


def grants_json(grants: Iterable[Grant]) -> list[answers.GrantOf]:
    """Show grants."""
    return [{"role": grant.role, "environment": grant.environment} for grant in grants]


def with_notes(tx: Tx, answer: Noted, grants: Iterable[Grant]) -> Noted:
    """Add to an answer what is allowed but may be a slip: roles where there is nothing yet."""
    named = dict.fromkeys(grant.environment for grant in grants)
    unknown = [name for name in named if name != EVERYWHERE and tx.get("Environment", name) is None]
    notes = [
        f"there is no environment {name} yet; the role counts once there is" for name in unknown
    ]
    if notes:
        answer["notes"] = notes
    return answer


def end_sessions(tx: Tx, whose: str, keep: int = 0) -> int:
    """End sessions, the oldest first.

    Args:
        tx: A writing transaction.
        whose: Their label, such as ``user/ann``.
        keep: So many of the newest stay.

    Returns:
        How many ended.
    """
    sessions = tx.list(Selector(kind="Session", labels={"of": whose}))
    ended = sessions[: max(0, len(sessions) - keep)]
    for one in ended:
        tx.forget(one)
    return len(ended)


NOTHING = Empty()
