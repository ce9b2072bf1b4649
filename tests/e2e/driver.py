"""Drives the installed program as a user does: real processes, real git, real HAProxy.

An ``Installation`` is one state folder with its control plane; a ``Project`` is a small git repository
with one service that answers with its own content.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from andon.adapters.agentclient import AgentClient
from andon.adapters.agentclient.wire import AgentStatus
from andon.adapters.filetree import work_tree
from andon.cli.client import Client
from andon.kernel.errors import TimedOut, Unavailable
from andon.runtime.system import SystemClock

POLL_SECONDS = 0.05
DEADLINE_SECONDS = 40.0
OVER = frozenset({"Succeeded", "Failed", "RolledBack", "Cancelled"})

Json = dict[str, Any]
T = TypeVar("T")


def until(look: Callable[[], T], what: str, seconds: float = DEADLINE_SECONDS) -> T:
    """Look until there is something, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(POLL_SECONDS)
    return found


# --- the project ---------------------------------------------------------------------------------

SERVER = """\
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from content import TEXT


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def do_GET(self):
        body = f"{TEXT} {os.environ.get('MOOD', '')}".strip().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *said):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""

TEST = """\
import unittest

import content


class Content(unittest.TestCase):
    def test_says_something(self):
        self.assertTrue(content.TEXT)
"""

UNIT = "cd app; python3 -B -m unittest -q test_content"
ROLLING: Json = {"strategy": "rolling", "soakSeconds": 0, "warmupSeconds": 0}
CANARY: Json = {
    "strategy": "canary",
    "warmupSeconds": 0,
    "soakSeconds": 0.5,
    "steps": [{"weight": 50, "minSeconds": 0.2}, {"weight": 100, "minSeconds": 0.2}],
    "judge": {"tolerance": 10, "beta": 0.2},
}
OBJECTIVE: Json = {"service": "hello", "availability": 0.9}


@dataclass(frozen=True)
class Shape:
    """What the project's documents say."""

    jobs: Json = field(default_factory=lambda: {"unit": {"run": UNIT, "timeoutSeconds": 60}})
    service: Json = field(default_factory=dict)
    environments: Json = field(
        default_factory=lambda: {"prod": {"requires": ["unit"], "rollout": ROLLING}}
    )
    route: Json = field(default_factory=dict)

    def text(self) -> str:
        """Write the documents; JSON is YAML too."""
        service = {
            "artifact": {"path": "app"},
            "command": ["python3", "-B", "server.py"],
            "health": {"path": "/", "intervalSeconds": 0.1, "readyWithinSeconds": 20},
            "drainSeconds": 2,
            **self.service,
        }
        route = {"service": "hello", "clientKey": {"header": "X-Client"}, **self.route}
        documents = [
            ("Pipeline", "hello", {"jobs": self.jobs}),
            ("Service", "hello", service),
            *(("Environment", name, spec) for name, spec in self.environments.items()),
            ("Objective", "hello", OBJECTIVE),
            ("Route", "hello", route),
        ]
        return "\n---\n".join(
            json.dumps(
                {"apiVersion": "andon/v1", "kind": k, "metadata": {"name": n}, "spec": spec},
                indent=2,
            )
            for k, n, spec in documents
        )


CANARIES: Json = {"prod": {"requires": ["unit"], "rollout": CANARY}}


class Project:
    """A repository.

    Args:
        path: Where it is made, with one commit on ``main`` that says "one".
        shape: What its documents say.
    """

    def __init__(self, path: Path, shape: Shape | None = None) -> None:
        self.path = path
        self.shape = shape or Shape()
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.good = self.commit("one", files={"app/server.py": SERVER, "app/test_content.py": TEST})

    def git(self, *arguments: str) -> str:
        """Run git as a committer of no importance."""
        who = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
        command = ["git", "-C", str(self.path), *who, "-c", "commit.gpgsign=false", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(
        self, text: str, shape: Shape | None = None, files: Mapping[str, str] | None = None
    ) -> str:
        """Commit a version that answers with a text, on the branch that is checked out."""
        documents = (shape or self.shape).text()
        content = {"app/content.py": f"TEXT = {text!r}\n", "andon.yaml": documents}
        for name, data in (content | dict(files or {})).items():
            (self.path / name).parent.mkdir(exist_ok=True)
            (self.path / name).write_text(data)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", f"say {text!r}")
        return self.git("rev-parse", "HEAD")

    def change_rules(self, shape: Shape) -> None:
        """Commit other rules; they hold for every Change but the first one shipped."""
        self.shape = shape
        self.commit("one")

    def aside(
        self, text: str, shape: Shape | None = None, files: Mapping[str, str] | None = None
    ) -> str:
        """Commit beside ``main``, on top of its head, and come back."""
        self.git("checkout", "--quiet", "--detach", "main")
        sha = self.commit(text, shape, files)
        self.git("checkout", "--quiet", "main")
        return sha


# --- the program ---------------------------------------------------------------------------------


class Said(NamedTuple):
    """How a command ended, and all it said."""

    code: int
    text: str


class Installation:
    """One state folder and the processes that belong to it.

    Args:
        state: The folder.
        options: More options of ``andon up``.
    """

    def __init__(self, state: Path, *options: str) -> None:
        self.state = state
        self.options = options
        self.client = Client(state, timeout_seconds=20)
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

    def andon(self, *arguments: str, cwd: Path | None = None, seconds: float = 60) -> Said:
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

    def ship(self, project: Project, ref: str = "HEAD", *options: str) -> Said:
        """Ship and follow to the end."""
        return self.andon("ship", ref, *options, cwd=project.path)

    def begin(self, project: Project, ref: str = "HEAD") -> str:
        """Ship without following; the Change's name."""
        body = {"repository": str(project.path), "ref": ref, "until": "", "by": "test"}
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
            self.process.wait(20)
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


# --- traffic -------------------------------------------------------------------------------------


def request(address: str) -> tuple[int, str]:
    """GET once; status 0 where there was no answer."""
    place = urlsplit(address)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=10)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, HTTPException) as error:
        return 0, repr(error)
    finally:
        connection.close()


class Traffic:
    """A few clients that ask again and again, each request as somebody else.

    Args:
        address: The gateway's.
        clients: How many at once.
        pause_seconds: Between two requests of one client.
    """

    def __init__(self, address: str, clients: int = 4, pause_seconds: float = 0.01) -> None:
        self._address = address
        self._pause_seconds = pause_seconds
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._threads = [
            threading.Thread(target=self._ask, args=(number,)) for number in range(clients)
        ]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def total(self) -> int:
        """Requests answered well."""
        with self._lock:
            return sum(self.answers.values())

    def more(self, requests: int, seconds: float = DEADLINE_SECONDS) -> None:
        """Wait for so many more good answers."""
        goal = self.total + requests
        until(lambda: self.total >= goal, f"{requests} more answers", seconds)

    def _ask(self, number: int) -> None:
        place = urlsplit(self._address)
        connection = HTTPConnection(place.hostname or "", place.port, timeout=10)
        count = 0
        while not self._over.wait(self._pause_seconds):
            count += 1
            try:
                connection.request("GET", "/", headers={"X-Client": f"{number}-{count}"})
                answer = connection.getresponse()
                text = answer.read().decode()
                if answer.will_close:
                    connection.close()
                self._note(text, "" if answer.status == 200 else f"{answer.status} {text}")
            except (OSError, HTTPException) as error:
                connection.close()
                self._note("", repr(error))
        connection.close()

    def _note(self, text: str, failure: str) -> None:
        with self._lock:
            if failure:
                self.failures.append(failure)
            else:
                self.answers[text] += 1
