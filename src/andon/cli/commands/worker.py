"""``andon worker``."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import click

from andon.cli.output import say
from andon.cli.root import flags
from andon.cli.session import Session

if TYPE_CHECKING:
    from andon.app import Settings


@click.command()
@click.option(
    "--database",
    "database_url",
    default="",
    envvar="ANDON_DATABASE_URL",
    metavar="URL",
    help="postgresql://… of the installation (or $ANDON_DATABASE_URL, which others cannot see).",
)
@click.option(
    "--no-agent",
    "agentless",
    is_flag=True,
    help="On another machine: take turns and tell people, but run and route nothing.",
)
@click.option(
    "--lease",
    default="10s",
    show_default=True,
    envvar="ANDON_LEASE",
    help="Within this time a dead worker's work goes on elsewhere.",
)
@click.option(
    "--allow-internal",
    multiple=True,
    envvar="ANDON_ALLOW_INTERNAL",
    metavar="PATTERN",
    help="Network or name inside your own net that webhooks and subscribers may be at.",
)
@click.option("--jobs", "jobs_at_once", type=int, default=None, help="As of `andon up`.")
@click.option(
    "--archive-after-days",
    type=click.FloatRange(min=0),
    default=0.0,
    envvar="ANDON_ARCHIVE_AFTER_DAYS",
    help="As of `andon up`.",
)
@flags
@click.pass_obj
def command(
    session: Session,
    database_url: str,
    agentless: bool,
    lease: str,
    allow_internal: tuple[str, ...],
    jobs_at_once: int | None,
    archive_after_days: float,
) -> None:
    """Share the work of an installation on Postgres; Ctrl-C ends it, others go on."""
    from andon.app import Settings
    from andon.cli.commands.up import database, jobs, seconds

    settings = Settings(
        state=session.state,
        database_url=database(database_url),
        allow_internal=allow_internal,
        agentless=agentless,
        lease_seconds=seconds(lease),
        jobs_at_once=jobs(jobs_at_once),
        archive_after_days=archive_after_days,
    )
    try:
        asyncio.run(_until_told(session, settings))
    except asyncio.CancelledError:
        say(session, "stopped; other workers go on")


async def _until_told(session: Session, settings: Settings) -> None:
    from andon.app import run_worker

    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await run_worker(settings, lambda name: say(session, f"worker {name} is up"))
