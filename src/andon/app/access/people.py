"""Users and teams, as administrators keep them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from andon.api.v1 import answers
from andon.api.v1.access import Grant, TeamSpec, UserSpec, UserStatus
from andon.api.v1.control import NewObject
from andon.api.v1.records import Object
from andon.app.access.directory import administrators, every
from andon.app.access.hashing import Hashing
from andon.app.access.recording import grant_text, note_change
from andon.app.access.room import (
    NOTHING,
    Room,
    check_label,
    checked_grants,
    end_sessions,
    grants_json,
    require,
    with_notes,
)
from andon.app.hooks.notices import ensure_notices
from andon.app.hooks.places import Places, shown
from andon.app.shapes import Json
from andon.kernel.errors import Conflict, UsageError
from andon.ports.asking import Asked
from andon.ports.store import Tx

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 1024
MOST_ADDRESSES = 16
MOST_MEMBERS = 1000
_EMAIL = re.compile(r"[^\s@<>,]{1,64}@[^\s@<>,]{1,189}")
_NOTICE = re.compile(r"https?://\S{1,2000}|mailto:[^\s@<>,?]{1,64}@[^\s@<>,?]{1,189}")


class People(Room):
    """Keeps users and teams."""

    hashing: Hashing
    places: Places

    # --- users -----------------------------------------------------------------------------------

    async def users(self) -> list[answers.User]:
        """List users."""

        def answer(tx: Tx) -> list[answers.User]:
            teams = list(every(tx, "Team"))
            now = self.clock.now()
            return [user_json(one, teams, now) for one in every(tx, "User")]

        return sorted(await self.store.read(answer), key=_name)

    async def user(self, name: str) -> answers.User:
        """Return a user."""
        return await self.store.read(lambda tx: self._shown(tx, require(tx, "User", name)))

    def _shown(self, tx: Tx, user: Object) -> answers.User:
        return user_json(user, list(every(tx, "Team")), self.clock.now())

    async def put_user(
        self,
        name: str,
        *,
        asked: Asked,
        create: bool,
        emails: Sequence[str] | None = None,
        grants: Sequence[Grant] | None = None,
        password: str | None = None,
        notify: Sequence[str] | None = None,
        disabled: bool | None = None,
        unlock: bool = False,
        unlink: bool = False,
    ) -> answers.User:
        """Make or change a user; an empty password takes it away."""
        check_label(name, "user")
        given = _given(
            emails=emails and checked_emails(emails),
            grants=grants and checked_grants(grants),
            notify=notify and checked_notify(notify),
            password=password and await self._hashed(password),
            disabled=disabled,
            subject="" if unlink else None,
        )
        if password and asked.key:
            # A plain digest of the request, kept for a day, would be a quick way to guess it.
            veiled = await self.hashing.veiled(asked.fingerprint, asked.key)
            asked = replace(asked, fingerprint=veiled)
        asked = await self.places.veiled(self.store, asked, given.get("notify", ()))

        def put(tx: Tx) -> answers.User:
            leaderless = administrators(tx)
            kept = self._kept(tx, name, given)
            made = self._put(tx, "User", name, UserSpec(), UserStatus(), kept, create)
            if "notify" in given:
                ensure_notices(tx, False, self.clock.now())
            if given.get("disabled") or "password" in given or unlink:
                end_sessions(tx, f"user/{name}")
            if unlock:
                made = tx.put_status(made, UserStatus())
            _keep_an_administrator(leaderless)
            verb = "granted" if create else "changed"
            self._note(tx, verb, f"user/{name}", asked, given, unlocked=unlock)
            return with_notes(tx, self._shown(tx, made), given.get("grants", ()))

        return await self.write(asked, put, None if create else ("User", name))

    def _kept(self, tx: Tx, name: str, given: Json) -> Json:
        """Seal what is secret of what was given."""
        if "notify" not in given:
            return given
        notify, is_sealed = self.places.keep(tx, name, given["notify"])
        return {**given, "notify": notify, "notify_sealed": is_sealed}

    async def _hashed(self, password: str) -> str:
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise UsageError(
                f"a password has at least {SHORTEST_PASSWORD} characters",
                hint=f"and at most {LONGEST_PASSWORD}; several words are easier to remember",
            )
        return await self.hashing.hash(password)

    def _put(
        self, tx: Tx, kind: str, name: str, spec: Any, status: Any, given: Json, create: bool
    ) -> Object:
        found = tx.get(kind, name) if create else require(tx, kind, name)
        if create and found is not None:
            noun = kind.lower()
            raise Conflict(
                f"there is a {noun} {name} already", hint=f"andon admin {noun} change {name}"
            )
        if found is not None:
            return tx.put_spec(found, replace(found.spec, **given))
        new = NewObject(kind=kind, name=name, spec=replace(spec, **given), status=status)
        return self.create(tx, new)

    def _note(
        self, tx: Tx, verb: str, about: str, asked: Asked, given: Json, *, unlocked: bool = False
    ) -> None:
        said: Json = {"changed": sorted(given)}
        if "grants" in given:
            said["roles"] = [grant_text(grant) for grant in given["grants"]]
        if "members" in given:
            said["members"] = list(given["members"])
        if "disabled" in given:
            said["disabled"] = given["disabled"]
        if unlocked:
            said["unlocked"] = True
        note_change(tx, self.clock.now(), verb, about, asked, **said)

    async def remove_user(self, name: str, *, asked: Asked) -> answers.User:
        """Forget a user, with their tokens and sessions."""

        def remove(tx: Tx) -> answers.User:
            leaderless = administrators(tx)
            user = require(tx, "User", name)
            answer = self._shown(tx, user)
            tx.forget(user)
            self.places.forget(tx, name)
            for team in every(tx, "Team"):
                others = tuple(one for one in team.spec.members if one != name)
                tx.put_spec(team, replace(team.spec, members=others))
            for token in [one for one in every(tx, "Token") if one.spec.owner == name]:
                end_sessions(tx, f"token/{token.name}")
                tx.forget(token)
            end_sessions(tx, f"user/{name}")
            _keep_an_administrator(leaderless)
            note_change(tx, self.clock.now(), "revoked", f"user/{name}", asked)
            return answer

        return await self.write(asked, remove, ("User", name))

    # --- teams -----------------------------------------------------------------------------------

    async def teams(self) -> list[answers.Team]:
        """List teams."""
        found = await self.store.read(lambda tx: [team_json(one) for one in every(tx, "Team")])
        return sorted(found, key=_name)

    async def put_team(
        self,
        name: str,
        *,
        asked: Asked,
        create: bool,
        members: Sequence[str] | None = None,
        grants: Sequence[Grant] | None = None,
    ) -> answers.Team:
        """Make or change a team."""
        check_label(name, "team")
        if members and len(members) > MOST_MEMBERS:
            raise UsageError(f"{len(members)} members are too many", hint=f"at most {MOST_MEMBERS}")
        given = _given(
            members=None if members is None else tuple(dict.fromkeys(members)),
            grants=grants and checked_grants(grants),
        )

        def put(tx: Tx) -> answers.Team:
            leaderless = administrators(tx)
            for member in given.get("members", ()):
                require(tx, "User", member)
            made = self._put(tx, "Team", name, TeamSpec(), NOTHING, given, create)
            _keep_an_administrator(leaderless)
            self._note(tx, "granted" if create else "changed", f"team/{name}", asked, given)
            return with_notes(tx, team_json(made), given.get("grants", ()))

        return await self.write(asked, put, None if create else ("Team", name))

    async def remove_team(self, name: str, *, asked: Asked) -> answers.Team:
        """Forget a team."""

        def remove(tx: Tx) -> answers.Team:
            leaderless = administrators(tx)
            team = require(tx, "Team", name)
            tx.forget(team)
            _keep_an_administrator(leaderless)
            note_change(tx, self.clock.now(), "revoked", f"team/{name}", asked)
            return team_json(team)

        return await self.write(asked, remove, ("Team", name))


def _keep_an_administrator(leaderless: Callable[[], bool]) -> None:
    if leaderless():
        raise Conflict(
            "this would leave no administrator among the users",
            hint="make another one first: `andon admin user change NAME --role admin`",
        )


def _given(**fields: Any) -> Json:
    """Keep what is to be changed; an empty sequence is a wish, too."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in fields.items()
        if value is not None
    }


def checked_emails(emails: Sequence[str]) -> tuple[str, ...]:
    """Return addresses in lower case, each once."""
    for email in emails:
        if not is_email(email):
            raise UsageError(f"{email[:80]!r} is no e-mail address", hint="ann@example.com")
    return _few(tuple(dict.fromkeys(email.lower() for email in emails)), "e-mail addresses")


def is_email(text: str) -> bool:
    """Say whether a text has the form of an address."""
    return _EMAIL.fullmatch(text) is not None


def checked_notify(notify: Sequence[str]) -> tuple[str, ...]:
    """Return where to send notices, each place once."""
    for place in notify:
        if not _NOTICE.fullmatch(place):
            raise UsageError(
                "no notice can be sent to such an address",
                hint="https://… of a Slack-compatible webhook, or mailto:ann@example.com",
            )
    return _few(tuple(dict.fromkeys(notify)), "places for notices")


def _few(found: tuple[str, ...], what: str) -> tuple[str, ...]:
    if len(found) > MOST_ADDRESSES:
        raise UsageError(f"{len(found)} {what} are too many", hint=f"at most {MOST_ADDRESSES}")
    return found


def _name(one: answers.User | answers.Team) -> str:
    return str(one["name"])


def user_json(user: Object, teams: Sequence[Object], now: float) -> answers.User:
    """Show a user, without what is secret."""
    spec: UserSpec = user.spec
    locked_until = user.status.locked_until
    return {
        "name": user.name,
        "emails": list(spec.emails),
        "grants": grants_json(spec.grants),
        "teams": sorted(team.name for team in teams if user.name in team.spec.members),
        "hasPassword": bool(spec.password),
        "subject": spec.subject,
        "notify": list(map(shown, spec.notify)),
        "disabled": spec.disabled,
        "lockedUntil": locked_until if locked_until > now else 0,
        "createdAt": user.created_at,
        "revision": str(user.version),
    }


def team_json(team: Object) -> answers.Team:
    """Show a team."""
    return {
        "name": team.name,
        "members": list(team.spec.members),
        "grants": grants_json(team.spec.grants),
        "createdAt": team.created_at,
        "revision": str(team.version),
    }
