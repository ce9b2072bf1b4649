"""`andon run` where the machine lacks something: one clear message, and nothing is applied by half."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from local_world import PATIENCE_SECONDS, Here, steps, until

from andon.testing.disks import fill, small_disk


@pytest.fixture
def here(tmp_path):
    return Here(tmp_path)


def test_a_full_disk_is_said_before_anything_runs(here, tmp_path):
    here.write({"unit": {"run": here.mark("unit")}})
    with small_disk(tmp_path / "disk") as disk:
        here.state = disk / "state"
        ballast = fill(disk)
        code, events, complaint = here.run()
        assert (code, events) == (7, [])
        assert "No space left on device" in json.loads(complaint)["message"]
        assert here.count("unit") == 0
        ballast.unlink()
        assert here.run()[0] == 0


def test_a_disk_that_fills_up_is_said_once_and_the_run_goes_on_when_there_is_room(here, tmp_path):
    wait = f"{here.mark('first')}; until test -e {here.marks}/go; do sleep 0.02; done"
    here.write({"first": {"run": wait}, "then": {"run": here.mark("then"), "needs": ["first"]}})
    with small_disk(tmp_path / "disk") as disk:
        here.state = disk / "state"
        running = here.start("--no-sandbox", "--json")
        try:
            until(lambda: here.count("first"))
            ballast = fill(disk)
            (here.marks / "go").touch()
            assert running.stderr is not None
            assert "database or disk is full" in running.stderr.readline()
            assert here.count("then") == 0, "what has not been written down has not happened"
            ballast.unlink()
            said, complaint = running.communicate(timeout=PATIENCE_SECONDS)
        finally:
            running.kill()
            running.wait()
    events = [json.loads(line) for line in said.splitlines()]
    assert (running.returncode, steps(events)) == (0, {"first": "passed", "then": "passed"})
    assert (here.count("first"), here.count("then")) == (1, 1)
    assert "is full" not in complaint, "it is said once"


def test_a_machine_without_a_shell_is_said_before_anything_runs(here):
    here.write({"unit": {"run": here.mark("unit")}})
    hidden = 'mount --bind /dev/null /bin/sh && exec "$@"'
    command = [sys.executable, "-m", "andon", "run", "--json", "--state", str(here.state)]
    shell = shutil.which("bash") or pytest.skip("no second shell to hide the first one with")
    done = subprocess.run(
        ["unshare", "--mount", shell, "-c", hidden, "bash", *command],
        cwd=here.project, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no file system of its own here: {done.stderr.strip()}")
    assert (done.returncode, done.stdout) == (7, "")
    told = json.loads(done.stderr)
    assert (told["message"], told["hint"]) == (
        "there is no /bin/sh, which runs the jobs",
        "install a shell",
    )
    assert here.count("unit") == 0
    assert here.run()[0] == 0
