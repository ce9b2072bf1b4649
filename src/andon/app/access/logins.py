"""Logging in: by password, token, code, or at the OpenID provider; and what stops who guesses.

What a stranger can learn: nothing. A wrong password, a name that is not there, one without a
password, one that is disabled and one that is locked all get the same words after the same work,
and none of them is told that a name is locked: that would say that it exists, and to refuse the
right password in other words would tell a guesser to come back. Who is locked out reads in the hint
that this may be so. That anybody can lock a name by guessing is the price; a locked name still gets
in by its sessions, its tokens and the OpenID provider, and an administrator unlocks it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from andon.api.v1.access import TeamSpec, UserSpec, UserStatus
from andon.api.v1.control import NewObject
from andon.api.v1.records import Object
from andon.app.access.directory import every
from andon.app.access.hashing import Hashing
from andon.app.access.people import LONGEST_PASSWORD, MOST_ADDRESSES, is_email
from andon.app.access.recording import note, note_change
from andon.app.access.room import NOTHING, is_label
from andon.app.access.sessions import Origin, Sessions
from andon.app.access.tally import Tally
from andon.app.access.tries import Tries
from andon.kernel.errors import Denied
from andon.ports.access import Login
from andon.ports.asking import Asked
from andon.ports.store import Tx

FREE_TRIES = 5
LOCK_SECONDS = 60.0
LONGEST_LOCK_SECONDS = 3600.0
STRANGERS = "access:strangers"
"""Setting that is written where there is nothing to write, so that every try takes as long."""
UNKNOWN = "nobody known"
_NOT_IN_LABELS = re.compile(r"[^a-z0-9]+")
LONGEST_NAME = 60


class _Try(Struct, frozen=True):
    """A try with a password, as it began.

    Args:
        spec: Of the user who may log in so; None: nobody.
        known: Name for the ledger. Names that do not exist stay out of it: they may be passwords.
        locks_until: When the lock ends that this try brings if it is wrong; 0: none.
    """

    spec: UserSpec | None
    known: str
    locks_until: float


class Logins(Sessions):
    """Lets people in."""

    hashing: Hashing
    tally: Tally
    tries: Tries
    teams_by_group: Mapping[str, str]

    # --- by password -----------------------------------------------------------------------------

    async def log_in(self, name: str, password: str, *, address: str) -> Login:
        """Let a person in by password."""
        self.tries.take(address, self.clock.now())
        tried = await self.store.transact(lambda tx: self._begin_try(tx, name))
        stored = tried.spec.password if tried.spec else ""
        short = password[:LONGEST_PASSWORD]
        if not await self.hashing.matches(short, stored) or short != password:
            await self._note_wrong(tried, address)
            raise _wrong()
        renewed = "" if self.hashing.is_current(stored) else await self.hashing.hash(password)

        def forgive(tx: Tx) -> None:
            user = tx.get("User", name)
            if user is None or user.spec.disabled or user.spec.password != stored:
                raise _wrong()
            if user.status != UserStatus():
                user = tx.put_status(user, UserStatus())
            if renewed:
                tx.put_spec(user, replace(user.spec, password=renewed))

        return await self.begin(Origin(user=name), via="password", address=address, before=forgive)

    def _begin_try(self, tx: Tx, name: str) -> _Try:
        """Count a try as a wrong one until it proves right: many at the same time count as many."""
        now = self.clock.now()
        user = tx.get("User", name) if is_label(name) else None
        if user is None or not user.spec.password or user.status.locked_until > now:
            tx.put_setting(STRANGERS, str(now))
            return _Try(None, f"person:{name}" if user else UNKNOWN, 0)
        failures = user.status.failures + 1
        locks_until = now + _lock_seconds(failures) if failures >= FREE_TRIES else 0.0
        tx.put_status(user, UserStatus(failures=failures, locked_until=locks_until))
        spec = None if user.spec.disabled else user.spec
        return _Try(spec, f"person:{name}", locks_until)

    async def _note_wrong(self, tried: _Try, address: str) -> None:
        facts = {"via": "password", "address": address}
        written = await self.tally.count("login", "failed", tried.known, facts)
        now, until = self.clock.now(), tried.locks_until
        if until:
            await self.store.transact(
                lambda tx: note(tx, now, "login", "locked", tried.known, until=until)
            )
        elif not written:
            await self.store.transact(lambda tx: tx.put_setting(STRANGERS, str(now)))

    # --- by token or code ------------------------------------------------------------------------

    async def log_in_with_token(self, secret: str, *, address: str) -> Login:
        """Begin a session with a token's rights."""
        self.tries.take(address, self.clock.now())
        found = self.directory.token(secret, self.clock.now())
        if found is None:
            await self._refuse("token", address)
            raise Denied(
                "this token lets nobody in: it is unknown, expired or revoked",
                hint="`andon admin token create` makes one",
            )
        return await self.begin(Origin(token=found.name), via="token", address=address)

    async def log_in_with_code(self, code: str, *, address: str) -> Login:
        """Begin a session with a code of ``one_time_code``."""
        self.tries.take(address, self.clock.now())
        origin = self.redeem(code)
        if origin is None:
            await self._refuse("code", address)
            raise Denied(
                "this link lets nobody in: it counts once, for a minute", hint="andon portal"
            )
        return await self.begin(origin, via="code", address=address)

    async def _refuse(self, via: str, address: str) -> None:
        await self.tally.count("login", "failed", UNKNOWN, {"via": via, "address": address})

    # --- at the OpenID provider ------------------------------------------------------------------

    async def log_in_as_subject(
        self, subject: str, *, name: str, emails: Sequence[str], groups: Sequence[str]
    ) -> Login:
        """Begin a session for whom the OpenID provider vouches for."""
        addresses = tuple(email.lower() for email in emails if is_email(email))
        asked = Asked(by="oidc", via=subject.partition("#")[0])
        user = await self.store.transact(lambda tx: self._vouched(tx, subject, name, addresses))
        if user is None:
            await self.tally.count("login", "failed", UNKNOWN, {"via": "oidc"})
            raise Denied("this user is disabled", hint="an administrator enables users")

        def settle(tx: Tx) -> None:
            self._follow_groups(tx, user, frozenset(groups), asked)

        return await self.begin(Origin(user=user), via="oidc", address="", before=settle)

    def _vouched(self, tx: Tx, subject: str, name: str, emails: tuple[str, ...]) -> str | None:
        """Return the user of a subject, found or made; None: they are disabled."""
        users = list(every(tx, "User"))
        user = next((one for one in users if one.spec.subject == subject), None)
        user = user or _by_address(users, emails)
        asked = Asked(by="oidc", via=subject.partition("#")[0])
        if user is None:
            spec = UserSpec(subject=subject, emails=emails[:MOST_ADDRESSES])
            user = self._add_user(tx, _free_label(name, {one.name for one in users}), spec)
            note_change(tx, self.clock.now(), "granted", f"user/{user.name}", asked)
            return user.name
        if user.spec.disabled:
            return None
        both = tuple(dict.fromkeys((*user.spec.emails, *emails)))[:MOST_ADDRESSES]
        spec = replace(user.spec, subject=subject, emails=both)
        if spec != user.spec:
            tx.put_spec(user, spec)
            note_change(tx, self.clock.now(), "changed", f"user/{user.name}", asked)
        return user.name

    def _add_user(self, tx: Tx, name: str, spec: UserSpec) -> Object:
        return self.create(tx, NewObject(kind="User", name=name, spec=spec, status=UserStatus()))

    def _follow_groups(self, tx: Tx, user: str, groups: frozenset[str], asked: Asked) -> None:
        """Have a user in the teams that the provider's groups stand for, and in no other of those."""
        mapped = set(self.teams_by_group.values())
        wanted = {team for group, team in self.teams_by_group.items() if group in groups}
        for name in sorted(mapped):
            team = tx.get("Team", name)
            members = team.spec.members if team else ()
            if (user in members) == (name in wanted):
                continue
            others = tuple(one for one in members if one != user)
            now_members = (*others, user) if name in wanted else others
            if team:
                tx.put_spec(team, replace(team.spec, members=now_members))
            else:
                spec = TeamSpec(members=now_members)
                self.create(tx, NewObject(kind="Team", name=name, spec=spec, status=NOTHING))
            verb = "joined" if name in wanted else "left"
            note_change(tx, self.clock.now(), verb, f"team/{name}", asked, member=user)


def _lock_seconds(failures: int) -> float:
    """Return how long a name is locked after so many wrong passwords.

    >>> [_lock_seconds(failures) for failures in (5, 6, 7, 11, 5000)]
    [60.0, 120.0, 240.0, 3600.0, 3600.0]
    """
    doublings = min(failures - FREE_TRIES, 10)
    return min(LOCK_SECONDS * 2.0**doublings, LONGEST_LOCK_SECONDS)


def _wrong() -> Denied:
    return Denied(
        "wrong name or password",
        hint=f"after {FREE_TRIES} wrong ones a name is locked for a while; "
        "`andon admin user change NAME --unlock` ends that",
    )


def _by_address(users: Sequence[Object], emails: tuple[str, ...]) -> Object | None:
    """Return the one user without a subject whose first address is the provider's."""
    found = [
        one
        for one in users
        if not one.spec.subject and one.spec.emails and one.spec.emails[0] in emails
    ]
    return found[0] if len(found) == 1 else None


def _free_label(name: str, taken: set[str]) -> str:
    """Make a user's name of a preferred one; never that of somebody else.

    >>> _free_label("Ann O'Hara", set()), _free_label("ann", {"ann"}), _free_label("…", set())
    ('ann-o-hara', 'ann-2', 'user')
    """
    label = _NOT_IN_LABELS.sub("-", name.lower())[: LONGEST_NAME - 6].strip("-") or "user"
    number = 1
    free = label
    while free in taken:
        number += 1
        free = f"{label}-{number}"
    return free
