"""A real browser, and a real server for it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

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
