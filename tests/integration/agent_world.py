"""A real host agent in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import structs

from andon.adapters.agentclient import AgentClient
from andon.adapters.agentclient.daemon import answers
from andon.adapters.process import procfs
from andon.api.v1.actions import Intent, JobDone, ObserveReplicas, RunJob
from andon.api.v1.jobs import JobPlan
from andon.runtime.system import SystemClock
from andon.testing.polling import DEADLINE_SECONDS


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition never became true"
        await asyncio.sleep(0.02)


class AgentProcess:
    def __init__(self, state: Path) -> None:
        self.state = state
        self.client = AgentClient(state / "agent" / "agent.sock", SystemClock())
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "andon.agent", "--state", str(self.state)],
            stderr=subprocess.PIPE,
        )
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not answers(self.state / "agent" / "agent.sock"):
            assert time.monotonic() < deadline
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    async def end(self) -> None:
        if self.process.poll() is not None:
            self.start()
        await self.client.shutdown()
        await self.client.close()
        self.process.communicate(timeout=DEADLINE_SECONDS)
        assert self.owned() == set()

    def owned(self) -> set[int]:
        """Every process the agent started, by the marker in its environment."""
        prefix = f"{procfs.MARKER}={self.state}".encode()
        found = set()
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                environment = Path("/proc", name, "environ").read_bytes()
            except OSError:
                continue
            if any(entry.startswith(prefix) for entry in environment.split(b"\0")):
                found.add(int(name))
        return {pid for pid in found if procfs.identify(pid)}

    def provide(self, digest: str, files: dict[str, str]) -> None:
        folder = self.state / "artifacts" / digest.removeprefix("sha256:")
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text)
        folder.with_name(f"{folder.name}.complete").touch()

    def work_tree(self, key: str) -> Path:
        folder = self.state / "work" / key.replace("/", "_")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    async def run(self, script: str, key: str = "r1/1/unit/0", **job: object) -> JobDone:
        self.work_tree(key)
        return await self.client.run_job(job_action(script, **job), Intent(key=key, epoch=1))

    def sigterm(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=DEADLINE_SECONDS)


def job_action(script: str, **job: object) -> RunJob:
    plan = JobPlan(name="unit", run=script, **job)
    return RunJob(run="r1", repository="shop", sha="f" * 40, job=plan)


async def until_job_runs(agent):
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not any(job.pid for job in (await agent.client.status()).jobs):
            await asyncio.sleep(0.02)


async def until_seen(agent, action, **expected):
    look = ObserveReplicas(
        environment=action.environment, service=action.service, version=action.version
    )
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            seen = await agent.client.observe_replicas(look, Intent(key="o", epoch=1))
            if expected.items() <= structs.asdict(seen).items():
                return seen
            await asyncio.sleep(0.02)
