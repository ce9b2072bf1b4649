"""The memory of an idle installation: the control plane and its agent, as ``andon up`` starts them.

Real processes on the embedded default, nothing shipped, after ``IDLE_SECONDS`` of rest. Counted is what
is resident of the two Python processes and their Python children (RSS: what they share counts twice);
HAProxy, another program, is told beside it where it runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from andon.client.wire import Client
from andon.kernel.errors import TimedOut, Unavailable
from bench.ratio import Ratio

IDLE_SECONDS = 5.0
START_SECONDS = 60.0
BAR_MB = 150.0
MB = 1_000_000


def _pids(state: Path, process: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Wait until both answer; the control plane's process and the agent's."""
    client = Client(state, timeout_seconds=5)
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, "andon up ended"
        try:
            health = client.get("/health")
            return int(health["pid"]), int(health["agent"]["pid"])
        except (Unavailable, TimedOut):
            assert time.monotonic() < deadline, "andon up does not answer"
            time.sleep(0.1)


def _family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += _family(int(child))
    return found


def _resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def _is_haproxy(pid: int) -> bool:
    return "haproxy" in Path(f"/proc/{pid}/comm").read_text()


def measure() -> Iterator[Ratio]:
    with tempfile.TemporaryDirectory(prefix="andon-bench-") as folder:
        state = Path(folder) / "state"
        andon = [sys.executable, "-m", "andon", "--state", str(state)]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen([*andon, "up", "--port", "0"], **silent)
        try:
            plane, agent = _pids(state, process)
            time.sleep(IDLE_SECONDS)
            family = sorted({*_family(plane), *_family(agent)})
            proxies = [pid for pid in family if _is_haproxy(pid)]
            ours = sum(_resident(pid) for pid in family if pid not in proxies)
            yield Ratio("control plane", _resident(plane) / MB, 0, "MB")
            yield Ratio("agent", _resident(agent) / MB, 0, "MB")
            yield Ratio("HAProxy", sum(map(_resident, proxies)) / MB, 0, "MB")
            yield Ratio("control plane and agent", ours / MB, BAR_MB, "MB", most=True)
        finally:
            subprocess.run([*andon, "down"], check=False, **silent)
            process.wait(START_SECONDS)
