"""The host agent as a real process: jobs, replicas, kills, fences. Nothing may outlive a test."""

from __future__ import annotations

import asyncio
import resource
import socket
import subprocess
import sys
from pathlib import Path

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

from andon.adapters.agentclient import AgentClient, ensure_agent
from andon.adapters.agentclient.daemon import answers
from andon.adapters.process.ports import is_free
from andon.api.v1.actions import (
    CancelJob,
    Intent,
    RetireReplicas,
)
from andon.api.v1.definitions import Health, Resources
from andon.api.v1.jobs import BesidePlan, StepPlan
from andon.kernel.errors import Conflict, Fenced, NotFound, StepFailed, Unavailable
from andon.runtime.system import SystemClock
from andon.testing.target_suite import SERVER, TargetSuite, deployment, get


@pytest.fixture
async def agent(tmp_path):
    running = AgentProcess(tmp_path / "state")
    running.start()
    yield running
    await running.end()


@pytest.fixture
def shop(agent):
    digest = "sha256:" + "a" * 64
    agent.provide(digest, {"server.py": SERVER})
    return deployment(digest)


class TestAgentAsTarget(TargetSuite):
    def provide(self, folder, digest, files):
        AgentProcess(folder / "state").provide(digest, files)

    @pytest.fixture
    def target(self, agent):
        return agent.client


# --- jobs ---------------------------------------------------------------------------------------


async def test_passing_job_sees_its_facts_and_its_log_can_be_read(agent):
    done = await agent.run('echo "$ANDON_JOB of $ANDON_RUN in $(pwd)"; echo x >made; test "$CI"')
    assert (done.state, done.exit_code, done.fault) == ("passed", 0, None)
    chunk = await agent.client.tail_log(done.log)
    assert chunk.data.decode() == f"unit of r1 in {agent.work_tree('r1/1/unit/0')}\n"
    assert (chunk.ended, chunk.next_offset) == (True, len(chunk.data))
    assert (agent.work_tree("r1/1/unit/0") / "made").exists()


async def test_failing_job_says_its_last_words(agent):
    done = await agent.run("echo first; echo 'assert 1 == 2'; exit 3")
    assert (done.state, done.fault, done.exit_code) == ("failed", "change", 3)
    assert done.message == "exit code 3\nfirst\nassert 1 == 2"


async def test_missing_command_is_named(agent):
    done = await agent.run("no-such-tool --version")
    assert (done.state, done.fault, done.exit_code) == ("failed", "change", 127)
    assert done.message.startswith("command not found: no-such-tool\n")


async def test_job_out_of_time_is_ended_with_all_its_children(agent):
    done = await agent.run(
        "sleep 300 & setsid sleep 300 & trap '' TERM; sleep 300", timeout_seconds=1
    )
    assert (done.state, done.fault) == ("failed", "change")
    assert done.message.startswith("not done within 1 s")
    assert agent.owned() == set()


async def test_job_leaves_no_orphan(agent):
    done = await agent.run("setsid sleep 300 & nohup sleep 300 >/dev/null & exit 0")
    assert done.state == "passed"
    assert agent.owned() == set()


async def test_job_killed_by_a_signal_says_so(agent):
    done = await agent.run("kill -SEGV $$")
    assert (done.state, done.message.splitlines()[0]) == ("failed", "killed by SIGSEGV")


async def test_missing_work_tree_is_the_machines_trouble(agent):
    with pytest.raises(Unavailable, match="work tree deleted"):
        await agent.client.run_job(job_action("true"), Intent(key="r1/1/gone/0", epoch=1))


async def test_work_tree_deleted_while_the_job_runs_is_the_machines_fault(agent):
    folder = agent.work_tree("r1/1/unit/0")
    (folder / "still-here").touch()
    running = asyncio.create_task(
        agent.run("while test -e still-here; do sleep 0.02; done; exit 1")
    )
    await until_job_runs(agent)
    folder.rename(agent.state / "away")
    (agent.state / "away" / "still-here").unlink()
    done = await running
    assert (done.state, done.fault) == ("interrupted", "machine")
    assert done.message.startswith("work tree deleted while the job ran")


async def test_same_key_finds_the_ended_job(agent):
    first = await agent.run("echo once >>runs")
    assert await agent.run("echo once >>runs") == first
    assert (agent.work_tree("r1/1/unit/0") / "runs").read_text() == "once\n"


async def test_cancelled_job_ends_and_a_job_cancelled_early_never_starts(agent):
    running = asyncio.create_task(agent.run("sleep 300"))
    await until_job_runs(agent)
    await agent.client.cancel_job(CancelJob(job_key="r1/1/unit/0"), Intent(key="c", epoch=1))
    assert (await running).state == "cancelled"
    await agent.client.cancel_job(CancelJob(job_key="r1/1/late/0"), Intent(key="d", epoch=1))
    assert (await agent.run("touch started", key="r1/1/late/0")).state == "cancelled"
    assert not (agent.work_tree("r1/1/late/0") / "started").exists()


async def test_sandboxed_job_has_no_network_and_sees_no_home(agent):
    if not (await agent.client.hello()).capabilities.bubblewrap:
        pytest.skip("bubblewrap does not work on this machine")
    done = await agent.run(
        f"test ! -e {agent.state}/agent; test $(grep -c : /proc/net/dev) = 1; ! touch /usr/x"
    )
    assert done.state == "passed", done.message


async def test_job_with_network_reaches_the_loopback(agent, shop):
    ready = await agent.client.deploy_replicas(shop, Intent(key="d", epoch=1))
    fetch = "import urllib.request as u; print(u.urlopen('http://{}/THEME').read().decode())"
    done = await agent.run(f'python3 -c "{fetch.format(ready.endpoints[0])}"', network=True)
    assert done.state == "passed", done.message
    assert (await agent.client.tail_log(done.log)).data == b"dark\n"


# --- the agent is killed --------------------------------------------------------------------------


async def test_job_outlives_a_killed_agent_and_is_taken_up_again(agent):
    running = asyncio.create_task(agent.run("until test -e go; do sleep 0.02; done; exit 4"))
    await until_job_runs(agent)
    agent.kill()
    agent.start()
    (job,) = (await agent.client.status()).jobs
    assert job.key == "r1/1/unit/0"
    (agent.work_tree("r1/1/unit/0") / "go").touch()
    assert ((await running).state, (await running).exit_code) == ("failed", 4)


async def test_steps_and_services_of_a_job_outlive_a_killed_agent(agent):
    steps = (
        StepPlan(name="wait", run="until test -e go; do sleep 0.02; done"),
        StepPlan(name="fail", run="exit 4"),
    )
    beside = BesidePlan(name="db", run="sleep 300", ready_command="true")
    running = asyncio.create_task(agent.run("", steps=steps, services=(beside,)))
    await until_job_runs(agent)
    agent.kill()
    agent.start()
    (agent.work_tree("r1/1/unit/0") / "go").touch()
    done = await running
    assert [(step.name, step.state) for step in done.steps] == [
        ("wait", "passed"),
        ("fail", "failed"),
    ]
    assert done.cpu_seconds > 0


async def test_job_that_ended_while_no_agent_ran_keeps_its_outcome(agent):
    running = asyncio.create_task(agent.run("until test -e go; do sleep 0.02; done; exit 4"))
    await until_job_runs(agent)
    agent.kill()
    (agent.work_tree("r1/1/unit/0") / "go").touch()
    await until(lambda: not agent.owned())
    agent.start()
    assert ((await running).state, (await running).exit_code) == ("failed", 4)


async def test_replicas_outlive_a_killed_agent_and_keep_their_pids(agent, shop):
    two = structs.replace(shop, replicas=2)
    ready = await agent.client.deploy_replicas(two, Intent(key="d", epoch=1))
    before = [(row.pid, row.port) for row in (await agent.client.status()).replicas]
    agent.kill()
    assert await get(ready.endpoints[0], "/THEME") == "dark"
    agent.start()
    assert [(row.pid, row.port) for row in (await agent.client.status()).replicas] == before
    assert await agent.client.deploy_replicas(two, Intent(key="d", epoch=1)) == ready


async def test_replica_lost_while_no_agent_ran_is_started_again_at_its_port(agent, shop):
    ready = await agent.client.deploy_replicas(shop, Intent(key="d", epoch=1))
    agent.kill()
    assert await get(ready.endpoints[0], "/crash") == ""
    agent.start()
    assert await agent.client.deploy_replicas(shop, Intent(key="d", epoch=1)) == ready
    assert await get(ready.endpoints[0], "/THEME") == "dark"


async def test_agent_told_to_end_leaves_its_replicas_to_the_next(agent, shop):
    ready = await agent.client.deploy_replicas(shop, Intent(key="d", epoch=1))
    agent.sigterm()
    assert await get(ready.endpoints[0], "/THEME") == "dark"


# --- replicas -------------------------------------------------------------------------------------


async def test_crashed_replica_is_started_again_and_counted(agent, shop):
    ready = await agent.client.deploy_replicas(shop, Intent(key="d", epoch=1))
    for restarts in (1, 2):
        await get(ready.endpoints[0], "/crash")
        await until_seen(agent, shop, ready=1, restarts=restarts)
    assert await get(ready.endpoints[0], "/THEME") == "dark"


async def test_replica_whose_port_is_taken_waits_for_it_and_says_so(agent, shop):
    ready = await agent.client.deploy_replicas(shop, Intent(key="d", epoch=1))
    agent.kill()
    port = int(ready.endpoints[0].partition(":")[2])
    await get(ready.endpoints[0], "/crash")
    await until(lambda: is_free(port))
    with socket.create_server(("127.0.0.1", port)):
        agent.start()
        async with asyncio.timeout(DEADLINE_SECONDS):
            while "is taken by another" not in (await until_seen(agent, shop, ready=0)).message:
                await asyncio.sleep(0.02)
    await until_seen(agent, shop, ready=1)


async def test_replica_is_limited_in_memory(agent, shop):
    if "memory" not in (await agent.client.hello()).capabilities.controllers:
        pytest.skip("this machine's cgroups cannot limit memory")
    hog = structs.replace(
        shop,
        command=("python3", "-c", "x = bytearray(500_000_000)"),
        resources=Resources(memory_bytes=64 << 20),
    )
    with pytest.raises(StepFailed, match="memory limit of 67108864 bytes was used up"):
        await agent.client.deploy_replicas(hog, Intent(key="d", epoch=1))


async def test_needed_services_are_addressed_through_the_gateway(agent, shop):
    needy = structs.replace(shop, needs=("order-book",))
    ready = await agent.client.deploy_replicas(needy, Intent(key="d", epoch=1))
    url = await get(ready.endpoints[0], "/ANDON_URL_ORDER_BOOK")
    assert url.startswith("http://127.0.0.1:")


async def test_version_retired_while_it_is_deployed_is_not_called_ready(agent, shop):
    sick = structs.replace(shop, health=Health(path="/sick", ready_within_seconds=60))
    deploying = asyncio.create_task(agent.client.deploy_replicas(sick, Intent(key="d", epoch=1)))
    await until_seen(agent, sick, wanted=1)
    retire = RetireReplicas(environment="prod", service="shop", version=shop.version)
    await agent.client.retire_replicas(retire, Intent(key="e", epoch=1))
    with pytest.raises(Conflict, match="stopped while it was being deployed"):
        await deploying


async def test_artifact_that_is_not_unpacked_is_the_machines_trouble(agent):
    missing = deployment("sha256:" + "b" * 64)
    with pytest.raises(Unavailable, match="is not unpacked"):
        await agent.client.deploy_replicas(missing, Intent(key="d", epoch=1))


async def test_full_disk_refuses_a_deployment_and_touches_nothing_that_runs(agent, shop):
    ready = await agent.client.deploy_replicas(shop, Intent(key="d", epoch=1))
    resource.prlimit(agent.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    other = structs.replace(shop, service="other")
    with pytest.raises(Unavailable, match="cannot write"):
        await agent.client.deploy_replicas(other, Intent(key="e", epoch=1))
    assert await get(ready.endpoints[0], "/THEME") == "dark"
    limits = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(agent.process.pid, resource.RLIMIT_FSIZE, limits)
    await agent.client.deploy_replicas(other, Intent(key="e", epoch=1))


# --- one agent, one master ------------------------------------------------------------------------


async def test_older_token_is_refused_even_by_the_next_agent(agent, shop):
    await agent.client.deploy_replicas(shop, Intent(key="d", epoch=7))
    agent.kill()
    agent.start()
    with pytest.raises(Fenced, match="token 6 is over: the agent obeys token 7 for prod/shop"):
        await agent.client.deploy_replicas(shop, Intent(key="d", epoch=6))
    assert (await agent.client.hello()).epoch == (await agent.client.status()).epoch == 7


async def test_job_is_fenced_by_the_object_that_asks(agent):
    await agent.run("true", key="r1/1/unit/0")
    cancel = CancelJob(job_key="r1/1/unit/1")
    await agent.client.cancel_job(cancel, Intent(key="r1/2/cancel/0", epoch=7))
    with pytest.raises(Fenced, match="obeys token 7 for r1"):
        await agent.run("touch started", key="r1/1/unit/2")
    assert not (agent.work_tree("r1/1/unit/2") / "started").exists()
    assert (await agent.run("true", key="r2/1/unit/0")).state == "passed"


async def test_token_that_cannot_be_written_is_not_obeyed(agent, shop):
    resource.prlimit(agent.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    with pytest.raises(Unavailable, match=r"cannot write .*tokens\.json"):
        await agent.client.deploy_replicas(shop, Intent(key="d", epoch=1))
    limits = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(agent.process.pid, resource.RLIMIT_FSIZE, limits)
    assert (await agent.client.status()).replicas == ()


async def test_second_agent_refuses_and_says_who_holds_the_folder(agent):
    second = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "andon.agent", "--state", str(agent.state)],
        capture_output=True,
        text=True,
    )
    assert second.returncode == 5
    assert f"already runs: pid {agent.process.pid} since " in second.stderr


async def test_ensured_agent_is_a_daemon_that_ends_with_all_it_owns(tmp_path):
    deep = tmp_path / ("deep" * 30)
    ensure_agent(deep)
    ensure_agent(deep)
    client = AgentClient(deep / "agent" / "agent.sock", SystemClock())
    status = await client.status()
    assert status.rss_bytes < 40 * 1024 * 1024
    assert (deep / "agent" / "agent.sock").stat().st_mode & 0o777 == 0o600
    assert (deep / "agent").stat().st_mode & 0o777 == 0o700
    await client.shutdown()
    await client.close()
    await until(lambda: not Path(f"/proc/{status.pid}").exists())
    assert not answers(deep / "agent" / "agent.sock")


async def test_client_has_a_dead_agent_started_again(agent):
    client = AgentClient(agent.state / "agent" / "agent.sock", SystemClock(), revive=agent.start)
    before = await client.hello()
    agent.kill()
    assert (await client.hello()).pid != before.pid
    await client.close()


async def test_log_outside_the_logs_folder_is_not_read(agent):
    with pytest.raises(NotFound, match="no log"):
        await agent.client.tail_log("../agent/lock")


async def test_what_is_no_call_is_refused_and_the_line_stays_open(agent):
    reader, writer = await asyncio.open_unix_connection(str(agent.state / "agent" / "agent.sock"))
    calls = (b"garbage", b'{"id":2,"method":"format"}', b'{"id":3,"method":"run_job"}')
    codes = []
    for call in calls:
        writer.write(call + b"\n")
        codes.append(msgspec.json.decode(await reader.readline())["error"]["code"])
    writer.close()
    assert codes == ["InvalidDocument", "NotFound", "InvalidDocument"]
