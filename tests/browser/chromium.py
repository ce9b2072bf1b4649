"""A real browser, and a real server for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from andon.ports.offices import Offices
from andon.web.app import create_app
from andon.web.serve import serve

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
BROWSER_SECONDS = 180
PATIENCE = "--virtual-time-budget=3000"


@contextlib.asynccontextmanager
async def served(offices: Offices, state: Path) -> AsyncIterator[str]:
    """Serve, and yield the address."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task: asyncio.Future[Any] = asyncio.ensure_future(
        serve(
            create_app(offices),
            socket_path=state / "control.sock",
            port=0,
            ready=ready.set_result,
        )
    )
    both: set[asyncio.Future[Any]] = {task, ready}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield ready.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def browse(profile: Path, *arguments: str) -> str:
    """Run the browser in a process group of its own and end all of it."""
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            return process.communicate(timeout=BROWSER_SECONDS)[0].decode()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
