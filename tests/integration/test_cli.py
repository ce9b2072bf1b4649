"""``andon`` as a person calls it: real processes, a real control plane, no network beyond loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.cli.processes import start_ticks

PATIENCE_SECONDS = 90


def andon(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "andon", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        input=stdin,
        timeout=PATIENCE_SECONDS,
    )


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / ".git").mkdir()
    yield tmp_path
    andon(tmp_path, "down")


def start(folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "andon", "up", "--port", "0"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while andon(folder, "status").returncode != 0:
        assert process.poll() is None, (folder / "up.log").read_text()
        assert time.monotonic() < deadline, (folder / "up.log").read_text()
    return process


BROKEN = "apiVersion: andon/v1\nkind: Servce\nmetadata:\n  name: shop\nspec:\n  command: [run]\n"


def test_validate_shows_the_line_at_fault_and_exits_3(project: Path) -> None:
    (project / "andon.yaml").write_text(BROKEN)
    done = andon(project, "validate")
    assert done.returncode == 3
    assert "andon.yaml:2" in done.stdout
    assert "2 | kind: Servce" in done.stdout
    assert "Service" in done.stdout


def test_validate_reads_standard_input_and_answers_machines(project: Path) -> None:
    done = andon(project, "validate", "--json", "-", stdin=BROKEN)
    assert done.returncode == 3
    assert json.loads(done.stdout)["valid"] is False


def test_validate_without_a_file_names_init(project: Path) -> None:
    done = andon(project, "validate")
    assert done.returncode == 4
    assert "andon init" in done.stderr


def test_init_writes_what_validate_accepts(project: Path) -> None:
    assert andon(project, "init").returncode == 0
    assert andon(project, "validate").returncode == 0
    assert andon(project, "init").returncode == 5


def test_schema_is_json_and_completion_is_shell(project: Path) -> None:
    assert "$schema" in json.loads(andon(project, "schema").stdout)
    for shell in ("bash", "zsh", "fish"):
        assert "_ANDON_COMPLETE" in andon(project, "completion", shell).stdout


def test_doctor_finds_this_machine_fit(project: Path) -> None:
    done = andon(project, "doctor", "--json", "--port", "0")
    found = {one["check"]: one["level"] for one in json.loads(done.stdout)["findings"]}
    assert done.returncode == 0
    assert found["git"] == found["haproxy"] == "ok"
    assert found["agent"] == "warn"


def test_down_with_nothing_running_says_so(project: Path) -> None:
    done = andon(project, "down")
    assert done.returncode == 0
    assert "nothing is running" in done.stdout


def test_up_is_alone_and_down_ends_everything(project: Path) -> None:
    process = start(project)
    second = andon(project, "up", "--port", "0")
    assert second.returncode == 5
    assert str(process.pid) in second.stderr
    agent = json.loads(andon(project, "status", "--json").stdout)["agent"]["pid"]
    held = andon(project, "hold", "--environment", "prod", "-m", "freeze", "--for", "2h", "--json")
    name = json.loads(held.stdout)["name"]
    assert "freeze" in andon(project, "status").stdout
    assert andon(project, "lift", name, "-m", "over").returncode == 0
    assert andon(project, "ledger", "verify").returncode == 0
    assert andon(project, "why", "nothing-like-it").returncode == 4
    assert "nothing was shipped yet" in andon(project, "why").stderr
    assert andon(project, "down").returncode == 0
    assert process.wait(PATIENCE_SECONDS) == 0
    assert start_ticks(agent) == 0
    assert andon(project, "status").returncode == 7


def test_an_interrupted_control_plane_leaves_the_agent_and_says_so(project: Path) -> None:
    process = start(project)
    agent = json.loads(andon(project, "status", "--json").stdout)["agent"]["pid"]
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_SECONDS) == 0
    assert "services and gateway go on" in (project / "up.log").read_text()
    os.kill(agent, 0)


def test_a_reused_process_id_is_not_ended(project: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        (project / ".andon").mkdir()
        record = {"pid": other.pid, "startTicks": 1}
        (project / ".andon" / "control.json").write_text(json.dumps(record))
        assert "nothing is running" in andon(project, "down").stdout
        assert other.poll() is None
        other.kill()
