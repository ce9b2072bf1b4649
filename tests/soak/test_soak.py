"""Workers, agent and database are killed and paused at random; every Run ends, and nothing is done twice.

A minute of it here; ``ANDON_SOAK_SECONDS`` and ``ANDON_SOAK_SEED`` make it longer and different
(``make certify``). The trouble goes on for as long as Runs are open, and at least for that time.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from story import STEPS, STREAM, TELLING, new_run

from andon.api.v1.control import Selector
from andon.kernel.errors import AndonError
from andon.ports.store import Store, Tx
from andon.store import open_store, verify_ledger
from andon.testing.postgres import PostgresServer, programs, running_postgres

SECONDS = float(os.environ.get("ANDON_SOAK_SECONDS", "15"))
SEED = int(os.environ.get("ANDON_SOAK_SEED", "1"))
RUNS = int(os.environ.get("ANDON_SOAK_RUNS", "200"))
DEADLINE_SECONDS = 300 + 2 * SECONDS
LEASE_SECONDS = 2.0
FOLDER = Path(__file__).parent


class Receiver(ThreadingHTTPServer):
    """Counts what it is told, by idempotency key."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: list[tuple[str, dict[str, str]]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server: Any = self.server
        server.told.append((self.headers["Idempotency-Key"], msgspec.json.decode(body)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *said: object) -> None:
        pass


class World:
    """The processes that are harmed.

    Args:
        folder: Of this test.
        database: Address of the store.
        count: Workers at the same time.
        postgres: The server, if it is one that may be harmed.
    """

    def __init__(
        self, folder: Path, database: str, count: int, postgres: PostgresServer | None
    ) -> None:
        self.state = folder / "state"
        self.state.mkdir()
        self.database = database
        self.receiver = Receiver()
        self.postgres = postgres
        self.repository, self.sha = repository(folder / "hello")
        self.harmed: Counter[str] = Counter()
        self._log = (folder / "workers.log").open("ab")
        self.workers = [self._worker() for _ in range(count)]
        self._asleep: list[threading.Timer] = []

    def _worker(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(FOLDER / "worker.py"), "--lease", str(LEASE_SECONDS)]
        for name, value in {
            "database": self.database,
            "state": str(self.state),
            "receiver": f"http://127.0.0.1:{self.receiver.server_port}/",
            "repository": self.repository,
            "sha": self.sha,
        }.items():
            command += [f"--{name}", value]
        return subprocess.Popen(command, stdout=self._log, stderr=self._log)

    def agent(self) -> psutil.Process | None:
        """Return the agent that lives now."""
        for process in psutil.process_iter(["cmdline"]):
            line = process.info["cmdline"] or []
            if "andon.agent" in line and str(self.state) in line:
                return process
        return None

    def _left(self) -> list[psutil.Process]:
        """Return the agent, and what outlived agents that were killed, as a gateway does."""
        ours = str(self.state)
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            line = process.info["cmdline"] or []
            if any(ours in part for part in line) and process.info["status"] != "zombie":
                found += [process, *_children(process)]
        return found

    # --- harm ------------------------------------------------------------------------------------

    def harm(self, chance: random.Random) -> None:
        """Do one harmful thing."""
        self.replace_dead()
        kinds = ["kill worker", "kill worker", "pause worker", "pause worker", "kill agent"]
        kinds += ["pause agent"] + ["kill database", "pause database"] * bool(self.postgres)
        kind = chance.choice(kinds)
        self.harmed[kind] += 1
        if kind == "kill database":
            assert self.postgres is not None
            self.wake()
            self.postgres.restart()
            return
        victims = self._victims(kind, chance)
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                if kind.startswith("kill"):
                    victim.send_signal(signal.SIGKILL)
                else:
                    victim.send_signal(signal.SIGSTOP)
                    most = 1.0 if kind == "pause database" else 2 * LEASE_SECONDS
                    self._wake_later(victim, chance.uniform(0.1, most))

    def _victims(self, kind: str, chance: random.Random) -> list[psutil.Process]:
        if kind.endswith("worker"):
            return [psutil.Process(chance.choice(self.workers).pid)]
        if kind.endswith("agent"):
            agent = self.agent()
            return [agent] if agent else []
        assert self.postgres is not None
        server = psutil.Process(self.postgres.pid)
        return [server, *server.children()]

    def _wake_later(self, victim: psutil.Process, seconds: float) -> None:
        # On a thread of its own: the test itself may wait for what is asleep.
        timer = threading.Timer(seconds, _wake, [victim])
        timer.start()
        self._asleep.append(timer)

    def wake(self) -> None:
        """Wait until nothing sleeps any more."""
        for timer in self._asleep:
            timer.join()
        self._asleep.clear()

    def replace_dead(self) -> None:
        """Start a worker for each that is gone."""
        for number, process in enumerate(self.workers):
            if process.poll() is not None:
                self.workers[number] = self._worker()

    def end(self) -> None:
        """End everything that was started."""
        self.wake()
        for process in self.workers:
            process.kill()
            process.wait()
        while left := self._left():
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(left, 10)
        self.receiver.shutdown()
        self.receiver.server_close()
        self._log.close()


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _wake(victim: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        victim.send_signal(signal.SIGCONT)


def repository(folder: Path) -> tuple[str, str]:
    """Make a small repository; its path and commit."""
    folder.mkdir()
    (folder / "file").write_text("hello\n")
    git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *arguments], check=True)
    sha = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return str(folder), sha.stdout.strip()


@contextmanager
def world(
    folder: Path, database: str, count: int, server: PostgresServer | None
) -> Iterator[World]:
    """Have workers at work, and nothing of them afterwards."""
    one = World(folder, database, count, server)
    try:
        yield one
    finally:
        one.end()


def ask(database: str, answer: Any) -> Any:
    """Read the database from outside, whatever state it is in."""

    async def read() -> Any:
        store = open_store(database, source="/andon/soak")
        try:
            return await store.read(answer)
        finally:
            store.close()

    return asyncio.run(read())


async def begin(store: Store) -> None:
    """Create the Runs."""

    def create(tx: Tx) -> None:
        for number in range(RUNS):
            new = new_run(number)
            tx.create(new, f"uid-{number:04}", tx.now())
            tx.wake("Run", new.name, tx.now())

    await store.transact(create)


def soak(folder: Path, database: str, count: int, server: PostgresServer | None) -> World:
    """Harm the world until all Runs have ended."""
    store = open_store(database, source="/andon/soak")
    asyncio.run(begin(store))
    store.close()
    chance = random.Random(SEED)
    with world(folder, database, count, server) as one:
        begun, calm = time.monotonic(), threading.Event()
        while open_runs(database) or time.monotonic() < begun + SECONDS:
            assert time.monotonic() < begun + DEADLINE_SECONDS, (
                f"{open_runs(database)} Runs are open; {one.harmed}; "
                + (folder / "workers.log").read_text()[-3000:]
            )
            one.harm(chance)
            calm.wait(chance.uniform(1.0, 4.0))
        one.wake()
    print(f"harm done, seed {SEED}: {dict(one.harmed)}")
    return one


def open_runs(database: str) -> int:
    """Count the Runs that have not ended; all of them while the database is away."""
    try:
        runs = ask(database, lambda tx: tx.list(Selector(kind="Run"), limit=10 * RUNS))
    except AndonError:
        return RUNS
    return sum(run.status.phase != "Succeeded" for run in runs)


def check(database: str, one: World) -> None:
    """Nothing lost, nothing done twice, no lease held twice, every chain intact."""
    runs = ask(database, lambda tx: tx.list(Selector(kind="Run"), limit=10 * RUNS))
    names = [run.name for run in runs]
    assert len(names) == RUNS
    steps = ask(database, lambda tx: {run.name: tx.steps(run.uid) for run in runs})
    assert all([row.name for row in steps[name]] == list(STEPS) for name in names)
    assert all(row.state == "passed" for name in names for row in steps[name])
    events = ask(database, lambda tx: tx.events(stream=STREAM, limit=100 * RUNS))
    assert Counter(row.id for row in events) == Counter(
        f"{STREAM}/{name}/{step}" for name, step in itertools.product(names, STEPS)
    )
    expect_effects(one, names)
    expect_one_holder(ask(database, lambda tx: tx.events(stream=f"{STREAM}/reign", limit=10**6)))
    assert ask(database, lambda tx: tx.unfinished()) == []
    assert ask(database, lambda tx: tx.dead_letters()) == []
    assert ask(database, verify_ledger).findings == ()


def expect_effects(one: World, names: list[str]) -> None:
    """Everything was told, under one key a meaning."""
    meanings = defaultdict(set)
    for key, body in one.receiver.told:
        assert key, "an effect without an idempotency key"
        meanings[key].add((body["run"], body["step"]))
    assert all(len(meaning) == 1 for meaning in meanings.values())
    told = {next(iter(meaning)) for meaning in meanings.values()}
    assert told == set(itertools.product(names, TELLING))


def expect_one_holder(traces: list[Any]) -> None:
    """Whoever wrote under the lease was the only one from its first trace to its last."""
    tokens = [int(row.subject) for row in traces]
    assert tokens == sorted(tokens)
    holders = defaultdict(set)
    for row in traces:
        holders[row.subject].add(row.id.split("/", 2)[2].rpartition("/")[0])
    assert all(len(workers) == 1 for workers in holders.values())


def test_sqlite_with_one_worker(tmp_path: Path) -> None:
    database = str(tmp_path / "control.db")
    check(database, soak(tmp_path, database, 1, None))


@pytest.mark.postgres
def test_postgres_with_three_workers(tmp_path: Path) -> None:
    where = programs()
    if where is None:
        pytest.skip("no Postgres: install the dev extra")
    with running_postgres(where) as server:
        database = server.new_schema()
        check(database, soak(tmp_path, database, 3, server))
