"""A worker is stopped in the middle, another takes over, the first goes on: what it says late is refused."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from agent_world import AgentProcess
from git_world import git, stopping_git
from haproxy_world import Server

from andon.adapters.git import GitDesiredState
from andon.api.v1.actions import Intent, RetireReplicas
from andon.runtime.system import SystemClock
from andon.testing.dataplane_suite import NEW, OLD, FencingSuite, adding, ask, weighing
from andon.testing.desired_suite import ONE, TWO, by, writing
from andon.testing.target_suite import SERVER, deployment, get

DIGEST = "sha256:" + "a" * 64
BEGIN = """
import asyncio, os, signal, socket, sys
from pathlib import Path
import msgspec
from msgspec import structs
from andon.adapters.agentclient import AgentClient, wire
from andon.adapters.git import GitDesiredState
from andon.adapters.local import LocalTarget
from andon.api.v1.actions import Intent, RetireReplicas
from andon.kernel.errors import AndonError
from andon.runtime.system import SystemClock
from andon.testing.dataplane_suite import weighing
from andon.testing.desired_suite import ONE, TWO, by, writing
from andon.testing.secrets import FixedSecrets
from andon.testing.target_suite import deployment

def stop():
    os.kill(os.getpid(), signal.SIGSTOP)

async def told(call):
    try:
        await call
    except AndonError as error:
        print(error.code)
    else:
        print("done")
"""
WEIGHTS = """
request = wire.Request(
    id=1, method="set_weights", epoch=5, key="r/1/weigh/0",
    params=msgspec.Raw(msgspec.json.encode(weighing(old=100))),
)
line = msgspec.json.encode(request) + b"\\n"
with socket.socket(socket.AF_UNIX) as agent:
    agent.connect(sys.argv[1])
    agent.sendall(line[:60])
    stop()
    agent.sendall(line[60:])
    answer = msgspec.json.decode(agent.makefile("rb").readline(), type=wire.Answer)
print(answer.error.code if answer.error else "done")
"""
REPLICAS = """
class Stopped:
    def ensure_unpacked(self, digest, artifacts):
        stop()

agent = AgentClient(Path(sys.argv[1]), SystemClock())
target = LocalTarget(agent, Stopped(), Path("."), secrets=FixedSecrets())
action = structs.replace(deployment(sys.argv[2]), replicas=int(sys.argv[3]))
asyncio.run(told(target.deploy_replicas(action, Intent(key="r/1/deploy/0", epoch=5))))
"""
RETIRE = """
async def main():
    agent = AgentClient(Path(sys.argv[1]), SystemClock())
    await agent.hello()
    stop()
    version = deployment(sys.argv[2]).version
    action = RetireReplicas(environment="prod", service="shop", version=version)
    await told(agent.retire_replicas(action, Intent(key="r/1/retire/0", epoch=5)))
    await agent.close()

asyncio.run(main())
"""
DESIRED = """
desired = GitDesiredState(Path(sys.argv[1]), SystemClock())
asyncio.run(told(desired.write_desired(writing(ONE, force=True), by("late", epoch=5))))
"""

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a worker that stops itself; what is left of it is ended."""
    started: list[subprocess.Popen[bytes]] = []

    def worker(
        program: str, *arguments: str, env: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", BEGIN + program, *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=env)
        started.append(process)
        return process

    yield worker
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


async def stopped(process: subprocess.Popen[bytes]) -> None:
    _, status = await asyncio.to_thread(os.waitpid, process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), "it ended before it was stopped"


async def goes_on(process: subprocess.Popen[bytes]) -> str:
    process.send_signal(signal.SIGCONT)
    said, _ = await asyncio.to_thread(process.communicate)
    return said.decode().strip()


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[AgentProcess]:
    running = AgentProcess(tmp_path / "state")
    running.start()
    running.provide(DIGEST, {"server.py": SERVER})
    yield running
    await running.end()


@pytest.fixture
async def serve():
    async with AsyncExitStack() as stack:

        async def serving(text: str) -> str:
            server = Server(text)
            stack.push_async_callback(server.stop)
            return await server.start()

        yield serving


class TestAgentAsDataPlane(FencingSuite):
    @pytest.fixture
    def plane(self, agent):
        return agent.client


def socket_of(agent: AgentProcess) -> str:
    return str(agent.state / "agent" / "agent.sock")


async def test_late_weights_are_refused_by_the_agent(agent, serve, start):
    added = await agent.client.add_backend(adding(OLD, await serve("old")), by("r/1/a/0", 5))
    await agent.client.add_backend(adding(NEW, await serve("new")), by("r/1/b/0", 5))
    worker = start(WEIGHTS, socket_of(agent))
    await stopped(worker)
    await agent.client.set_weights(weighing(new=100), by("r/1/weigh/1", 6))
    assert await goes_on(worker) == "Fenced"
    assert await ask(added.address, "u") == (200, "new")


async def test_late_deployment_is_refused_by_the_agent(agent, start):
    worker = start(REPLICAS, socket_of(agent), DIGEST, "2")
    await stopped(worker)
    shop = deployment(DIGEST)
    await agent.client.deploy_replicas(shop, Intent(key="r/1/deploy/0", epoch=6))
    assert await goes_on(worker) == "Fenced"
    assert len((await agent.client.status()).replicas) == 1
    gone = RetireReplicas(environment="prod", service="shop", version=shop.version)
    await agent.client.retire_replicas(gone, Intent(key="r/2/retire/0", epoch=7))


async def test_late_retirement_is_refused_by_the_agent(agent, start):
    shop = deployment(DIGEST)
    ready = await agent.client.deploy_replicas(shop, Intent(key="r/1/deploy/0", epoch=5))
    worker = start(RETIRE, socket_of(agent), DIGEST)
    await stopped(worker)
    await agent.client.deploy_replicas(shop, Intent(key="r/1/deploy/1", epoch=6))
    assert await goes_on(worker) == "Fenced"
    assert await get(ready.endpoints[0], "/THEME") == "dark"


async def test_late_write_is_refused_by_the_desired_state(tmp_path, start):
    """Stopped where it looks, where it commits and where it moves the branch: git itself too."""
    verbs = ("cat-file", "commit-tree", "update-ref")
    await asyncio.gather(*(late_write(tmp_path / verb, verb, start) for verb in verbs))


async def late_write(folder: Path, verb: str, start: Start) -> None:
    folder.mkdir()
    path = folder / "desired.git"
    desired = GitDesiredState(path, SystemClock())
    await desired.write_desired(writing(ONE), by("first", epoch=5))
    bin_folder = folder / "bin"
    worker = start(DESIRED, str(path), env=stopping_git(bin_folder, verb, git_too=True))
    await stopped(worker)
    await desired.write_desired(writing(TWO, ONE), by("other", epoch=6))
    (bin_folder / "go").touch()
    assert await goes_on(worker) == "Fenced"
    assert desired.read("prod") == {"shop": TWO}
    assert git(path, "rev-list", "--count", "main") == "2"
