"""A web server on a real Unix socket and a real loopback port, over a line that stands still."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from andon.ports.offices import Offices
from andon.testing.door import ADMINISTRATOR, FixedDoor
from andon.testing.line import StillLine
from andon.web.app import create_app
from andon.web.serve import serve

sys.path.insert(0, str(Path(__file__).parent))


class Served(NamedTuple):
    line: StillLine
    state: Path
    port: int


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    line = StillLine()
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    socket_path = tmp_path / "control.sock"
    task: asyncio.Future[Any] = asyncio.ensure_future(
        serve(
            create_app(Offices(line=line, access=FixedDoor({"guest": ADMINISTRATOR}))),
            socket_path=socket_path,
            port=0,
            ready=ready.set_result,
        )
    )
    both: set[asyncio.Future[Any]] = {task, ready}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    yield Served(line, tmp_path, int(ready.result().rpartition(":")[2]))
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
