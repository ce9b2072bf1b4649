"""An installation's hooks over a real store, a real repository and a real vault."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from andon.adapters.git import GitSource
from andon.api.v1.control import Selector
from andon.api.v1.installation import SecretsKeySpec
from andon.api.v1.records import Object
from andon.app.access.door import Door
from andon.app.hooks.desk import Hooks
from andon.app.hooks.parts import hooks
from andon.app.parts import controllers
from andon.app.secrets.safe import Vault, open_safe
from andon.ports.asking import Asked
from andon.ports.store import Store, Tx
from andon.runtime.turns import Turns
from andon.store import open_store
from andon.testing import forges
from andon.testing.clock import FakeClock, SeededRandomness
from andon.testing.forges import Sent

URL = "https://andon.example"
ADMIN = Asked(by="person:root", operation="hooks_add")
DOCUMENTS = """\
apiVersion: andon/v1
kind: Pipeline
metadata: { name: shop }
spec: { jobs: { unit: { run: "true" } } }
---
apiVersion: andon/v1
kind: Service
metadata: { name: shop }
spec: { command: [serve] }
---
apiVersion: andon/v1
kind: Environment
metadata: { name: prod }
spec: {}
"""


class Repository:
    """A repository on this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("first")

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
        command = ["git", "-C", str(self.path), *who, "-c", "commit.gpgsign=false", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, message: str) -> str:
        (self.path / "andon.yaml").write_text(DOCUMENTS)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")


class Site:
    """Everything that hooks need, and what tests ask of it."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.store: Store = open_store(str(folder / "a.db"), source="/andon/test", clock=self.clock)
        self.repository = Repository(folder / "shop")
        self.vault = Vault(open_safe(SecretsKeySpec(), folder, SeededRandomness(3)))
        self.source = GitSource(folder / "cache")
        chance = SeededRandomness(2)
        self.door = Door(folder, self.store, self.clock, chance, vault=self.vault)
        self.hooks: Hooks = hooks(
            store=self.store,
            turns=Turns(controllers(), SeededRandomness(1)),
            source=self.source,
            clock=self.clock,
            randomness=SeededRandomness(4),
            vault=self.vault,
            refusals=self.door,
            url=URL,
        )

    async def add(self, forge: str = "github", **more: Any) -> str:
        """Add a hook named as its forge; its secret."""
        repository = str(self.repository.path)
        made = await self.hooks.add(forge, asked=ADMIN, forge=forge, repository=repository, **more)
        return str(made["secret"])

    async def take(self, sent: Sent, name: str = "github") -> dict[str, Any]:
        """Deliver a message."""
        return await self.hooks.take(name, sent.headers, sent.body)

    async def push(self, secret: str, branch: str = "main", **more: Any) -> dict[str, Any]:
        """Deliver GitHub's word of a push."""
        return await self.take(forges.push("github", secret, branch, **more))

    async def look(self, fn: Callable[[Tx], Any]) -> Any:
        """Look into the store."""
        return await self.store.read(fn)

    async def changes(self) -> list[Object]:
        """Return every Change."""
        found: list[Object] = await self.look(lambda tx: tx.list(Selector(kind="Change")))
        return found

    async def told(self, type: str) -> list[str]:
        """Return the bodies of all events whose type has a word in it."""
        rows = await self.look(lambda tx: tx.events(limit=1000))
        return [row.body.decode() for row in rows if type in row.type]
