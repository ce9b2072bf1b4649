"""Jobs by way of a worker elsewhere: the contract of executors, over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from andon.adapters.process import cgroups
from andon.adapters.process.cgroups import Limits
from andon.adapters.process.jobs import JobRunner
from andon.adapters.process.layout import Layout
from andon.adapters.remote import RemoteExecutor
from andon.api.v1.access import Grant, Identity
from andon.api.v1.actions import Intent, RunJob
from andon.api.v1.jobs import SecretRef
from andon.app.elsewhere.carrying import Carrier
from andon.app.elsewhere.talking import ControlPlane
from andon.app.elsewhere.worker import Told, Worker
from andon.app.workers.desk import Desk
from andon.client.wire import Client, Server
from andon.kernel.errors import Denied, Fenced
from andon.ports.offices import Offices
from andon.ports.workers import Hand
from andon.runtime.system import SystemClock
from andon.store import open_store
from andon.testing.containment_suite import ContainmentSuite
from andon.testing.door import FixedDoor
from andon.testing.executor_suite import SECRETS, ExecutorSuite, Files, plan, whole_log
from andon.testing.files_suite import FilesSuite
from andon.testing.line import StillLine
from andon.testing.secrets import FixedSecrets
from andon.web.app import create_app
from andon.web.serve import serve

WORKER = Identity(name="service:gpu", grants=(Grant(role="worker"),))


class Far:
    """A control plane's desk, and a worker that reaches it over a port."""

    def __init__(self, root: Path) -> None:
        self.files = Files()
        self.provide = self.files.provide
        self.here, self.there = Layout(root / "here"), Layout(root / "there")
        self.here.make()
        self.there.make()
        self.store = open_store(str(root / "control.db"), source="/andon/test")
        self.desk = Desk(
            self.store, self.here.state, self.fill, FixedSecrets(SECRETS), SystemClock()
        )
        self.executor = RemoteExecutor(self.desk, SystemClock())

    def fill(self, action: RunJob, into: Path) -> None:
        self.files.checkout(action.repository, action.sha, into)

    def log(self, name: str) -> bytes:
        return whole_log(self.here.logs / name)

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        groups = cgroups.detect(f"andon-far-{os.getpid()}")
        runner = JobRunner(
            self.there,
            SystemClock(),
            groups,
            sandboxed=False,
            port_of=lambda *_: 4000,
            limits=Limits(processes=200, memory_bytes=256 << 20),
        )
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        line: Any = StillLine()
        access: Any = FixedDoor({"token": WORKER})
        app = create_app(Offices(line=line, access=access, workers=self.desk))
        served = asyncio.ensure_future(
            serve(app, socket_path=self.here.state / "c.sock", port=0, ready=ready.set_result)
        )
        server = Server(await ready, "token")
        plane = ControlPlane(Client(server))
        told = Told(server=server, state=self.there.state, name="far", labels=(), at_once=4)
        worker = Worker(told, self.there, plane, Carrier(self.there, runner, plane))
        working = asyncio.ensure_future(worker.run(lambda _: None))
        try:
            yield
        finally:
            for task in (working, served):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await runner.close()
            groups.close()
            self.store.close()


class TestElsewhere(ExecutorSuite, FilesSuite, ContainmentSuite):
    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[Far]:
        far = Far(tmp_path)
        async with far.at_work():
            yield far


async def test_secrets_are_not_said_where_others_can_hear_and_the_job_says_why(
    tmp_path: Path,
) -> None:
    far = Far(tmp_path)
    secret = SecretRef(name="npm", environment="pipelines")
    repository, sha = far.provide({"README": "x"})
    job = RunJob(
        run="r", repository=repository, sha=sha, job=plan("true", secrets={"TOKEN": secret})
    )
    running = asyncio.create_task(far.executor.run_job(job, Intent(key="r/1/unit/0", epoch=1)))
    offer = await far.desk.take(
        WORKER,
        "far",
        labels=(),
        at_once=1,
        version="",
        holding=(),
        wait_seconds=20,
        gone=_never,
    )
    hand = Hand(who=WORKER, job=offer["job"], lease=offer["lease"])
    with pytest.raises(Fenced, match="can be overheard"):
        await far.desk.begin(hand, private=False)
    with pytest.raises(Denied, match="can be overheard"):
        await running
    far.store.close()


async def _never() -> bool:
    return False
