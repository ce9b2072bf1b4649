"""Starting the agent where none answers."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from andon.adapters import unixsocket
from andon.adapters.agentclient import wire
from andon.kernel.errors import Unavailable

_START_SECONDS = 20.0
_ANSWER_SECONDS = 5.0
_POLL_SECONDS = 0.02


def ensure_agent(state_dir: Path) -> None:
    """Have an agent of a state folder running; returns when it answers.

    Raises:
        Unavailable: It cannot be started; the message says what it said.
    """
    where = state_dir.absolute() / "agent" / "agent.sock"
    if answers(where):
        return
    said = _start(state_dir)
    deadline = time.monotonic() + _START_SECONDS
    while not answers(where):
        if said or time.monotonic() > deadline:
            raise Unavailable(
                f"the agent of {state_dir} did not start{': ' if said else ''}{said}",
                hint=f"its log: {where.parent / 'agent.log'}",
            )
        time.sleep(_POLL_SECONDS)


def answers(where: Path) -> bool:
    """Say whether an agent answers at a socket."""
    request = wire.Request(id=1, method="hello")
    try:
        with socket.socket(socket.AF_UNIX) as line, unixsocket.address(where) as address:
            line.settimeout(_ANSWER_SECONDS)
            line.connect(address)
            line.sendall(msgspec.json.encode(request) + b"\n")
            return line.recv(65536).endswith(b"\n")
    except OSError:
        return False


def _start(state_dir: Path) -> str:
    """Start the daemon; return what it complained of, if it refused."""
    # -P: no module is taken from the folder that somebody happens to be in.
    command = [sys.executable, "-P", "-m", "andon.agent", "--state", str(state_dir), "--daemon"]
    try:
        started = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_START_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return started.stderr.decode(errors="replace").strip() if started.returncode else ""
