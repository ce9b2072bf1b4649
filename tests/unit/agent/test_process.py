"""The supervision pieces by themselves, also as they work where the machine offers nothing."""

import asyncio
import socket

import pytest

from andon.adapters.process import cgroups, procfs, sandbox
from andon.adapters.process.cgroups import Cgroups
from andon.adapters.process.files import read_all, read_json, safe_name, write_json
from andon.adapters.process.jobs import JobRunner
from andon.adapters.process.layout import Layout
from andon.adapters.process.logs import last_lines, read_chunk, rotate
from andon.adapters.process.ports import choose, is_free
from andon.adapters.process.spawn import Group
from andon.adapters.process.verdicts import Ended, judge
from andon.api.v1.actions import Intent, RunJob
from andon.api.v1.definitions import Resources
from andon.api.v1.jobs import JobPlan
from andon.kernel.errors import Unavailable
from andon.testing.clock import FakeClock


@pytest.fixture
async def bare(tmp_path):
    """A job runner without bubblewrap and without cgroups."""
    layout = Layout(tmp_path)
    layout.make()
    runner = JobRunner(
        layout, FakeClock(), Cgroups({}, ()), sandboxed=False, port_of=lambda *_: 4000
    )
    await runner.open()
    yield runner
    await runner.close()


async def run(runner, tmp_path, script, **facts):
    (tmp_path / "work" / "k_0").mkdir(parents=True, exist_ok=True)
    action = RunJob(
        run="r", repository="shop", sha="f" * 40, job=JobPlan(name="unit", run=script), **facts
    )
    return await runner.run_job(action, Intent(key="k/0", epoch=1))


async def test_without_cgroups_a_job_still_leaves_no_orphan(bare, tmp_path):
    script = "sleep 300 & setsid sleep 300 & echo done"
    assert (await run(bare, tmp_path, script)).state == "passed"
    assert procfs.marked(str(tmp_path / "agent" / "jobs" / "k_0.json")) == set()


async def test_job_gets_the_gateways_addresses_and_no_secret_of_the_agent(
    bare, tmp_path, monkeypatch
):
    monkeypatch.setenv("ANDON_TEST_SECRET", "x")
    script = (
        'test "$ANDON_URL_ORDER_BOOK" = http://127.0.0.1:4000; test -z "${ANDON_TEST_SECRET+x}"'
    )
    done = await run(bare, tmp_path, script, environment="prod", needs=("order-book",))
    assert done.state == "passed", done.message


async def test_jobs_own_temporary_folder_is_gone_afterwards(bare, tmp_path):
    assert (await run(bare, tmp_path, 'touch "$TMPDIR/x" "$HOME/y"')).state == "passed"
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["k_0"]


async def test_job_that_cannot_be_written_down_is_not_started(bare, tmp_path):
    (tmp_path / "agent" / "jobs" / "k_0.json.tmp").mkdir()
    with pytest.raises(Unavailable, match="cannot write"):
        await run(bare, tmp_path, "touch started")
    assert not (tmp_path / "work" / "k_0" / "started").exists()


async def test_closed_runner_interrupts_its_jobs_by_the_machines_fault(bare, tmp_path):
    running = asyncio.create_task(run(bare, tmp_path, "sleep 300"))
    await asyncio.sleep(0)
    while not bare.running():
        await asyncio.sleep(0)
    await bare.close()
    done = await running
    assert (done.state, done.fault) == ("interrupted", "machine")


def verdict(tmp_path, log="", **ended):
    (tmp_path / "log").write_text(log)
    facts = Ended(**{"seconds": 1, **ended})
    return judge(facts, log="log", log_file=tmp_path / "log", work_tree=tmp_path)


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ("sh: 1: pytst: not found\n", "command not found: pytst"),
        ("/bin/sh: line 3: pytst: command not found\n", "command not found: pytst"),
        ("nothing said\n", "a command was not found"),
    ],
)
def test_missing_command_is_read_from_what_shells_say(tmp_path, log, message):
    assert verdict(tmp_path, log, exit_code=127).message.startswith(message)


def test_full_disk_is_the_machines_fault(tmp_path):
    done = verdict(tmp_path, "cp: x: No space left on device\n", exit_code=1)
    assert (done.state, done.fault) == ("interrupted", "machine")


def test_sandbox_that_cannot_be_made_is_the_machines_fault(tmp_path):
    done = verdict(tmp_path, "bwrap: Can't find source path\n", exit_code=1)
    assert (done.state, done.fault) == ("interrupted", "machine")


def test_end_that_nobody_saw_is_the_machines_fault(tmp_path):
    assert verdict(tmp_path, exit_code=None).state == "interrupted"


def test_message_stays_short_however_long_the_log(tmp_path):
    message = verdict(tmp_path, "ü" * 100_000, exit_code=1).message
    assert len(message.encode()) <= 2000
    assert message.startswith("exit code 1\n")


def test_json_is_replaced_whole_or_not_at_all(tmp_path):
    file = tmp_path / "a.json"
    write_json(file, Resources(cpu=1))
    (tmp_path / "a.json.tmp").mkdir()
    with pytest.raises(Unavailable, match="cannot write"):
        write_json(file, Resources(cpu=2))
    assert read_json(file, Resources) == Resources(cpu=1)


def test_torn_and_foreign_files_are_not_read(tmp_path):
    (tmp_path / "a.json").write_text('{"cpu":')
    (tmp_path / "b.json").write_text('{"port": 3}')
    write_json(tmp_path / "c.json", Resources(processes=3))
    assert read_all(tmp_path, Resources) == [Resources(processes=3)]


@pytest.mark.parametrize("key", ["../../etc", "a b/c", "", "..", "é"])
def test_safe_names_stay_in_their_folder(key):
    assert "/" not in safe_name(key)
    assert safe_name(key) not in ("", ".", "..")


def test_log_is_read_on_from_an_offset_and_anew_after_rotation(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"0123456789")
    assert read_chunk(log, 4, 3) == (b"456", 7)
    rotate(log, limit_bytes=5)
    assert (tmp_path / "log.1").read_bytes() == b"0123456789"
    log.write_bytes(b"new")
    assert read_chunk(log, 10, 100) == (b"new", 3)
    assert last_lines(tmp_path / "absent") == ""


def test_chosen_port_is_free_and_nobody_elses():
    first = choose("shop", set())
    assert choose("shop", {first}) != first
    with socket.create_server(("127.0.0.1", first)):
        assert not is_free(first)
        assert choose("shop", set()) != first


def test_cgroup_mounts_and_own_paths_are_told_apart():
    mounts = (
        "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
        "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n"
        "cgroup /sys/fs/cgroup/freezer cgroup rw,freezer 0 0\n"
    )
    assert cgroups._mounts(mounts) == {
        "unified": "/sys/fs/cgroup/unified",
        "cpu": "/sys/fs/cgroup/cpu,cpuacct",
    }
    assert cgroups._own_paths("3:cpu,cpuacct:/a\n0::/b\n") == {
        "cpu": "/a",
        "cpuacct": "/a",
        "unified": "/b",
    }


def test_sandbox_binds_prefixes_of_tools_but_never_a_home(tmp_path, monkeypatch):
    for folder in ("venv/bin", "home/bin", "scripts"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = ":".join(f"{tmp_path}/{f}" for f in ("venv/bin", "home/bin", "scripts", "none"))
    expected = [f"{tmp_path}/{f}" for f in ("home/bin", "scripts", "venv")]
    assert sandbox.tools(f"{path}:/usr/bin:/bin") == expected


def test_sandbox_binds_no_folder_twice_and_finds_new_ones(tmp_path):
    path = f"{tmp_path}/tools/bin:{tmp_path}/tools/more/shims"
    assert sandbox.tools(path) == []
    (tmp_path / "tools/more/shims").mkdir(parents=True)
    assert sandbox.tools(path) == [f"{tmp_path}/tools/more/shims"]
    (tmp_path / "tools/bin").mkdir()
    assert sandbox.tools(path) == [f"{tmp_path}/tools"]


async def test_group_without_members_is_quickly_ended(tmp_path):
    group = Group(marker=str(tmp_path))
    await group.stop(60)
    assert group.find_leader() is None
