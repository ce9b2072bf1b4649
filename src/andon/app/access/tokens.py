"""Service tokens: made, shown once, revoked; and the administrator's, which lies in the state folder."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

from andon.adapters.durable import write_durably
from andon.api.v1 import answers
from andon.api.v1.access import Grant, TokenSpec, TokenStatus
from andon.api.v1.control import NewObject
from andon.api.v1.records import Object
from andon.app.access import credentials
from andon.app.access.directory import ADMIN, ADMINISTRATOR, every
from andon.app.access.recording import grant_text, note_change
from andon.app.access.room import (
    Room,
    check_label,
    checked_grants,
    end_sessions,
    grants_json,
    require,
    with_notes,
)
from andon.kernel.errors import Conflict, Unavailable, UsageError
from andon.ports.asking import Asked
from andon.ports.store import Tx

FILE = "admin.token"
COMING = "admin.token.new"
"""What a rotation writes before it counts, so that a full disk cannot leave nobody with a token."""
DAY_SECONDS = 86400.0
DEFAULT_SECONDS = 90 * DAY_SECONDS
LONGEST_SECONDS = 366 * DAY_SECONDS
_STARTING = "andon up"


class Tokens(Room):
    """Keeps service tokens."""

    state: Path
    _rotating: asyncio.Lock

    async def tokens(self) -> list[answers.Token]:
        """List tokens, without what lets anybody in."""
        found = await self.store.read(lambda tx: [token_json(one) for one in every(tx, "Token")])
        return sorted(found, key=lambda one: str(one["name"]))

    async def make_token(
        self,
        name: str,
        *,
        asked: Asked,
        owner: str = "",
        grants: Sequence[Grant] = (),
        expires_seconds: float = 0,
    ) -> answers.TokenWithSecret:
        """Make a token; ``secret`` is in this answer only."""
        _check_new(name, grants)
        now = self.clock.now()
        secret = credentials.new_token(self.randomness)
        spec = TokenSpec(
            digest=credentials.digest_of(secret),
            owner=owner,
            grants=checked_grants(grants),
            expires_at=now + _lifetime(expires_seconds),
            created_by=asked.by,
            created_at=now,
        )

        def make(tx: Tx) -> answers.TokenWithSecret:
            if owner and require(tx, "User", owner).spec.disabled:
                raise Conflict(
                    f"{owner} is disabled", hint=f"andon admin user change {owner} --enable"
                )
            self._make_room(tx, name)
            made = self.create(
                tx, NewObject(kind="Token", name=name, spec=spec, status=TokenStatus())
            )
            roles = [grant_text(grant) for grant in spec.grants]
            said = {"roles": roles, "owner": owner, "expiresAt": spec.expires_at}
            note_change(tx, now, "granted", f"token/{name}", asked, **said)
            answer: answers.TokenWithSecret = {**token_json(made), "secret": secret}
            return with_notes(tx, answer, spec.grants)

        return await self.write(asked, make)

    def _make_room(self, tx: Tx, name: str) -> None:
        """Forget a token of that name that counts no more."""
        found = tx.get("Token", name)
        if found is None:
            return
        if not found.status.revoked_at and found.spec.expires_at > self.clock.now():
            raise Conflict(
                f"there is a token {name} already", hint=f"andon admin token revoke {name}"
            )
        end_sessions(tx, f"token/{name}")
        tx.forget(found)

    async def revoke_token(self, name: str, *, asked: Asked) -> answers.Token:
        """Let nobody in by a token any more; asking again changes nothing."""
        if name == ADMIN:
            raise Conflict(
                "Andon always has its administrator's token",
                hint="`andon admin token rotate-admin` replaces it",
            )

        def revoke(tx: Tx) -> answers.Token:
            token = require(tx, "Token", name)
            if token.status.revoked_at:
                return token_json(token)
            now = self.clock.now()
            token = tx.put_status(token, TokenStatus(revoked_at=now, revoked_by=asked.by))
            end_sessions(tx, f"token/{name}")
            note_change(tx, now, "revoked", f"token/{name}", asked)
            return token_json(token)

        return await self.write(asked, revoke, ("Token", name))

    # --- the administrator's ---------------------------------------------------------------------

    async def ensure_admin_token(self) -> None:
        """Make the administrator's token of this state folder count, and no other.

        The file counts: without one there is a new token, and what was in the one before lets
        nobody in any more.

        Raises:
            Conflict: Something else is in the file.
            Unavailable: It cannot be read or written.
        """
        digest = await self.store.read(_admin_digest)
        secret = _read(self.state, digest)
        if secret is None:
            secret = credentials.new_token(self.randomness)
            write_durably(self.state / FILE, secret.encode() + b"\n")
        if credentials.digest_of(secret) != digest:
            asked = Asked(by="andon", via=_STARTING)
            await self.store.transact(lambda tx: self._replace_admin(tx, secret, asked))

    async def rotate_admin_token(self, *, asked: Asked) -> answers.RotatedToken:
        """Replace the administrator's token; the new one is in the file when this returns.

        Sessions that were begun with the one before, or over the socket, end.

        Returns:
            The ``token`` with ``file``, where its secret is.
        """
        async with self._rotating:
            secret = credentials.new_token(self.randomness)
            # On the disk before it counts: no crash and no full disk leaves nobody with a token.
            await asyncio.to_thread(write_durably, self.state / COMING, secret.encode() + b"\n")

            def rotate(tx: Tx) -> answers.RotatedToken:
                made = self._replace_admin(tx, secret, asked)
                return {**token_json(made), "file": str(self.state / FILE)}

            answer = await self.write(asked, rotate, ("Token", ADMIN))
            _settle(self.state, await self.store.read(_admin_digest))
            return answer

    def _replace_admin(self, tx: Tx, secret: str, asked: Asked) -> Object:
        now = self.clock.now()
        spec = TokenSpec(
            digest=credentials.digest_of(secret),
            grants=(ADMINISTRATOR,),
            created_by=asked.by,
            created_at=now,
        )
        found = tx.get("Token", ADMIN)
        if found is None:
            new = NewObject(kind="Token", name=ADMIN, spec=spec, status=TokenStatus())
            made = self.create(tx, new)
        else:
            made = tx.put_spec(found, spec)
            end_sessions(tx, f"token/{ADMIN}")
            for session in every(tx, "Session"):
                if session.spec.account:
                    tx.forget(session)
        note_change(tx, now, "granted" if found is None else "changed", f"token/{ADMIN}", asked)
        return made


def _check_new(name: str, grants: Sequence[Grant]) -> None:
    check_label(name, "token")
    if name == ADMIN:
        raise Conflict("the name admin belongs to the generated token", hint="choose another name")
    if not grants:
        raise UsageError("a token without a role may do nothing", hint="--role viewer")


def _lifetime(seconds: float) -> float:
    if not 0 <= seconds <= LONGEST_SECONDS:
        raise UsageError(
            f"a token lasts at most {LONGEST_SECONDS / DAY_SECONDS:g} days", hint="--expires 90d"
        )
    return seconds or DEFAULT_SECONDS


def _admin_digest(tx: Tx) -> str:
    found = tx.get("Token", ADMIN)
    return found.spec.digest if found else ""


def _read(state: Path, digest: str) -> str | None:
    """Return the token of the file, after a rotation that a crash cut short; None: no file."""
    _settle(state, digest)
    file = state / FILE
    try:
        secret = file.read_text(errors="replace").strip()
        file.chmod(0o600)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"{file} cannot be read: {error.strerror}") from None
    if not credentials.is_token(secret):
        raise Conflict(
            f"{file} does not hold a token of Andon",
            hint="delete it: the next `andon up` makes a new one, and the old one counts no more",
        )
    return secret


def _settle(state: Path, digest: str) -> None:
    """Put the coming token in its place if it is the one that counts."""
    coming = state / COMING
    with contextlib.suppress(FileNotFoundError):
        if credentials.digest_of(coming.read_text(errors="replace").strip()) == digest:
            coming.replace(state / FILE)
        else:
            coming.unlink()


def token_json(token: Object) -> answers.Token:
    """Show a token, without its digest."""
    spec: TokenSpec = token.spec
    return {
        "name": token.name,
        "owner": spec.owner,
        "grants": grants_json(spec.grants),
        "expiresAt": spec.expires_at,
        "createdBy": spec.created_by,
        "createdAt": spec.created_at or token.created_at,
        "revokedAt": token.status.revoked_at,
        "revision": str(token.version),
    }
