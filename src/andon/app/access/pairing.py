"""A command line that asks in a browser to act as a person, and the token it gets then.

The command line shows a short code; a person who is logged in reads it on the page and says yes. What is
given then acts as that person, within their rights, and only the one who asked can take it, once. Codes
live in memory for ten minutes: what a stranger asks for leaves nothing behind.

Source: RFC 8628 (device authorization grant), section 3 for the course, 5.1 and 6.1 for the codes.
"""

from __future__ import annotations

import asyncio
import contextlib
import re

from msgspec import Struct, field

from andon.api.v1 import answers
from andon.api.v1.access import Grant, Identity, Role
from andon.app.access import credentials
from andon.app.access.directory import SESSION
from andon.app.access.tokens import DAY_SECONDS, Tokens
from andon.app.access.tries import Tries
from andon.kernel.errors import Denied, NotFound
from andon.ports.asking import Asked

PAIRING_SECONDS = 600.0
WAIT_SECONDS = 20.0
"""So long an answer is waited for before the command line is told to ask again."""
MOST_PAIRINGS = 1000
LIFETIME_SECONDS = 30 * DAY_SECONDS
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that codes are no words; 20 of them, 8 times: 34 bits."""
ROLES: tuple[Role, ...] = ("admin", "operator", "approver", "developer", "viewer")
"""All that people may have: the token is bounded by what its owner may do, then and later."""
LONGEST_PLACE = 20
_NOT_IN_LABELS = re.compile(r"[^a-z0-9]+")


class _Pairing(Struct, kw_only=True):
    digest: str
    code: str
    machine: str
    address: str
    expires_at: float
    decided: asyncio.Event = field(default_factory=asyncio.Event)
    owner: str = ""
    """Who said yes; empty once it is decided: somebody said no."""


class Pairings(Tokens):
    """Lets command lines in by a person's consent."""

    tries: Tries
    _pairings: dict[str, _Pairing]

    async def begin_pairing(self, machine: str, *, address: str) -> answers.Pairing:
        """Begin to ask; the code is for the person, the secret for who asks."""
        now = self.clock.now()
        self.tries.take(address, now)
        live = {code: one for code, one in self._pairings.items() if one.expires_at > now}
        while len(live) >= MOST_PAIRINGS:
            del live[next(iter(live))]
        secret, code = credentials.new_cookie(self.randomness), self._new_code()
        live[code] = _Pairing(
            digest=credentials.digest_of(secret),
            code=code,
            machine=machine,
            address=address,
            expires_at=now + PAIRING_SECONDS,
        )
        self._pairings = live
        return {"secret": secret, "code": code, "expiresAt": now + PAIRING_SECONDS}

    def _new_code(self) -> str:
        number = int.from_bytes(self.randomness.token(16), "big")
        letters = []
        for _ in range(8):
            number, rest = divmod(number, len(LETTERS))
            letters.append(LETTERS[rest])
        return f"{''.join(letters[:4])}-{''.join(letters[4:])}"

    async def pairing(self, code: str) -> answers.PairingShown:
        """Tell who asks under a code."""
        return _shown(self._open(code))

    async def decide_pairing(
        self, code: str, allow: bool, identity: Identity, *, asked: Asked
    ) -> answers.PairingShown:
        """Say yes or no to who asks under a code.

        Raises:
            Denied: The caller is no person with a session of their own. A token that could say yes
                would outlive itself.
            NotFound: Nobody asks under it, or no more.
        """
        if identity.via != SESSION:
            raise Denied(
                "only a person who is logged in with a browser can let a command line act as them",
                hint="log in by password or at your organisation; or: andon admin token create NAME",
            )
        found = self._open(code)
        found.owner = identity.name.partition(":")[2] if allow else ""
        found.decided.set()
        return _shown(found)

    async def take_pairing(self, secret: str) -> answers.Paired:
        """Wait a while for the answer, and hand over the token of a yes, once.

        Raises:
            Denied: The person said no.
            NotFound: It was taken already, or took too long.
        """
        digest = credentials.digest_of(secret)
        found = next((one for one in self._pairings.values() if one.digest == digest), None)
        if found is None or found.expires_at <= self.clock.now():
            raise NotFound("nobody has answered in time", hint="andon login URL asks anew")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(found.decided.wait(), WAIT_SECONDS)
        if not found.decided.is_set():
            return {"state": "waiting", "token": "", "name": ""}
        if self._pairings.pop(found.code, None) is None:
            raise NotFound("it was taken already", hint="andon login URL asks anew")
        if not found.owner:
            raise Denied("the person said no")
        asked = Asked(by=f"person:{found.owner}", via=f"pairing from {found.address}")
        made = await self.make_token(
            self._name(found),
            asked=asked,
            owner=found.owner,
            grants=[Grant(role=role) for role in ROLES],
            expires_seconds=LIFETIME_SECONDS,
        )
        return {"state": "allowed", "token": made["secret"], "name": made["name"]}

    def _open(self, code: str) -> _Pairing:
        found = self._pairings.get(code.strip().upper())
        if found is None or found.expires_at <= self.clock.now() or found.decided.is_set():
            raise NotFound(
                "no command line asks under this code, or no more", hint="andon login URL asks anew"
            )
        return found

    def _name(self, pairing: _Pairing) -> str:
        place = _NOT_IN_LABELS.sub("-", pairing.machine.lower())[:LONGEST_PLACE].strip("-")
        chance = self.randomness.token(3).hex()
        return "-".join(part for part in (pairing.owner[:30].strip("-"), place, chance) if part)


def _shown(pairing: _Pairing) -> answers.PairingShown:
    return {
        "code": pairing.code,
        "machine": pairing.machine,
        "address": pairing.address,
        "expiresAt": pairing.expires_at,
    }
