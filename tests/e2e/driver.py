"""Drives the installed program as a user does: real processes, real git, real HAProxy.

An ``Installation`` is one state folder with its control plane.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from project import Project
from traffic import DEADLINE_SECONDS, request, until

from andon.adapters.agentclient import AgentClient
from andon.adapters.agentclient.wire import AgentStatus
from andon.adapters.filetree import work_tree
from andon.client.wire import Client, Server
from andon.kernel.errors import TimedOut, Unavailable
from andon.runtime.system import SystemClock

OVER = frozenset({"Succeeded", "Failed", "RolledBack", "Cancelled"})

Json = dict[str, Any]


# --- the program ---------------------------------------------------------------------------------


class Said(NamedTuple):
    """How a command ended, and all it said."""

    code: int
    text: str


class Person:
    """Somebody with a token of their own, who reaches the control plane over HTTP.

    Args:
        url: Where it listens.
        token: What lets them in.
        folder: Where they stand: nothing of the installation is theirs.
    """

    def __init__(self, url: str, token: str, folder: Path) -> None:
        self.folder = folder
        self.client = Client(Server(url, token), timeout_seconds=DEADLINE_SECONDS)
        theirs = {"ANDON_SERVER": url, "ANDON_TOKEN": token, "HOME": str(folder)}
        self.environ = {**os.environ, **theirs}

    def andon(self, *arguments: str, seconds: float = DEADLINE_SECONDS) -> Said:
        """Run a command as this person would."""
        done = subprocess.run(
            [sys.executable, "-m", "andon", *arguments],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
        )
        return Said(done.returncode, done.stdout)


class Installation:
    """One state folder and the processes that belong to it.

    Args:
        state: The folder.
        options: More options of ``andon up``.
    """

    def __init__(self, state: Path, *options: str) -> None:
        self.state = state
        self.options = options
        self.client = Client(state, timeout_seconds=DEADLINE_SECONDS)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What the control plane printed."""
        return self.state.with_name(f"{self.state.name}.log")

    def start(self) -> None:
        """Start the control plane and wait until it answers."""
        self.state.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._command("up", "--port", "0"), *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(self._answers, f"the control plane answers; {self.log}")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        try:
            self.client.get("/health")
        except (Unavailable, TimedOut):
            return False
        return True

    def kill(self) -> None:
        """SIGKILL to the control plane alone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "andon", "--state", str(self.state), *arguments]

    def andon(
        self, *arguments: str, cwd: Path | None = None, seconds: float = DEADLINE_SECONDS
    ) -> Said:
        """Run a command as a user would."""
        done = subprocess.run(
            self._command(*arguments),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
        )
        return Said(done.returncode, done.stdout)

    def as_person(self, name: str, role: str = "approver") -> Person:
        """Let a person in, and be that person."""
        who = ("--role", role, "--email", f"{name}@example.com")
        added = self.andon("admin", "user", "add", name, *who)
        assert added.code == 0, added.text
        theirs = {"owner": name, "grants": [{"role": role}], "expiresSeconds": 3600}
        made = self.client.post("/tokens", {"name": f"of-{name}", **theirs})
        folder = self.state.with_name(f"home-of-{name}")
        folder.mkdir()
        url = json.loads((self.state / "control.json").read_text())["url"]
        return Person(url, made["secret"], folder)

    def ship(self, project: Project, ref: str = "HEAD", *options: str) -> Said:
        """Ship and follow to the end."""
        return self.andon("ship", ref, *options, cwd=project.path)

    def begin(self, project: Project, ref: str = "HEAD") -> str:
        """Ship without following; the Change's name."""
        body = {"repository": str(project.path), "ref": ref, "until": ""}
        name: str = self.client.post("/ship", body)["change"]
        return name

    # looking

    def change(self, name: str) -> Json:
        """How a Change stands."""
        found: Json = self.client.get(f"/changes/{name}")
        return found

    def ended(self, name: str, seconds: float = DEADLINE_SECONDS) -> Json:
        """Wait until a Change and its Runs are over."""

        def look() -> Json | None:
            change = self.change(name)
            over = all(one["phase"] in OVER for one in (change, *change["runs"]))
            return change if over else None

        return until(look, f"{name} ends", seconds)

    def run(self, change: str, kind: str = "rollout", environment: str = "prod") -> Json | None:
        """A Change's Run of a kind, once there is one."""
        for run in self.change(change)["runs"]:
            if run["type"] == kind and run["environment"] in {"", environment}:
                return run
        return None

    def said(self, change: str, text: str) -> str:
        """Wait until ``andon why`` says something of a Change; all it says."""

        def look() -> str:
            why = self.andon("why", change)
            return why.text if text in why.text else ""

        return until(look, f"why {change} says {text!r}")

    def running(self, change: str, step: str, kind: str = "rollout") -> Json:
        """Wait until a step of a Change's Run is under way."""

        def look() -> Json | None:
            run = self.run(change, kind)
            assert run is None or run["phase"] not in OVER, run
            steps = {one["name"]: one["state"] for one in run["steps"]} if run else {}
            return run if steps.get(step) == "running" else None

        return until(look, f"{step} of {change} is under way")

    def service(self, environment: str = "prod") -> Json:
        """How the service stands in an environment."""
        found = self.client.get("/status", {"environment": environment})["services"]
        one: Json = found[0] if found else {}
        return one

    def ask(self, environment: str = "prod") -> str:
        """What the service answers through the gateway."""
        status, text = request(self.service(environment)["address"])
        assert status == 200, text
        return text

    def settled(self, text: str, environment: str = "prod") -> None:
        """Wait until the record, too, says that the version is there."""
        until(lambda: self._runs(text, environment), f"{text} runs in {environment}")

    def _runs(self, text: str, environment: str) -> bool:
        one = self.service(environment)
        return bool(one and one["address"] and request(one["address"]) == (200, text))

    def replica_pids(self) -> dict[str, int]:
        """Main process by log name of each replica."""
        return {one.log: one.pid for one in self.agent_status().replicas if one.pid}

    def agent_status(self) -> AgentStatus:
        """What the agent says of itself; asked directly, so that nobody revives it."""
        return asyncio.run(self._agent_status())

    async def _agent_status(self) -> AgentStatus:
        agent = AgentClient(self.state / "agent" / "agent.sock", SystemClock())
        try:
            return await agent.status()
        finally:
            await agent.close()

    def job_trees(self, job: str) -> list[Path]:
        """Work trees of a job that runs."""
        running = [one.key for one in self.agent_status().jobs if one.name == job]
        return [work_tree(self.state / "work", key) for key in running]

    # the end

    def down(self) -> Said:
        """End everything as a user would."""
        said = self.andon("down")
        if self.process is not None:
            self.process.wait(DEADLINE_SECONDS)
            self.process = None
        return said

    def end(self) -> None:
        """End everything as a user would, and see that nothing is left."""
        said = self.down()
        left = processes_of(self.state)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert said.code == 0, said.text
        assert not left, f"left after `andon down`: {left}"


@contextmanager
def installation(state: Path, *options: str) -> Iterator[Installation]:
    """Have a control plane running on a state folder, and nothing of it afterwards."""
    one = Installation(state, *options)
    try:
        one.start()
        yield one
    finally:
        one.end()


def processes_of(state: Path) -> dict[int, str]:
    """Command lines of processes that name a folder in arguments, environment or working folder."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            line = (folder / "cmdline").read_bytes()
            traces = (
                line,
                (folder / "environ").read_bytes(),
                os.fsencode(os.readlink(folder / "cwd")),
            )
            zombie = (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue
        if not zombie and any(os.fsencode(state) in trace for trace in traces):
            found[int(folder.name)] = line.replace(b"\0", b" ").decode(errors="replace")
    return found


def steps_of(run: Json) -> dict[str, str]:
    """State of each step."""
    return {step["name"]: step["state"] for step in run["steps"]}


def started(run: Json) -> dict[str, float]:
    """When each step that has passed was started."""
    return {one["name"]: one["startedAt"] for one in run["steps"] if one["state"] == "passed"}
