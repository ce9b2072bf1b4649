"""Several workers on Postgres: what one leaves behind another goes on with, and nothing is done twice."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from driver import Installation, installation
from project import Project, Shape
from traffic import DEADLINE_SECONDS, until

from andon.testing.postgres import PostgresServer

LEASE = "2s"
COUNTED = "echo once; sleep 3"


@contextmanager
def worker(andon: Installation, url: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Have another worker of an installation, which is awake in the end."""
    before = set(alive(andon))
    with andon.log.open("ab") as log:
        process = subprocess.Popen(
            andon._command("worker", "--lease", LEASE, *options),
            env={**os.environ, "ANDON_DATABASE_URL": url},
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: set(alive(andon)) - before or process.poll() is not None, "a worker more")
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
            process.wait(DEADLINE_SECONDS)


def alive(andon: Installation) -> list[str]:
    return [one["name"] for one in andon.client.get("/queue")["workers"] if one["alive"]]


def owner(andon: Installation, queue: str) -> str:
    found = [one for one in andon.client.get("/queue")["actions"] if one["queue"] == queue]
    return found[0]["worker"] if found else ""


@pytest.mark.postgres
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_another_worker_goes_on_with_what_one_left(
    server: PostgresServer, tmp_path: Path, end: signal.Signals
) -> None:
    url = server.new_schema()
    jobs = {"unit": {"run": COUNTED, "timeoutSeconds": 60}}
    project = Project(tmp_path / "hello", Shape(jobs=jobs))
    with (
        installation(tmp_path / "state", "--database", url, "--lease", LEASE) as andon,
        worker(andon, url) as first,
        worker(andon, url) as second,
    ):
        until(lambda: len(alive(andon)) == 3, "all of them are awake")
        change = andon.begin(project)
        name = until(lambda: owner(andon, "RunJob"), "somebody runs the job")
        assert andon.process is not None
        process = (andon.process, first, second)[int(name.rsplit("/", 1)[1])]
        process.send_signal(end)
        if process is andon.process:  # whom we ask comes back; the others need not wait for it
            if end == signal.SIGKILL:
                process.wait()
                andon.start()
            else:
                until(lambda: not os.kill(process.pid, signal.SIGCONT) or True, "awake")
        assert andon.ended(change)["phase"] == "Succeeded"
        assert andon.ask() == "one"
        run = andon.run(change, "build")
        assert run is not None
        log = andon.client.get(f"/runs/{run['name']}/log", {"step": "unit"})
        assert log["data"].split() == ["once"], log
        assert [one["attempt"] for one in run["steps"] if one["name"] == "unit"] == [0]
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            until(lambda: name in alive(andon), "it works again")
        assert andon.andon("ledger", "verify").code == 0
        assert andon.client.get("/queue")["deadLetters"] == []


@pytest.mark.postgres
def test_a_worker_without_the_agent_takes_turns_but_runs_nothing(
    server: PostgresServer, tmp_path: Path
) -> None:
    url = server.new_schema()
    project = Project(tmp_path / "hello")
    with installation(tmp_path / "state", "--database", url, "--lease", LEASE) as andon:
        elsewhere = Installation(tmp_path / "elsewhere")
        refused = elsewhere.andon("up", "--database", url)
        assert (refused.code, "belongs to" in refused.text) == (5, True), refused.text
        with worker_of(elsewhere, andon, url) as process:
            assert andon.ended(andon.begin(project))["phase"] == "Succeeded"
            assert process.poll() is None
            assert not (tmp_path / "elsewhere" / "agent" / "agent.sock").exists()
        until(lambda: len(alive(andon)) == 1, "it has left")


@contextmanager
def worker_of(
    elsewhere: Installation, andon: Installation, url: str
) -> Iterator[subprocess.Popen[bytes]]:
    there = Installation(elsewhere.state)
    there.client = andon.client
    with worker(there, url, "--no-agent") as process:
        yield process


def test_several_workers_need_postgres(tmp_path: Path) -> None:
    said = Installation(tmp_path / "state").andon("worker")
    assert said.code == 2, said.text
    assert "andon admin migrate" in said.text
