"""``andon worker``."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from andon.cli.engine_options import engine_options
from andon.cli.output import say
from andon.cli.root import flags
from andon.cli.session import Session
from andon.kernel.errors import UsageError

if TYPE_CHECKING:
    from andon.app.elsewhere.worker import Told

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

Work = Callable[[Callable[[str], None]], Awaitable[None]]


@click.command()
@click.option(
    "--no-agent",
    "agentless",
    is_flag=True,
    help="On another machine: take turns and tell people, but run and route nothing.",
)
@click.option(
    "--token",
    default="",
    metavar="TOKEN",
    envvar="ANDON_TOKEN",
    help="With --server: of a service with the role worker (or $ANDON_TOKEN, which others cannot see).",
)
@click.option("--token-file", default="", metavar="FILE", help="With --server: where the token is.")
@click.option(
    "--label", "labels", multiple=True, metavar="WORD", help="With --server: what it has; again."
)
@click.option("--name", default="", help="With --server: what it is called; default: the host.")
@engine_options
@flags
@click.pass_obj
def command(
    session: Session,
    agentless: bool,
    token: str,
    token_file: str,
    labels: tuple[str, ...],
    name: str,
    engine: dict[str, Any],
) -> None:
    """Share the work of an installation; Ctrl-C ends it, others go on.

    On Postgres, beside the control plane: give it the same options and configuration as `andon up`.
    With --server URL, on any machine: runs jobs whose `runsOn` names nothing but its labels; needs no
    database, and a token of the role worker.
    """
    if session.given_server:
        secret = _token(token, token_file)
        told = _told(session, secret, labels, name, engine)
        _work(session, lambda ready: _elsewhere(told, ready), "stopped; what runs here goes on")
        return
    if labels or name or token_file:
        raise UsageError("--label, --name and --token-file go with --server URL")
    _work(session, lambda ready: _here(session, agentless, engine, ready), "stopped; others go on")


def _work(session: Session, work: Work, farewell: str) -> None:
    try:
        asyncio.run(_until_told(session, work))
    except asyncio.CancelledError:
        say(session, farewell)


async def _until_told(session: Session, work: Work) -> None:
    from andon.adapters.process import dumps

    dumps.keep_mine()
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await work(lambda name: say(session, f"worker {name} is up"))


async def _here(
    session: Session, agentless: bool, engine: dict[str, Any], ready: Callable[[str], None]
) -> None:
    from andon.app import Settings, run_worker

    await run_worker(Settings(state=session.state, agentless=agentless, **engine), ready)


# --- elsewhere ----------------------------------------------------------------------------------


async def _elsewhere(told: Told, ready: Callable[[str], None]) -> None:
    from andon.app.elsewhere.worker import run_elsewhere

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    await run_elsewhere(told, ready)


def _told(
    session: Session, token: str, labels: tuple[str, ...], name: str, engine: dict[str, Any]
) -> Told:
    from andon.app.elsewhere.worker import Told
    from andon.client.wire import Server

    known = _checked(name or socket.gethostname().lower().partition(".")[0], "--name")
    return Told(
        server=Server(session.given_server, token, os.environ.get("ANDON_CA_FILE", "")),
        state=_folder(session, known),
        name=known,
        labels=tuple(_checked(label, "--label") for label in labels),
        at_once=engine["jobs_at_once"] or 1,
        containers=engine["installation"].containers,
        allow_internal=engine["allow_internal"],
    )


def _folder(session: Session, name: str) -> Path:
    """Say where a worker keeps what it runs.

    Source: XDG Base Directory Specification.
    """
    given = session.given_state or os.environ.get("ANDON_STATE", "")
    if given:
        return Path(given).expanduser().absolute()
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    return Path(home) / "andon" / f"worker-{name}"


def _token(given: str, file: str) -> str:
    if file:
        try:
            given = Path(file).read_text().strip()
        except OSError as error:
            raise UsageError(f"--token-file {file}: {error.strerror}") from None
    if not given:
        raise UsageError(
            "a worker needs a token", hint="`andon admin token create NAME --role worker` makes one"
        )
    return given


def _checked(word: str, option: str) -> str:
    if not _NAME.fullmatch(word):
        raise UsageError(
            f"{option} {word!r} is no name", hint="lower-case letters, digits and - between them"
        )
    return word
