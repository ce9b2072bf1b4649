"""The server of the API, for as long as a test wants it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from andon.ports.offices import Offices
from andon.web.app import create_app
from andon.web.serve import serve


@contextlib.asynccontextmanager
async def serving(app: Starlette, socket_path: Path, **more: Any) -> AsyncIterator[str]:
    """Serve an application, and yield the address; what fails at its start is raised here."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task: asyncio.Future[Any] = asyncio.ensure_future(
        serve(app, socket_path=socket_path, ready=ready.set_result, **more)
    )
    both: set[asyncio.Future[Any]] = {task, ready}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    try:
        if task.done():
            await task
        yield ready.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def served(offices: Offices, state: Path) -> AsyncIterator[str]:
    """Serve the API on a free port, and yield the address."""
    async with serving(create_app(offices), state / "control.sock", port=0) as address:
        yield address
