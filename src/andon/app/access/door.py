"""The door: the ``AccessService`` of an installation."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from andon.adapters.passwords import Passwords
from andon.api.v1 import answers
from andon.api.v1.access import Identity
from andon.app.access.hashing import Hashing
from andon.app.access.logins import Logins
from andon.app.access.pairing import Pairings
from andon.app.access.people import People
from andon.app.access.tally import Tally
from andon.app.access.tries import Tries
from andon.app.hooks.places import Places
from andon.app.secrets.safe import Vault
from andon.kernel.clock import Clock, Randomness
from andon.kernel.errors import Denied
from andon.ports.asking import Asked
from andon.ports.store import Store
from andon.runtime.together import until_one_ends

FLUSH_SECONDS = 5.0
LONGEST_PLACE = 80


class Door(People, Pairings, Logins):
    """Who may come in, and who was refused.

    Args:
        state: State folder, where the administrator's token lies.
        store: The durable store.
        clock: The time that expiry goes by.
        randomness: Where secrets come from.
        vault: Keeps where people are told.
        passwords: Hashes passwords.
        logins: Ways to log in with a browser.
        teams_by_group: Team by group of the OpenID provider.
    """

    def __init__(
        self,
        state: Path,
        store: Store,
        clock: Clock,
        randomness: Randomness,
        *,
        vault: Vault,
        passwords: Passwords | None = None,
        logins: Sequence[str] = ("token", "password"),
        teams_by_group: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(store, clock, randomness)
        self.state = state
        self.hashing = Hashing(passwords or Passwords(randomness))
        self.places = Places(vault)
        self.tally = Tally(store, clock)
        self.tries = Tries()
        self.teams_by_group = teams_by_group or {}
        self._logins = tuple(logins)
        self._codes = {}
        self._pairings = {}
        self._rotating = asyncio.Lock()

    @property
    def logins(self) -> Sequence[str]:
        """Ways to log in with a browser."""
        return self._logins

    async def open(self) -> None:
        """Have the administrator's token, and know everybody, before anybody knocks."""
        await self.ensure_admin_token()
        await self.directory.refresh()

    async def change_password(
        self, identity: Identity, old: str, new: str, *, asked: Asked, address: str
    ) -> answers.User:
        """Give the caller another password, who must know the old one; all their sessions end."""
        kind, _, name = identity.name.partition(":")
        if kind != "person":
            raise Denied("only a person has a password", hint="andon admin token create NAME")
        await self.log_in(name, old, address=address)
        return await self.put_user(name, asked=asked, create=False, password=new)

    async def denied(self, who: str, operation: str, environment: str, *, via: str = "") -> None:
        """Write down that somebody was refused."""
        place = environment[:LONGEST_PLACE]
        facts = {"by": who, "operation": operation, "environment": place, "via": via}
        said = {name: text for name, text in facts.items() if text}
        await self.tally.count("access", "denied", who, said)

    async def run(self) -> None:
        """Take in what other processes change and count refusals, until cancelled."""
        try:
            await until_one_ends(self.directory.follow(), self.keep_counting())
        finally:
            await self.tally.flush(all_of_them=True)

    async def keep_counting(self) -> None:
        """Write down repeated refusals as their minutes end, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.tally.flush()
