"""What the agent keeps of secrets, and what becomes of it when something goes wrong."""

import json
import os
import signal
import subprocess
import sys

import pytest

from andon.adapters.agentclient import wire
from andon.adapters.process import masked, procfs
from andon.adapters.process.cgroups import Cgroups
from andon.adapters.process.jobs import JobRunner
from andon.adapters.process.layout import Layout
from andon.adapters.process.masked import expect_values
from andon.adapters.process.vault import Vault
from andon.api.v1.actions import Intent, RunJob
from andon.api.v1.jobs import PIPELINES, JobPlan, SecretRef
from andon.kernel.errors import InvalidDocument, StepFailed, Unavailable
from andon.testing.clock import FakeClock

VALUES = {"PASSWORD": "hunter22hunter22"}


def test_vault_opens_what_it_sealed_for_a_subject_and_for_no_other(tmp_path):
    sealed = Vault(tmp_path / "key").seal("prod.shop.1", VALUES)
    assert b"hunter" not in sealed
    assert Vault(tmp_path / "key").unseal("prod.shop.1", sealed) == VALUES
    with pytest.raises(Unavailable, match=r"secrets of prod\.shop\.2 cannot be opened"):
        Vault(tmp_path / "key").unseal("prod.shop.2", sealed)


def test_vault_seals_the_same_differently_each_time(tmp_path):
    vault = Vault(tmp_path / "key")
    assert vault.seal("s", VALUES) != vault.seal("s", VALUES)


@pytest.mark.parametrize("damage", [lambda d: d[:-1], lambda d: d[:5], lambda d: b"\0" + d[1:]])
def test_damaged_values_are_refused(tmp_path, damage):
    vault = Vault(tmp_path / "key")
    with pytest.raises(Unavailable, match="cannot be opened"):
        vault.unseal("s", damage(vault.seal("s", VALUES)))


def test_key_is_for_its_user_only_and_a_damaged_one_is_named(tmp_path):
    vault = Vault(tmp_path / "key")
    vault.seal("s", VALUES)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(Unavailable, match="key is damaged"):
        vault.seal("s", VALUES)


def test_key_that_cannot_be_made_is_the_machines_trouble(tmp_path):
    with pytest.raises(Unavailable, match="cannot write"):
        Vault(tmp_path / "gone" / "key").seal("s", VALUES)


def test_call_does_not_show_its_secrets():
    assert "hunter" not in repr(wire.Request(id=1, method="run_job", secrets=VALUES))


def test_missing_and_impossible_values_are_named():
    expect_values(["PASSWORD"], VALUES)
    with pytest.raises(InvalidDocument, match="secrets TOKEN"):
        expect_values(["PASSWORD", "TOKEN"], VALUES)
    with pytest.raises(StepFailed, match="secrets PASSWORD contain a null byte"):
        expect_values(["PASSWORD"], {"PASSWORD": "a\0b"})


def test_agent_with_secrets_is_never_dumped():
    code = (
        "import ctypes; from andon.adapters.process import dumps; dumps.keep_mine();"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert said.stdout == b"0\n"


def mask(values: bytes, printed: bytes) -> subprocess.CompletedProcess[bytes]:
    with os.fdopen(os.memfd_create("values"), "wb") as file:
        file.write(values)
        file.flush()
        file.seek(0)
        return subprocess.run(
            [sys.executable, "-m", "andon.adapters.process.masker", str(file.fileno())],
            input=printed,
            capture_output=True,
            pass_fds=[file.fileno()],
            check=False,
        )


def test_masker_copies_what_it_masked():
    said = mask(json.dumps(["hunter22"]).encode(), b"it is hunter22 or hunt")
    assert (said.stdout, said.returncode) == (b"it is *** or hunt", 0)


def test_masker_that_cannot_read_its_secrets_lets_nothing_through():
    said = mask(b"[garbage", b"it is hunter22")
    assert (said.stdout, said.returncode) == (b"", 1)


@pytest.fixture
async def bare(tmp_path):
    """A job runner on a machine without bubblewrap and without cgroups."""
    layout = Layout(tmp_path)
    layout.make()
    (tmp_path / "work" / "k_0").mkdir(parents=True)
    groups = Cgroups({}, ())
    runner = JobRunner(layout, FakeClock(), groups, sandboxed=False, port_of=lambda *_: 4000)
    await runner.open()
    yield runner
    await runner.close()


async def run(runner, script):
    refs = {"PASSWORD": SecretRef(name="password", environment=PIPELINES)}
    job = JobPlan(name="unit", run=script, secrets=refs)
    action = RunJob(run="r", repository="shop", sha="f" * 40, job=job)
    return await runner.run_job(action, Intent(key="k/0", epoch=1), VALUES)


async def test_without_cgroups_a_masked_job_still_leaves_nothing(bare, tmp_path):
    done = await run(bare, "echo it is $PASSWORD; sleep 300 & setsid sleep 300 & exit 3")
    assert done.message == "exit code 3\nit is ***"
    marker = str(tmp_path / "agent" / "jobs" / "k_0.json")
    assert procfs.marked(marker) | procfs.marked(f"{marker}.masker") == set()


async def test_masker_does_not_wait_for_ever_for_a_process_that_got_away(
    bare, tmp_path, monkeypatch
):
    monkeypatch.setattr(masked, "_DRAIN_SECONDS", 2.0)
    away = "env -i setsid sh -c 'echo $$ >away; exec sleep 300' & until test -s away; do :; done"
    done = await run(bare, f"echo it is $PASSWORD; {away}; exit 3")
    os.kill(int((tmp_path / "work" / "k_0" / "away").read_text()), signal.SIGKILL)
    assert done.message == "exit code 3\nit is ***"
    assert procfs.marked(f"{tmp_path}/agent/jobs/k_0.json.masker") == set()
