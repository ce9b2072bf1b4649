"""``andon up``."""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial
from typing import TYPE_CHECKING

import click

from andon.cli.client import SOCKET
from andon.cli.output import say
from andon.cli.processes import start_ticks
from andon.cli.root import flags
from andon.cli.session import Session
from andon.kernel.duration import parse_duration
from andon.kernel.errors import UsageError

if TYPE_CHECKING:
    from andon.app import Settings
    from andon.app.control_plane import ControlPlane
    from andon.app.upkeep.admin import Admin

DEFAULT_PORT = 7411
SHORTEST_LEASE_SECONDS = 0.5


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Of the page; 0: a free one.",
)
@click.option("--watch", "repositories", multiple=True, metavar="REPO", help="Ship what is pushed.")
@click.option("--branch", default="main", show_default=True, help="Branch to watch.")
@click.option("--notify", multiple=True, metavar="URL", help="Webhook told when a rollout stops.")
@click.option(
    "--allow-internal",
    multiple=True,
    envvar="ANDON_ALLOW_INTERNAL",
    metavar="PATTERN",
    help="Network or name inside your own net that webhooks and subscribers may be at.",
)
@click.option(
    "--database",
    "database_url",
    default="",
    envvar="ANDON_DATABASE_URL",
    metavar="URL",
    help="postgresql://… instead of SQLite (or $ANDON_DATABASE_URL, which others cannot see).",
)
@click.option(
    "--policy-branch",
    default="main",
    show_default=True,
    help="Branch that rules are read from; `master` where there is no `main`.",
)
@click.option(
    "--lease",
    default="10s",
    show_default=True,
    envvar="ANDON_LEASE",
    help="Within this time a dead worker's work goes on elsewhere.",
)
@click.option(
    "--jobs",
    "jobs_at_once",
    type=int,
    default=None,
    help="Jobs at the same time over all workers; default: two a core, 0: any number.",
)
@click.option(
    "--keep-days",
    type=click.FloatRange(min=0),
    default=90.0,
    show_default=True,
    help="How long ended changes are kept besides the ledger; 0: for ever.",
)
@click.option(
    "--archive-after-days",
    type=click.FloatRange(min=0),
    default=0.0,
    envvar="ANDON_ARCHIVE_AFTER_DAYS",
    help="Move older events into the ledger's archive by itself; 0, as without it: never.",
)
@click.option("--take-over", is_flag=True, help="Become the home of a database whose home is lost.")
@click.option("--foreground", is_flag=True, help="Stay in the foreground (always so today).")
@flags
@click.pass_obj
def command(
    session: Session,
    port: int,
    repositories: tuple[str, ...],
    branch: str,
    notify: tuple[str, ...],
    allow_internal: tuple[str, ...],
    database_url: str,
    policy_branch: str,
    lease: str,
    jobs_at_once: int | None,
    keep_days: float,
    archive_after_days: float,
    take_over: bool,
    foreground: bool,
) -> None:
    """Start the control plane in the foreground; Ctrl-C ends it, services go on."""
    from andon.app import Settings

    settings = Settings(
        state=session.state,
        database_url=database(database_url),
        watch=tuple((_repository(name), branch) for name in repositories),
        notify=notify,
        allow_internal=allow_internal,
        policy_branch=policy_branch,
        lease_seconds=seconds(lease),
        jobs_at_once=jobs(jobs_at_once),
        keep_days=keep_days,
        archive_after_days=archive_after_days,
        take_over=take_over,
    )
    try:
        asyncio.run(_until_told(session, settings, port))
    except asyncio.CancelledError:
        say(session, "stopped; services and gateway go on without it. `andon down` ends them too.")


def seconds(lease: str) -> float:
    """Read the time within which a dead worker's work goes on elsewhere.

    Raises:
        UsageError: It is no duration, or one that no clock keeps.
    """
    try:
        value = parse_duration(lease)
    except ValueError as error:
        raise UsageError(str(error), hint="--lease 10s") from None
    if value < SHORTEST_LEASE_SECONDS:
        raise UsageError(
            f"a lease of {lease} is too short to renew", hint=f"{SHORTEST_LEASE_SECONDS:g}s or more"
        )
    return value


def database(url: str) -> str:
    """Return the address of a database; a slip in it must not begin an empty one somewhere.

    Raises:
        UsageError: It is neither an address nor a file that exists.
    """
    is_address = url.startswith(("postgresql://", "postgres://", "sqlite://"))
    if url and not is_address and not os.path.isfile(url):
        raise UsageError(
            "the address of the database is none of Postgres",
            hint="--database or ANDON_DATABASE_URL: postgresql://…; without it SQLite is used",
        )
    return url


def jobs(wanted: int | None) -> int:
    """Return how many jobs go on at once."""
    from andon.app.compose import JOBS_AT_ONCE

    if wanted is not None and wanted < 0:
        raise UsageError(f"--jobs {wanted}: fewer than none", hint="0 stands for any number")
    return JOBS_AT_ONCE if wanted is None else wanted


def _repository(name: str) -> str:
    return name if "://" in name or "@" in name else os.path.abspath(name)


async def _until_told(session: Session, settings: Settings, port: int) -> None:
    from andon.app import run_control_plane

    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await run_control_plane(settings, partial(_serve, session, settings, [port]))


async def _serve(
    session: Session, settings: Settings, ports: list[int], plane: ControlPlane, admin: Admin
) -> None:
    """Serve one generation; those after the first keep the port that it got."""
    from andon.app.lock import read_record, write_record
    from andon.web.app import create_app
    from andon.web.serve import serve

    def ready(url: str) -> None:
        facts = {"url": url, "startTicks": start_ticks(os.getpid())}
        write_record(settings.state, read_record(settings.state) | facts)
        ports[:] = [int(url.rpartition(":")[2])]
        say(session, f"andon is up: {url}")
        say(session, f"state: {settings.state}")
        say(session, "next: `andon ship` in another terminal; Ctrl-C leaves services running")

    app = create_app(plane, admin)
    await serve(app, socket_path=settings.state / SOCKET, port=ports[0], ready=ready)
