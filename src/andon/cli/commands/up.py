"""``andon up``."""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from andon.cli.engine_options import engine_options
from andon.cli.output import say
from andon.cli.processes import start_ticks
from andon.cli.root import flags
from andon.cli.session import Session
from andon.client.wire import SOCKET
from andon.kernel.errors import UsageError

if TYPE_CHECKING:
    from andon.api.v1.installation import InstallationSpec
    from andon.app import Settings
    from andon.ports.offices import Offices


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=None,
    help="Of the page, instead of 7411 or the configuration's; 0: a free one.",
)
@click.option(
    "--listen",
    default="",
    metavar="HOST:PORT",
    help="Address of the page. Other than loopback it needs --config with `tls` or `proxy`.",
)
@click.option("--watch", "repositories", multiple=True, metavar="REPO", help="Ship what is pushed.")
@click.option("--branch", default="main", show_default=True, help="Branch to watch.")
@click.option("--notify", multiple=True, metavar="URL", help="Webhook told when a rollout stops.")
@click.option(
    "--policy-branch",
    default="main",
    show_default=True,
    help="Branch that rules are read from; `master` where there is no `main`.",
)
@engine_options
@click.option(
    "--keep-days",
    type=click.FloatRange(min=0),
    default=90.0,
    show_default=True,
    help="How long ended changes are kept besides the ledger; 0: for ever.",
)
@click.option(
    "--cache-gib",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Room for the caches of jobs; what was used least recently goes first.",
)
@click.option("--take-over", is_flag=True, help="Become the home of a database whose home is lost.")
@click.option("--foreground", is_flag=True, help="Stay in the foreground (always so today).")
@flags
@click.pass_obj
def command(
    session: Session,
    port: int | None,
    listen: str,
    repositories: tuple[str, ...],
    branch: str,
    notify: tuple[str, ...],
    policy_branch: str,
    engine: dict[str, Any],
    keep_days: float,
    cache_gib: float,
    take_over: bool,
    foreground: bool,
) -> None:
    """Start the control plane in the foreground; Ctrl-C ends it, services go on."""
    from andon.app import Settings
    from andon.web.serve import reserved

    decided = listening(engine.pop("installation"), listen, port)
    try:
        with reserved(decided) as installation:
            settings = Settings(
                state=session.state,
                watch=tuple((_repository(name), branch) for name in repositories),
                notify=notify,
                policy_branch=policy_branch,
                keep_days=keep_days,
                cache_bytes=int(cache_gib * 2**30),
                take_over=take_over,
                installation=installation,
                **engine,
            )
            asyncio.run(_until_told(session, settings))
    except asyncio.CancelledError:
        say(session, "stopped; services and gateway go on without it. `andon down` ends them too.")


def listening(told: InstallationSpec, listen: str, port: int | None) -> InstallationSpec:
    """Return an installation with the address of the options, if nobody can overhear it there.

    Raises:
        UsageError: The address is none, or others would overhear what is said; or the certificate
            cannot be used.
    """
    from msgspec import structs

    from andon.api.configuration import check_listening, parse_address
    from andon.runtime.system import SystemClock
    from andon.web.tls import read_pair

    if listen and port is not None:
        raise UsageError("--listen names a port already", hint=f"`--listen {listen}` alone")
    address = parse_address(listen or told.listen)
    address = address if port is None else address._replace(port=port)
    decided = structs.replace(told, listen=str(address))
    check_listening(decided)
    if decided.tls:
        read_pair(decided.tls, SystemClock())
    return decided


def _repository(name: str) -> str:
    return name if "://" in name or "@" in name else os.path.abspath(name)


async def _until_told(session: Session, settings: Settings) -> None:
    from andon.adapters.process import dumps
    from andon.app import run_control_plane

    dumps.keep_mine()  # Keys, passwords and tokens pass through its memory.
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await run_control_plane(settings, partial(_serve, session, settings))


async def _serve(session: Session, settings: Settings, offices: Offices) -> None:
    """Serve one generation."""
    from andon.app.lock import read_record, write_record
    from andon.web.app import create_app
    from andon.web.serve import serve

    def ready(url: str) -> None:
        address = settings.installation.url or url
        facts = {"url": address, "startTicks": start_ticks(os.getpid())}
        write_record(settings.state, read_record(settings.state) | facts)
        say(session, f"andon is up: {address}")
        if address != url:
            say(session, f"listens on: {url}")
        say(session, f"state: {settings.state}")
        say(session, "page:  `andon portal` opens it, logged in")
        say(session, "next:  `andon ship` in another terminal; Ctrl-C leaves services running")

    app = create_app(offices)
    await serve(
        app,
        socket_path=settings.state / SOCKET,
        installation=settings.installation,
        ready=ready,
    )
