"""``andon down``."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import click

from andon.cli.output import show
from andon.cli.processes import end, start_ticks
from andon.cli.root import flags
from andon.cli.session import Session
from andon.kernel.errors import TimedOut

PATIENCE_SECONDS = 30.0


@click.command()
@flags
@click.pass_obj
def command(session: Session) -> None:
    """Stop the control plane and everything it runs; nothing is left, nothing is deleted."""
    state = session.state
    control_plane = _end_control_plane(state)
    answer = {
        "controlPlane": control_plane,
        "workers": _end_workers(state),
        "agent": asyncio.run(_end_agent(state)),
    }
    show(session, answer, lambda found: _tell(found, state))


def _end_control_plane(state: Path) -> int:
    """End it and return its process id; 0 if there was none."""
    try:
        record = json.loads((state / "control.json").read_text())
        pid, ticks = int(record["pid"]), int(record.get("startTicks", 0))
    except (OSError, ValueError, KeyError):
        return 0
    if not ticks or start_ticks(pid) != ticks:
        return 0
    if not end(pid, ticks, PATIENCE_SECONDS):
        raise TimedOut(
            f"the control plane (process {pid}) did not end within {PATIENCE_SECONDS:g} s",
            hint=f"kill -9 {pid}, then `andon down` again",
        )
    return pid


def _end_workers(state: Path) -> list[int]:
    """End the other workers of this folder and return their process ids."""
    from andon.app.home import workers_here

    running = [(pid, start_ticks(pid)) for pid in workers_here(state)]
    for pid, ticks in running:
        if not end(pid, ticks, PATIENCE_SECONDS):
            raise TimedOut(
                f"a worker (process {pid}) did not end within {PATIENCE_SECONDS:g} s",
                hint=f"kill -9 {pid}, then `andon down` again",
            )
    return [pid for pid, _ in running]


async def _end_agent(state: Path) -> dict[str, Any]:
    """End the agent with all it owns and say what that was; empty if there was none."""
    from andon.adapters.agentclient import AgentClient
    from andon.adapters.agentclient.daemon import answers
    from andon.runtime.system import SystemClock

    where = state / "agent" / "agent.sock"
    if not where.exists() or not answers(where):
        return {}
    agent = AgentClient(where, SystemClock())
    try:
        status = await agent.status()
        await agent.shutdown()
    finally:
        await agent.close()
    ticks = start_ticks(status.pid)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while ticks and start_ticks(status.pid) == ticks and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    return {"pid": status.pid, "replicas": len(status.replicas), "jobs": len(status.jobs)}


def _tell(answer: dict[str, Any], state: Path) -> list[str]:
    pid, agent = answer["controlPlane"], answer["agent"]
    if not pid and not agent and not answer["workers"]:
        return [f"nothing is running for {state}"]
    said = [f"control plane (process {pid}) stopped"] if pid else []
    said += [f"worker (process {one}) stopped" for one in answer["workers"]]
    if agent:
        said.append(
            f"agent (process {agent['pid']}) stopped, with the gateway, "
            f"{agent['replicas']} replicas and {agent['jobs']} jobs"
        )
    return said
