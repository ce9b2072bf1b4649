"""Plays a scenario written as text: documents, what people and the world do, what must come of it.

``tests/scenario/README.md`` describes the format.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from andon.adapters.sealing import Key
from andon.api.project import Definitions, read_project
from andon.api.v1.control import Controller
from andon.api.v1.records import Object
from andon.app import commands
from andon.app.secrets.keeper import put_secret, remove_secret
from andon.app.secrets.safe import Safe
from andon.domains.delivery.change import ChangeController
from andon.domains.delivery.controller import RolloutController
from andon.domains.delivery.environment import EnvironmentController
from andon.domains.pipelines.controller import BuildController
from andon.domains.pipelines.plan import plan_build
from andon.domains.pipelines.schedule import ScheduleController
from andon.domains.response.controller import IncidentController
from andon.kernel.errors import AndonError
from andon.ports.asking import Asked
from andon.store import open_store, verify_ledger
from andon.testing.clock import FakeClock, SeededRandomness
from andon.testing.sight import Item, Sight
from andon.testing.simulated_line import SimulatedLine
from andon.testing.world import Fault, World

LONGEST_WAIT_SECONDS = 3600.0
PERSON, APPROVER = "ada", "bob"
FACTS = ("ref", "event", "paths", "trusted")


def controllers() -> list[Controller]:
    """Return the controllers of production."""
    return [
        ChangeController(plan_build),
        BuildController(),
        ScheduleController(plan_build),
        RolloutController("rollout"),
        RolloutController("rollback"),
        EnvironmentController(),
        IncidentController(),
    ]


def sha_of(label: str) -> str:
    """Return the commit that a label such as ``v2`` stands for."""
    return hashlib.sha1(label.encode()).hexdigest()  # noqa: S324 - a name, not a secret


class _OneKey:
    def find(self, key_id: str) -> Key:
        return Key(b"k" * 32)


class Scenario(Sight):
    """One play on a line of its own.

    Args:
        script: The parsed text.
        folder: Where its documents lie.
        database: File or address of the store.
        line_type: What drives the controllers.
        world_type: What actions act on.
    """

    def __init__(
        self,
        script: Item,
        folder: Path,
        database: Path | str,
        line_type: type[SimulatedLine] = SimulatedLine,
        world_type: type[World] = World,
    ) -> None:
        self.script = script
        self.folder = folder
        self.documents = self._read(script.get("documents", "one"))
        self.digests: dict[str, str] = {}
        self.safe = Safe(_OneKey(), SeededRandomness(1))
        start = script.get("start")
        clock = FakeClock(start.timestamp()) if start else FakeClock()
        world = world_type(clock, seed=script.get("seed", 1), **script.get("world", {}))
        store = open_store(str(database), source="/andon/test", clock=clock)
        super().__init__(line_type(store, controllers(), clock, world))

    def _read(self, documents: str) -> bytes:
        if documents == "shop":
            return (self.folder.parents[1] / "examples" / "shop" / "andon.yaml").read_bytes()
        if "\n" in documents:
            return documents.encode()
        return (self.folder / "documents" / f"{documents}.yaml").read_bytes()

    def close(self) -> None:
        """Let go of the store and the loop."""
        self.line.store.close()
        self.line.close()

    # --- playing ---------------------------------------------------------------------------------

    def play(self) -> list[str]:
        """Play to the end; what was not as expected."""
        self.line.start()
        found = [problem for item in self.script["play"] for problem in self.perform(item)]
        if self.line.look(verify_ledger).findings:
            found.append("the ledger does not verify")
        return found + self.check(self.script.get("expect", {}))

    def perform(self, item: Item) -> list[str]:
        """Do one item of the play."""
        (verb,) = [key for key in item if key in self._verbs()]
        try:
            problem = self._verbs()[verb](item[verb], item)
        except AndonError as error:
            if item.get("refused") == error.code:
                return []
            return [f"{dict(item)}: refused with {error.code}: {error.message}"]
        if "refused" in item:
            return [f"{dict(item)}: was not refused"]
        return [problem] if isinstance(problem, str) else problem or []

    def _verbs(self) -> dict[str, Callable[[Any, Item], Any]]:
        return {
            "ship": self._ship,
            "wait": self._wait,
            "faults": self._faults,
            "lose": lambda what, item: self.line.world.lose_everything(),
            "restart": lambda what, item: self.line.restart(),
            "down": self._down,
            "hold": self._hold,
            "lift": self._lift,
            "unlatch": self._unlatch,
            "approve": self._approve,
            "withdraw": self._withdraw,
            "rollback": self._rollback,
            "cancel": self._cancel,
            "secret": self._secret,
            "rotate": self._secret,
            "remove": self._remove,
            "expect": lambda what, item: self.check(what),
        }

    def _ship(self, label: str, item: Item) -> None:
        for edit in item.get("edit", ()):
            text = self.documents.decode()
            assert edit["find"] in text, f"{edit['find']!r} is not in the documents"
            self.documents = text.replace(edit["find"], edit["put"]).encode()
        definitions: Definitions = read_project({"andon.yaml": self.documents})
        sha = sha_of(label)
        for service in definitions.services:
            text = item.get("content", {}).get(service, label)
            self.line.world.contents[service, sha] = text
        facts = {name: item[name] for name in FACTS if name in item}
        change = self.line.ship(definitions, sha, label, until=item.get("until", ""), facts=facts)
        self.labels[change.name] = label if change.name.count("-") == 1 else f"{label}-again"

    def _wait(self, what: Any, item: Item) -> str | None:
        if isinstance(what, (int, float)):
            self.line.run_for(what)
            return None
        words = str(what).removeprefix("until ").split()
        done = self._condition(words)
        longest = item.get("within", LONGEST_WAIT_SECONDS)
        return None if self.line.run_until(done, longest) else f"waited in vain {what}"

    def _condition(self, words: list[str]) -> Callable[[], bool]:
        match words:
            case ["change", label, "is", "over"]:
                name = self._change(label)
                return lambda: self.line.is_over("Change", name)
            case ["run", run, "is", "over"]:
                return lambda: self.line.is_over("Run", self._named(run))
            case ["run", run, "is", word]:
                return lambda: self._phase_or_reason(self._named(run), word)
            case ["run", run, "at", step]:
                return lambda: self._step(self._named(run), step) == "running"
            case ["incident", "is", phase]:
                return lambda: any(
                    one.status.phase == phase for one in self._all("Incident").values()
                )
        raise AssertionError(f"nobody knows how to wait until {' '.join(words)}")

    def _down(self, seconds: float, item: Item) -> None:
        """Nobody is there for so long."""
        self.line.clock.advance(seconds)
        self.line.restart()

    def _phase_or_reason(self, run: str, word: str) -> bool:
        found = self.line.look(lambda tx: tx.get("Run", run))
        return found is not None and word in {found.status.phase, found.status.reason}

    def _step(self, run: str, step: str) -> str:
        found = self.line.look(lambda tx: tx.get("Run", run))
        rows = self.line.look(lambda tx: tx.steps(found.uid)) if found else []
        return next((row.state for row in rows if row.name == step), "")

    def _faults(self, faults: Any, item: Item) -> None:
        self.line.world.faults = [Fault(**fault) for fault in faults or ()]
        self.line.world.struck = {}

    # --- people ----------------------------------------------------------------------------------

    def _hold(self, scope: dict[str, str], item: Item) -> None:
        subject = commands.scope_from(scope)
        expires = item.get("expires", 0)
        self.line.command(
            lambda tx, turns, now: commands.pull(
                tx,
                turns,
                subject,
                reason=item.get("reason", "because"),
                by=PERSON,
                expires_at=now + expires if expires else 0,
                now=now,
            )
        )

    def _lift(self, name: str, item: Item) -> None:
        self.line.command(
            lambda tx, turns, now: commands.lift(
                tx, turns, self._named(name), by=PERSON, reason="done", now=now
            )
        )

    def _unlatch(self, subject: str, item: Item) -> None:
        self.line.command(
            lambda tx, turns, now: commands.unlatch(
                tx, turns, item["in"], subject, by=PERSON, reason=item.get("reason", ""), now=now
            )
        )

    def _approve(self, label: str, item: Item) -> None:
        self._consent(commands.approve, label, item)

    def _withdraw(self, label: str, item: Item) -> None:
        self._consent(commands.withdraw, label, item)

    def _consent(self, command: Callable[..., Object], label: str, item: Item) -> None:
        name = item.get("by", APPROVER)
        asked = Asked(
            by=name if ":" in name else f"person:{name}",
            teams=tuple(item.get("teams", ())),
            emails=(f"{name}@example.com",),
        )
        change = self._change(label)
        self.line.command(
            lambda tx, turns, now: command(
                *(tx, turns, change, item.get("in", "")),
                asked=asked,
                reason="seen",
                now=now,
                job=item.get("job", ""),
            )
        )

    def _rollback(self, service: str, item: Item) -> None:
        self.line.command(
            lambda tx, turns, now: commands.roll_back(
                tx, turns, item["in"], service, by=PERSON, reason="users complain", now=now
            )
        )

    def _cancel(self, run: str, item: Item) -> str | None:
        name = self._named(run)
        found, _ = self.line.command(
            lambda tx, turns, now: commands.cancel(
                tx, turns, name, by=PERSON, reason=item.get("reason", "wrong branch"), now=now
            )
        )
        outlook = commands.outlook(found)
        return None if item.get("outlook", "") in outlook else f"outlook: {outlook}"

    def _secret(self, name: str, item: Item) -> None:
        self.line.command(
            lambda tx, turns, now: put_secret(
                *(tx, turns, self.safe, item["in"], name, f"hush {self.line.clock.now()}"),
                by=f"person:{PERSON}",
                create="secret" in item,
                now=now,
            )
        )

    def _remove(self, name: str, item: Item) -> None:
        self.line.command(
            lambda tx, turns, now: remove_secret(
                tx, turns, item["in"], name, by=f"person:{PERSON}", now=now
            )
        )


def load(path: Path) -> dict[str, Any]:
    """Read a scenario's text."""
    script: dict[str, Any] = yaml.safe_load(path.read_text())
    return msgspec.convert(script, dict[str, Any])
