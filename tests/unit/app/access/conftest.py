"""A door with a database of its own, and time that moves when told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from andon.adapters.passwords import Cost, Passwords
from andon.api.v1.access import Grant
from andon.api.v1.installation import SecretsKeySpec
from andon.app.access.door import Door
from andon.app.ledger.telling import event_body
from andon.app.secrets.safe import Vault, open_safe
from andon.ports.asking import Asked
from andon.ports.store import Store
from andon.store import open_store
from andon.testing.clock import FakeClock, SeededRandomness

CHEAP = Cost(log2_n=4, r=1, p=1)
HERE = "192.0.2.7"
PASSWORD = "correct horse battery"


class House:
    """A store with a door in it."""

    def __init__(self, folder: Path, store: Store, clock: FakeClock, seed: int = 0) -> None:
        self.folder = folder
        self.store = store
        self.clock = clock
        self.asked = Asked(by="person:root", via="socket", operation="test")
        self.seed = seed
        self.door = self.another_door()

    def another_door(self, cost: Cost = CHEAP) -> Door:
        """Return a door as after a restart, or in another process."""
        self.seed += 1
        chance = SeededRandomness(self.seed)
        return Door(
            self.folder,
            self.store,
            self.clock,
            chance,
            vault=Vault(open_safe(SecretsKeySpec(), self.folder, chance)),
            passwords=Passwords(chance, cost),
            teams_by_group={"eng": "engineers", "ops": "operators"},
        )

    async def add_user(self, name: str, *roles: str, **more: Any) -> dict[str, Any]:
        """Make a user."""
        asked = {"grants": grants(*roles), "password": PASSWORD, **more}
        return await self.door.put_user(name, asked=self.asked, create=True, **asked)

    async def change_user(self, name: str, **more: Any) -> dict[str, Any]:
        """Change a user."""
        return await self.door.put_user(name, asked=self.asked, create=False, **more)

    async def add_token(self, name: str, *roles: str, **more: Any) -> str:
        """Make a token; what lets in by it."""
        made = await self.door.make_token(name, asked=self.asked, grants=grants(*roles), **more)
        return str(made["secret"])

    async def log_in(self, name: str = "ann", password: str = PASSWORD) -> str:
        """Log in; the cookie."""
        return (await self.door.log_in(name, password, address=HERE)).cookie

    async def told(self, noun: str) -> list[tuple[str, str, dict[str, Any]]]:
        """Return events of a noun: verb, about and content."""
        rows = await self.store.read(lambda tx: tx.events(after=0, stream="org", limit=1000))
        found = [(row.type.split(".")[2:4], row) for row in rows]
        return [
            (verb, row.subject, event_body(row)["data"]["subject"]["content"])
            for (name, verb), row in found
            if name == f"andon-{noun}"
        ]

    def bytes_on_disk(self) -> bytes:
        """Return all that the database's files hold."""
        return b"".join(one.read_bytes() for one in sorted(self.folder.glob("a.db*")))


def grants(*roles: str) -> list[Grant]:
    """Read roles as people write them."""
    parts = [role.partition("@") for role in roles]
    return [Grant(role=role, environment=where or "*") for role, _, where in parts]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where the database is; a test may say otherwise."""
    return str(tmp_path / "a.db")


@pytest.fixture
async def house(tmp_path: Path, url: str) -> AsyncIterator[House]:
    """A door that is open."""
    clock = FakeClock()
    store = open_store(url, source="/andon/test", clock=clock)
    opened = House(tmp_path, store, clock)
    await opened.door.open()
    yield opened
    store.close()
