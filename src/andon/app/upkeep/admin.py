"""Answers for Andon itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from msgspec import to_builtins

from andon.adapters.agentclient import AgentClient
from andon.adapters.git import GitDesiredState
from andon.api.v1 import answers
from andon.api.v1.actions import Intent, WriteDesired
from andon.api.v1.control import Selector
from andon.api.v1.records import Version
from andon.app.home import Home
from andon.app.installation import Installation
from andon.app.place import database_of, without_password
from andon.app.upkeep import world
from andon.app.upkeep.backup import back_up
from andon.app.upkeep.moving import Move
from andon.app.upkeep.restore import RESTORED
from andon.app.upkeep.world import Place, World
from andon.domains.line import events
from andon.kernel.clock import Clock
from andon.kernel.errors import UsageError
from andon.ports.store import Store, Tx
from andon.runtime.turns import Turns

_ENVIRONMENTS = Selector(kind="Environment")
CHOICES = ("", "keep-world", "enforce-copy")


class Admin:
    """The ``AdminService`` of one generation.

    Args:
        installation: This process.
        state: The state folder.
        here: Its identity.
        given: ``--database`` or ANDON_DATABASE_URL, if one was given.
        store: The database.
        turns: The controllers.
        agent: What runs.
        desired: What is wanted.
        clock: The time.
    """

    def __init__(
        self,
        *,
        installation: Installation,
        state: Path,
        here: Home,
        given: str,
        store: Store,
        turns: Turns,
        agent: AgentClient,
        desired: GitDesiredState,
        clock: Clock,
    ) -> None:
        self._installation = installation
        self._state = state
        self._here = here
        self._given = given
        self._store = store
        self._turns = turns
        self._agent = agent
        self._desired = desired
        self._clock = clock

    async def state(self) -> answers.AdminState:
        """Say on what it is, and why nothing is claimed."""
        paused, restored = await self._store.read(
            lambda tx: (tx.paused(), tx.get_setting(RESTORED) or "")
        )
        url = without_password(database_of(self._state, self._given))
        return {"paused": paused, "database": url, "restored": float(restored or 0)}

    # --- pausing ---------------------------------------------------------------------------------

    async def pause(self, *, reason: str, by: str) -> answers.AdminState:
        """Have no work begun."""
        if not reason.strip():
            raise UsageError("pausing needs a reason", hint="andon admin pause --reason TEXT")

        def write(tx: Tx) -> None:
            tx.pause(f"{reason} ({by})")
            _tell(tx, "paused", by=by, reason=reason)

        await self._store.transact(write)
        return await self.state()

    async def resume(self, *, choice: str, check: bool, by: str) -> answers.Resumed:
        """Go on, having compared a restored copy with the world."""
        if choice not in CHOICES:
            raise UsageError(f"unknown choice {choice!r}", hint="keep-world or enforce-copy")
        state = await self.state()
        seen = await self._look() if state["restored"] else {}
        found = await self._store.read(lambda tx: world.differences(tx, seen)) if seen else []
        shown = [to_builtins(one) for one in found]
        resumed = bool(state["paused"]) and not check and (not found or bool(choice))
        if resumed:
            wanted = await self._store.transact(lambda tx: self._go_on(tx, seen, choice, by))
            await self._want(wanted, seen)
            state = await self.state()
        return {"resumed": resumed, "paused": state["paused"], "differences": shown}

    async def _look(self) -> World:
        status = await self._agent.status()
        names = await self._store.read(lambda tx: [one.name for one in tx.list(_ENVIRONMENTS)])
        desired = {name: await asyncio.to_thread(self._desired.read, name) for name in names}
        return world.look(self._state, status, desired)

    def _go_on(self, tx: Tx, seen: World, choice: str, by: str) -> Mapping[Place, Version]:
        now = tx.now()
        found = world.differences(tx, seen) if seen else []
        follow = world.keep if choice == "keep-world" else world.enforce
        wanted = follow(tx, self._turns, seen, found, by, now) if found else {}
        tx.put_setting(RESTORED, "")
        tx.resume()
        _tell(tx, "resumed", by=by, choice=choice, differences=[to_builtins(one) for one in found])
        return wanted

    async def _want(self, wanted: Mapping[Place, Version], seen: World) -> None:
        """Let the desired state follow, where it says something else."""
        for place, version in wanted.items():
            desired = seen[place].desired
            if desired is None or desired.key != version.key:
                lease = f"resume/{'/'.join(place)}"
                token = await self._store.transact(partial(_token, lease=lease))
                action = WriteDesired(
                    environment=place[0],
                    service=place[1],
                    version=version,
                    expected=None,
                    force=True,
                    message="what counts since a copy of Andon was restored",
                )
                intent = Intent(key=f"{lease}/{self._clock.now()}", epoch=token)
                await self._desired.write_desired(action, intent)

    # --- errands ---------------------------------------------------------------------------------

    def migrate(self, *, to: str, by: str, wait_seconds: float) -> answers.Errand:
        """Begin to move to Postgres."""
        move = Move(self._installation, self._store, self._state, self._here, self._given)
        move.check(to)
        return self._installation.begin("migrate", lambda say: move.run(to, by, wait_seconds, say))

    def back_up(self, *, path: str, artifacts: bool) -> answers.Errand:
        """Begin to write a backup."""
        file = Path(path)
        if not file.is_absolute():
            raise UsageError(f"{path} must be an absolute path")
        return self._installation.begin(
            "backup",
            lambda say: asyncio.to_thread(
                back_up,
                *(self._store, self._state, file),
                artifacts=artifacts,
                clock=self._clock,
                say=say,
            ),
        )

    def errand(self) -> answers.Errand:
        """Say how the last errand stands."""
        last = self._installation.errand
        nothing: answers.Errand = {"name": "", "state": "done", "progress": "", "result": None}
        return last.json() if last else nothing


def _token(tx: Tx, lease: str) -> int:
    token = tx.acquire(lease, lease, tx.now(), 1)
    tx.release(lease)
    return token


def _tell(tx: Tx, predicate: str, **data: object) -> None:
    now = tx.now()
    event = events.extension(
        "installation",
        predicate,
        id=f"installation/{predicate}/{now:.6f}",
        stream="org",
        about="andon",
        data=data,
    )
    tx.append(event, now)
