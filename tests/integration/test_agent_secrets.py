"""Secrets on a host, with real processes: they reach who names them, and nothing that is kept or listed."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
from agent_world import (
    DEADLINE_SECONDS,
    AgentProcess,
    job_action,
    until,
    until_job_runs,
    until_seen,
)
from msgspec import structs

from andon.adapters.agentclient import ensure_agent
from andon.adapters.process import procfs
from andon.adapters.process.logs import rotate
from andon.api.v1.actions import CancelJob, Intent, RetireReplicas
from andon.api.v1.jobs import PIPELINES, SecretRef
from andon.kernel.errors import InvalidDocument, StepFailed
from andon.kernel.escapes import views
from andon.kernel.masking import patterns
from andon.testing.target_suite import SERVER, deployment, get

PASSWORD = "pä$$ 'w\"ö/rd+x\\y&z"
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w\nAgEAAoIBAQC7VJTUt9Us\n-----END KEY-----\n"
SECRETS = {"PASSWORD": PASSWORD, "KEY": KEY}
REFS = {name: SecretRef(name=name.lower(), environment=PIPELINES) for name in SECRETS}

TELL = """
import base64, json, os, sys
from urllib.parse import quote

for name in ("PASSWORD", "KEY"):
    value = os.environ[name]
    data = value.encode()
    print("raw", value)
    print("json", json.dumps(value), json.dumps({"nested": json.dumps(value)}))
    print("url", quote(value), quote(value, safe=""))
    print("base64", base64.b64encode(data).decode(), base64.b64encode(b"user:" + data).decode())
    print("wrapped", base64.encodebytes(data).decode())
    print("stderr", value, file=sys.stderr)
    for part in (data[: len(data) // 2], data[len(data) // 2 :]):
        sys.stdout.flush()
        os.write(1, part)
print("told all")
"""
FROM_A_FILE = f"cat >tell.py <<'END'\n{TELL}\nEND\npython3 tell.py"


@pytest.fixture
async def agent(tmp_path):
    running = AgentProcess(tmp_path / "state")
    running.start()
    yield running
    await running.end()


@pytest.fixture
def shop(agent):
    """A service that tells its secrets when it starts, and to whoever asks."""
    digest = "sha256:" + "a" * 64
    agent.provide(digest, {"server.py": f"{TELL}\nsys.stdout.flush()\n{SERVER}"})
    return deployment(digest, secrets=REFS)


async def run(agent, script, key="r1/1/unit/0", secrets=SECRETS, **job):
    agent.work_tree(key)
    action = job_action(script, secrets={name: REFS[name] for name in secrets}, **job)
    return await agent.client.run_job(action, Intent(key=key, epoch=1), secrets)


def found_in(data: bytes) -> list[bytes]:
    """Return what of the secrets somebody can read there, in any spelling."""
    wanted = {pattern for secret in SECRETS.values() for pattern in patterns(secret)}
    return [pattern for view in views(data) for pattern in wanted if pattern in view.text]


def files_with_secrets(agent) -> list[Path]:
    """Return every file of the state folder that has a secret in it."""
    files = (Path(place, name) for place, _, names in os.walk(agent.state) for name in names)
    return [path for path in files if found_in(content(path))]


def content(path: Path) -> bytes:
    """Return what a file holds, if it is one that is still there: the agent goes on meanwhile."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except FileNotFoundError:
        return b""


def command_lines() -> bytes:
    """Return what any process was started with, and may be seen by any user."""
    lines = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            lines.append(Path("/proc", name, "cmdline").read_bytes())
        except OSError:
            pass
    return b"\n".join(lines)


def masker_of(agent) -> int:
    (masker,) = (pid for pid in agent.owned() if is_masker(pid))
    return masker


def is_masker(pid: int) -> bool:
    try:
        return b"andon.adapters.process.masker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_what_these_tests_look_for_would_be_found():
    for text in (PASSWORD, json.dumps([PASSWORD]), quote(PASSWORD), KEY.splitlines()[1]):
        assert found_in(b"x " + text.encode())
    assert not found_in(b"nothing of it")


# --- jobs -----------------------------------------------------------------------------------------


async def test_job_that_tells_its_secrets_tells_nobody(agent):
    done = await run(agent, f"{FROM_A_FILE}; echo 'last words:' \"$PASSWORD\" >&2; exit 3")
    log = (await agent.client.tail_log(done.log)).data
    assert b"told all\n" in log
    assert log.count(b"***") >= 14
    assert (done.state, done.exit_code) == ("failed", 3)
    assert done.message.startswith("exit code 3\n")
    assert done.message.endswith("last words: ***")
    assert not found_in(msgspec.json.encode(done) + log)
    assert files_with_secrets(agent) == []


async def test_job_sees_only_what_it_names(agent):
    script = 'test -z "${KEY+x}"; test -n "$PASSWORD"'
    done = await run(agent, script, secrets={"PASSWORD": PASSWORD})
    assert done.state == "passed", done.message
    plain = await agent.run('test -z "${PASSWORD+x}${KEY+x}"', key="r1/1/plain/0")
    assert plain.state == "passed"


async def test_secret_is_in_no_command_line_and_its_processes_leave_no_dump(agent):
    # Only what the shell itself can do: no process comes or goes while they are looked at.
    going = asyncio.create_task(run(agent, "mkfifo go; : >here; read -r line <go"))
    folder = agent.work_tree("r1/1/unit/0")
    await until((folder / "here").exists)
    assert not found_in(command_lines())
    members = agent.owned()
    assert any(PASSWORD.encode() in environment(pid) for pid in members)
    assert PASSWORD.encode() not in environment(masker_of(agent))
    await until(
        lambda: {resource.prlimit(pid, resource.RLIMIT_CORE) for pid in members} == {(1, 1)}
    )
    await asyncio.to_thread((folder / "go").write_text, "on\n")
    assert (await going).state == "passed"


def environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


async def test_job_without_secrets_has_no_masker(agent):
    going = asyncio.create_task(agent.run("until test -e go; do sleep 0.02; done"))
    await until_job_runs(agent)
    assert not any(map(is_masker, agent.owned()))
    (agent.work_tree("r1/1/unit/0") / "go").touch()
    assert (await going).state == "passed"


async def test_all_that_a_job_said_is_in_its_log_when_it_is_over(agent):
    lines = "i=0; while test $i -lt 5000; do echo line $i; i=$((i+1)); done"
    done = await run(agent, f"{lines}; setsid sleep 300 & exit 0")
    chunk = await agent.client.tail_log(done.log, max_bytes=1 << 20)
    assert done.state == "passed"
    assert chunk.data.splitlines() == [b"line %d" % i for i in range(5000)]
    assert agent.owned() == set()


async def test_log_of_a_running_job_is_live(agent):
    going = asyncio.create_task(
        run(agent, 'echo "to $PASSWORD"; until test -e go; do sleep 0.02; done')
    )
    await until_job_runs(agent)
    (job,) = (await agent.client.status()).jobs
    log = agent.state / "logs" / job.log
    await until(lambda: log.exists() and log.read_bytes() == b"to ***\n")
    (agent.work_tree("r1/1/unit/0") / "go").touch()
    await going


async def test_cancelled_job_leaves_neither_process_nor_masker(agent):
    going = asyncio.create_task(run(agent, "trap '' TERM; echo begun; sleep 300"))
    await until_job_runs(agent)
    await agent.client.cancel_job(CancelJob(job_key="r1/1/unit/0"), Intent(key="c", epoch=1))
    assert (await going).state == "cancelled"
    assert agent.owned() == set()


async def test_job_outlives_a_killed_agent_still_masked(agent):
    waiting = 'until test -e go; do sleep 0.02; done; echo "then $PASSWORD"; exit 4'
    going = asyncio.create_task(run(agent, waiting))
    await until_job_runs(agent)
    agent.kill()
    agent.start()
    (agent.work_tree("r1/1/unit/0") / "go").touch()
    done = await going
    assert (done.state, done.exit_code, done.message) == ("failed", 4, "exit code 4\nthen ***")
    assert files_with_secrets(agent) == []


async def test_job_whose_masker_dies_says_nothing_more_and_ends_by_the_machines_fault(agent):
    going = asyncio.create_task(
        run(agent, 'trap "" PIPE; while true; do echo "$PASSWORD"; sleep 0.02; done')
    )
    await until_job_runs(agent)
    os.kill(masker_of(agent), signal.SIGKILL)
    done = await going
    assert (done.state, done.fault) == ("interrupted", "machine")
    assert files_with_secrets(agent) == []
    assert agent.owned() == set()


async def test_job_whose_masker_dies_under_the_next_agent_ends_too(agent):
    going = asyncio.create_task(
        run(agent, 'trap "" PIPE; while true; do echo "$PASSWORD"; sleep 0.02; done')
    )
    await until_job_runs(agent)
    agent.kill()
    agent.start()
    os.kill(masker_of(agent), signal.SIGKILL)
    assert ((await going).state, (await going).fault) == ("interrupted", "machine")
    assert files_with_secrets(agent) == []


@pytest.mark.parametrize("restarted", [False, True])
async def test_job_that_fails_as_nobody_hears_it_does_not_fail_by_the_change(agent, restarted):
    """A shell that cannot print ends by itself, before anybody could end it."""
    going = asyncio.create_task(run(agent, 'trap "" PIPE; : >here; read -r line <go; echo "$line"'))
    folder = agent.work_tree("r1/1/unit/0")
    os.mkfifo(folder / "go")
    await until((folder / "here").exists)
    shells = agent.owned() - {masker_of(agent)}
    if restarted:
        agent.kill()
    else:
        agent.process.send_signal(signal.SIGSTOP)
    os.kill(masker_of(agent), signal.SIGKILL)
    await until(lambda: not any(map(is_masker, agent.owned())))
    await asyncio.to_thread((folder / "go").write_text, "on\n")
    await until(lambda: not shells & agent.owned())
    if restarted:
        agent.start()
    else:
        agent.process.send_signal(signal.SIGCONT)
    done = await going
    assert (done.state, done.fault) == ("interrupted", "machine")
    assert "masker" in done.message


async def test_agent_and_masker_run_no_code_of_the_folder_they_are_started_in(
    tmp_path, monkeypatch
):
    (tmp_path / "json.py").write_text("raise SystemExit('code of a stranger')")
    monkeypatch.chdir(tmp_path)
    agent = AgentProcess(tmp_path / "state")
    await asyncio.to_thread(ensure_agent, agent.state)
    done = await run(agent, 'echo "$PASSWORD"; exit 3')
    assert done.message == "exit code 3\n***"
    await agent.client.shutdown()
    await agent.client.close()


async def test_secrets_that_cannot_be_given_are_named_and_not_shown(agent):
    with pytest.raises(InvalidDocument, match="no value came with the secrets KEY") as missing:
        await agent.client.run_job(
            job_action("true", secrets=REFS), Intent(key="k", epoch=1), {"PASSWORD": PASSWORD}
        )
    with pytest.raises(StepFailed, match="secrets PASSWORD contain a null byte") as broken:
        await run(agent, "true", secrets={"PASSWORD": PASSWORD + "\0"})
    assert not found_in(f"{missing.value} {broken.value}".encode())
    assert agent.owned() == set()


# --- replicas -------------------------------------------------------------------------------------


async def test_replica_that_tells_its_secrets_tells_nobody(agent, shop):
    ready = await agent.client.deploy_replicas(shop, Intent(key="d", epoch=1), SECRETS)
    assert await get(ready.endpoints[0], "/PASSWORD") == PASSWORD
    (row,) = (await agent.client.status()).replicas
    log = agent.state / "logs" / row.log
    await until(lambda: b"told all" in log.read_bytes())
    assert log.read_bytes().count(b"***") >= 14
    assert files_with_secrets(agent) == []
    assert not found_in(command_lines())
    assert (agent.state / "agent" / "key").stat().st_mode & 0o777 == 0o600
    retire = RetireReplicas(environment="prod", service="shop", version=shop.version)
    await agent.client.retire_replicas(retire, Intent(key="e", epoch=1))
    assert agent.owned() == set()


async def test_replica_comes_back_with_its_secrets_after_its_agent_was_killed(agent, shop):
    ready = await agent.client.deploy_replicas(shop, Intent(key="d", epoch=1), SECRETS)
    agent.kill()
    (leader,) = (pid for pid in agent.owned() if not is_masker(pid))
    os.kill(leader, signal.SIGKILL)
    await until(lambda: not agent.owned())
    agent.start()
    await until_seen(agent, shop, ready=1)
    assert await get(ready.endpoints[0], "/KEY") == KEY
    assert files_with_secrets(agent) == []


async def test_replica_that_runs_on_is_masked_under_the_next_agent(agent, shop):
    ready = await agent.client.deploy_replicas(shop, Intent(key="d", epoch=1), SECRETS)
    before = agent.owned()
    agent.kill()
    agent.start()
    await until_seen(agent, shop, ready=1)
    assert agent.owned() == before
    await get(ready.endpoints[0], "/crash")
    await until_seen(agent, shop, ready=1, restarts=1)
    assert await get(ready.endpoints[0], "/PASSWORD") == PASSWORD
    assert sum(map(is_masker, agent.owned())) == 1
    assert files_with_secrets(agent) == []


async def test_replica_whose_masker_dies_is_started_again_with_another(agent, shop):
    ready = await agent.client.deploy_replicas(shop, Intent(key="d", epoch=1), SECRETS)
    os.kill(masker_of(agent), signal.SIGKILL)
    await until_seen(agent, shop, ready=1, restarts=1)
    assert await get(ready.endpoints[0], "/PASSWORD") == PASSWORD
    assert procfs.identify(masker_of(agent))


async def test_log_that_grew_too_long_is_emptied_under_its_masker(agent, shop):
    loud = "import os, time\nwhile True:\n print(os.environ['PASSWORD'] * 1000)\n time.sleep(.02)"
    told = structs.replace(shop, command=(sys.executable, "-c", loud))
    deploying = asyncio.create_task(
        agent.client.deploy_replicas(told, Intent(key="d", epoch=1), SECRETS)
    )
    await until_seen(agent, told, wanted=1)
    log = next((agent.state / "logs" / "services").iterdir())
    await until(lambda: log.stat().st_size > 10_000)
    rotate(log, limit_bytes=10_000)
    await until(lambda: 0 < log.stat().st_size < 10_000 or log.read_bytes()[:1] == b"*")
    assert set(log.read_bytes()) <= set(b"*\n")
    retire = RetireReplicas(environment="prod", service="shop", version=shop.version)
    await agent.client.retire_replicas(retire, Intent(key="e", epoch=1))
    await asyncio.gather(deploying, return_exceptions=True)


async def test_replica_whose_key_is_lost_waits_and_says_so_until_it_is_deployed_again(agent, shop):
    ready = await agent.client.deploy_replicas(shop, Intent(key="d", epoch=1), SECRETS)
    agent.kill()
    (agent.state / "agent" / "key").unlink()
    agent.start()
    assert await get(ready.endpoints[0], "/PASSWORD") == PASSWORD
    await get(ready.endpoints[0], "/crash")
    async with asyncio.timeout(DEADLINE_SECONDS):
        while "cannot be opened" not in (await until_seen(agent, shop, wanted=1)).message:
            await asyncio.sleep(0.02)
    await agent.client.deploy_replicas(shop, Intent(key="e", epoch=1), SECRETS)
    assert await get(ready.endpoints[0], "/PASSWORD") == PASSWORD


async def test_failed_start_tells_its_last_words_masked(agent, shop):
    loud = structs.replace(
        shop, command=(sys.executable, "-c", "import os; raise SystemExit(os.environ['PASSWORD'])")
    )
    with pytest.raises(StepFailed, match=r"exited with code 1\n\*\*\*") as failed:
        await agent.client.deploy_replicas(loud, Intent(key="d", epoch=1), SECRETS)
    assert not found_in(str(failed.value).encode())
