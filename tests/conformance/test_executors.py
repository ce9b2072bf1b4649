import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from andon.adapters.local import LocalExecutor
from andon.adapters.process import cgroups, sandbox
from andon.adapters.process.cgroups import Cgroups
from andon.adapters.process.jobs import JobRunner
from andon.adapters.process.layout import Layout
from andon.runtime.system import SystemClock
from andon.testing.executor_suite import SECRETS, ExecutorSuite, Files
from andon.testing.files_suite import FilesSuite
from andon.testing.isolation_suite import IsolationSuite
from andon.testing.secrets import FixedSecrets


class Local:
    """Jobs on this machine, run by this process."""

    def __init__(self, state: Path, groups: Cgroups, *, sandboxed: bool) -> None:
        self.layout = Layout(state)
        self.layout.make()
        self.files = Files()
        self.provide = self.files.provide
        self.runner = JobRunner(
            self.layout, SystemClock(), groups, sandboxed=sandboxed, port_of=lambda *_: 4000
        )
        nothing = cast(Any, None)
        self.executor = LocalExecutor(
            self.runner,
            cast(Any, self.files),
            nothing,
            state / "work",
            secrets=FixedSecrets(SECRETS),
        )

    def log(self, name: str) -> bytes:
        return (self.layout.logs / name).read_bytes()


@pytest.fixture
def groups() -> Cgroups:
    return cgroups.detect(f"andon-suite-{os.getpid()}")


class TestChildProcess(ExecutorSuite, FilesSuite):
    @pytest.fixture
    async def bench(self, tmp_path: Path, groups: Cgroups) -> AsyncIterator[Local]:
        local = Local(tmp_path, groups, sandboxed=False)
        yield local
        await local.runner.close()
        groups.close()


@pytest.mark.skipif(not sandbox.works(), reason="bubblewrap makes no sandbox here")
class TestSandbox(ExecutorSuite, FilesSuite, IsolationSuite):
    @pytest.fixture
    async def bench(self, tmp_path: Path, groups: Cgroups) -> AsyncIterator[Local]:
        local = Local(tmp_path, groups, sandboxed=True)
        yield local
        await local.runner.close()
        groups.close()
