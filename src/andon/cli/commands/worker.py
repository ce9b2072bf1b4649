"""``andon worker``."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import click

from andon.cli.engine_options import engine_options
from andon.cli.output import say
from andon.cli.root import flags
from andon.cli.session import Session

if TYPE_CHECKING:
    from andon.app import Settings


@click.command()
@click.option(
    "--no-agent",
    "agentless",
    is_flag=True,
    help="On another machine: take turns and tell people, but run and route nothing.",
)
@engine_options
@flags
@click.pass_obj
def command(session: Session, agentless: bool, engine: dict[str, Any]) -> None:
    """Share the work of an installation on Postgres; Ctrl-C ends it, others go on.

    Give it the same options and configuration as `andon up`.
    """
    from andon.app import Settings

    settings = Settings(state=session.state, agentless=agentless, **engine)
    try:
        asyncio.run(_until_told(session, settings))
    except asyncio.CancelledError:
        say(session, "stopped; other workers go on")


async def _until_told(session: Session, settings: Settings) -> None:
    from andon.adapters.process import dumps
    from andon.app import run_worker

    dumps.keep_mine()
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await run_worker(settings, lambda name: say(session, f"worker {name} is up"))
