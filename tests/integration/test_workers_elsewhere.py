"""Jobs that name labels, run by `andon worker --server` in processes of their own, as on another machine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_world import DEADLINE_SECONDS, World

from andon.client import Andon
from andon.kernel.errors import Denied, Fenced, NotFound, UsageError

PIPELINE = """\
apiVersion: andon/v1
kind: Pipeline
metadata: {name: shop}
spec:
  jobs:
    train:
      runsOn: [gpu]
      secrets: {TOKEN: npm}
      timeoutSeconds: 60
      run: |
        cat README; echo "token $TOKEN"
        until [ -e "$HOME/../../go-$ANDON_JOB" ] || [ -e %(go)s ]; do sleep 0.05; done
        echo trained
---
apiVersion: andon/v1
kind: Service
metadata: {name: shop}
spec:
  command: [python3, app.py]
  artifact: {path: .}
  health: {path: /}
---
apiVersion: andon/v1
kind: Environment
metadata: {name: dev}
spec:
  rollout: {strategy: rolling, soakSeconds: 0}
---
apiVersion: andon/v1
kind: Route
metadata: {name: shop}
spec: {service: shop}
"""


class Elsewhere:
    """A worker's process, with a state folder and a path of its own."""

    def __init__(self, world: World, root: Path, name: str, token: str, *labels: str) -> None:
        self._world = world
        self._log = root / f"{name}.log"
        # No bubblewrap on its path: a job must see the file that lets it go on.
        self._environ = {**os.environ, "ANDON_TOKEN": token, "PATH": _without_bwrap(root)}
        self.state = root / name
        self._command = [sys.executable, "-m", "andon", "worker", "--server", world.url]
        self._command += ["--state", str(self.state), "--name", name, "--jobs", "1"]
        self._command += [word for label in labels for word in ("--label", label)]
        self.process: subprocess.Popen[bytes]
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environ
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(DEADLINE_SECONDS)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(DEADLINE_SECONDS)


def _without_bwrap(root: Path) -> str:
    """Return a search path on which all programs are but bubblewrap."""
    folder = root / "bin"
    if not folder.exists():
        folder.mkdir()
        for place in os.environ["PATH"].split(os.pathsep):
            for program in Path(place).iterdir() if Path(place).is_dir() else ():
                if program.name != "bwrap":
                    with contextlib.suppress(FileExistsError):
                        (folder / program.name).symlink_to(program)
    return str(folder)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("elsewhere")
    world = World(root)
    go = root / "go"
    try:
        world.up()
        # Its rules are in force from now on, so that what is only built is trusted with secrets.
        world.andon.ship(repository=str(world.repository), until="dev")
        (world.repository / "andon.yaml").write_text(PIPELINE % {"go": go})
        (world.repository / "README").write_text("hello\n")
        world.commit("a job for a machine with labels")
        world.andon.secrets_put("pipelines", "npm", value="hunter22-hunter22")
        yield world
    finally:
        go.touch()
        world.close()


@pytest.fixture(scope="module")
def root(world: World) -> Path:
    return world.repository.parent


@pytest.fixture(scope="module")
def token(world: World) -> str:
    return world.andon.tokens_make(name="gpu", grants=[{"role": "worker"}])["secret"]


@pytest.fixture(autouse=True)
def go(root: Path) -> Iterator[Path]:
    file = root / "go"
    file.unlink(missing_ok=True)
    yield file
    file.touch()


def ship(world: World) -> str:
    world.commit("again")
    change = world.andon.ship(repository=str(world.repository), until="@build")["change"]
    return str(world.until(lambda: _builds(world, change)))


def _builds(world: World, change: str) -> str:
    runs = list(world.andon.runs_list(change=change, type="build"))
    return runs[0]["name"] if runs else ""


def step(world: World, run: str) -> dict[str, Any]:
    return next(
        (one for one in world.andon.runs_show(run)["steps"] if one["name"] == "train"),
        {"state": "", "message": ""},
    )


def log(world: World, run: str) -> str:
    try:
        return world.andon.runs_log(run, step="train")["data"]
    except NotFound:
        return ""


def takes_nothing(world: World, name: str) -> dict[str, Any] | None:
    return next((one for one in world.andon.workers_list() if one["name"] == name), None)


def workers(world: World, *words: str) -> str:
    command = [sys.executable, "-m", "andon", "workers", *words, "--state", str(world.state)]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def test_job_waits_for_labels_then_runs_elsewhere_with_its_tree_secrets_and_log(
    world: World, root: Path, token: str, go: Path
) -> None:
    wrong = Elsewhere(world, root, "plain", token, "linux")
    world.until(lambda: takes_nothing(world, "plain"))
    run = ship(world)
    world.until(lambda: "waits for a worker with labels gpu" in step(world, run)["message"])
    why = world.andon.why(subject=world.andon.runs_show(run)["change"])
    assert "waits for a worker with labels gpu: none is there" in why["summary"]
    right = Elsewhere(world, root, "one", token, "gpu", "linux")
    world.until(lambda: "token ***" in log(world, run))
    assert takes_nothing(world, "one")["state"] == "busy"
    assert takes_nothing(world, "plain")["jobs"] == []
    assert step(world, run)["state"] == "running"
    go.touch()
    world.until(lambda: step(world, run)["state"] == "passed")
    assert log(world, run) == "hello\ntoken ***\ntrained\n"
    assert "hunter22" not in right.log
    world.until(lambda: not any((right.state / "work").iterdir()))
    wrong.close()
    right.close()


def test_what_runs_survives_the_control_plane_and_the_worker(
    world: World, root: Path, token: str, go: Path
) -> None:
    worker = Elsewhere(world, root, "two", token, "gpu")
    run = ship(world)
    world.until(lambda: "token ***" in log(world, run))
    port = int(world.url.rpartition(":")[2])
    world.kill()
    world.up(port)
    worker.kill()
    worker.start()
    go.touch()
    world.until(lambda: step(world, run)["state"] == "passed")
    assert log(world, run) == "hello\ntoken ***\ntrained\n", "once, without a gap"
    assert step(world, run)["attempt"] == 0
    worker.close()


def test_drained_worker_finishes_and_takes_nothing_new_until_it_resumes(
    world: World, root: Path, token: str, go: Path
) -> None:
    worker = Elsewhere(world, root, "three", token, "gpu")
    first = ship(world)
    world.until(lambda: step(world, first)["state"] == "running" and log(world, first))
    assert "three takes nothing new; " in workers(world, "drain", "three")
    assert json.loads(workers(world, "list", "--json"))[0]["atOnce"] == 1
    assert "draining" in workers(world, "list")
    second = ship(world)
    go.touch()
    world.until(lambda: step(world, first)["state"] == "passed")
    world.until(lambda: "takes nothing new" in step(world, second)["message"])
    world.until(lambda: takes_nothing(world, "three")["state"] == "drained")
    assert "three takes jobs again" in workers(world, "resume", "three")
    world.until(lambda: step(world, second)["state"] == "passed")
    worker.close()


def test_cancelled_run_ends_its_job_elsewhere(world: World, root: Path, token: str) -> None:
    worker = Elsewhere(world, root, "four", token, "gpu")
    run = ship(world)
    world.until(lambda: "token ***" in log(world, run))
    world.andon.runs_cancel(run, reason="not this one")
    world.until(lambda: step(world, run)["state"] == "cancelled")
    world.until(lambda: takes_nothing(world, "four")["state"] == "ready")
    worker.close()


def test_worker_may_answer_for_its_own_lease_and_nothing_else(
    world: World, token: str, go: Path
) -> None:
    andon = Andon(world.url, token=token)
    other = Andon(
        world.url,
        token=world.andon.tokens_make(name="other", grants=[{"role": "worker"}])["secret"],
    )
    run = ship(world)
    offer = world.until(lambda: _offer(andon, "by-hand"))
    job, lease = offer["job"], offer["lease"]
    for hand, number in ((andon, lease + 1), (andon, lease - 1), (other, lease)):
        for ask in (
            lambda one, n: one.work_beat(job, lease=n),
            lambda one, n: one.work_begin(job, lease=n),
            lambda one, n: one.work_log(job, b"forged", {}, lease=n),
            lambda one, n: one.work_end(
                job, lease=n, outcome='{"outcome":"JobDone","state":"passed"}'
            ),
        ):
            with pytest.raises(Fenced):
                ask(hand, number)
    for ask in (andon.status, andon.users_list, lambda: andon.secrets_list()):
        with pytest.raises(Denied):
            ask()
    with pytest.raises(Denied):
        world.andon.work_take(worker="mine")
    assert andon.work_begin(job, lease=lease)["secrets"] == {"TOKEN": "hunter22-hunter22"}
    done = '{"outcome":"JobDone","state":"passed","exitCode":0}'
    andon.work_end(job, lease=lease, outcome=done)
    andon.work_end(job, lease=lease, outcome=done)
    with pytest.raises(Fenced):
        andon.work_log(job, b"too late", {}, lease=lease)
    world.until(lambda: step(world, run)["state"] == "passed")


@pytest.mark.parametrize("name", ["../../etc/passwd", "x" * 9000, "job-none", "\U0001f9e8", " "])
def test_jobs_and_blobs_that_nobody_has_are_not_found(world: World, token: str, name: str) -> None:
    andon = Andon(world.url, token=token)
    for ask in (
        lambda: andon.work_beat(name, lease=1),
        lambda: andon.work_begin(name, lease=1),
        lambda: b"".join(andon.work_piece(name, name, lease=1)),
        lambda: andon.work_blob(name, name, b"x", {}, lease=1, size_bytes=1),
        lambda: andon.work_end(name, lease=1, outcome="no outcome"),
    ):
        with pytest.raises((NotFound, UsageError)):
            ask()


def _offer(andon: Andon, name: str) -> dict[str, Any] | None:
    offer = andon.work_take(worker=name, labels=["gpu"], wait_seconds=5)
    return offer if offer["job"] else None


def test_token_that_may_not_work_and_names_that_are_taken_are_said(
    world: World, root: Path, token: str
) -> None:
    viewer = world.andon.tokens_make(name="looks", grants=[{"role": "viewer"}])["secret"]
    refused = Elsewhere(world, root, "refused", viewer, "gpu")
    assert refused.process.wait(DEADLINE_SECONDS) == 6
    assert "service:looks may not work" in refused.log
    worker = Elsewhere(world, root, "mine", token)
    world.until(lambda: takes_nothing(world, "mine"))
    another = world.andon.tokens_make(name="rival", grants=[{"role": "worker"}])["secret"]
    rival = Elsewhere(world, root / "..", "mine", another)
    assert rival.process.wait(DEADLINE_SECONDS) == 5
    assert "the worker mine is service:gpu's" in rival.log
    worker.close()
