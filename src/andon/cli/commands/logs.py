"""``andon logs``."""

from __future__ import annotations

import codecs
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from andon.cli.commands.logs_search import search, templates
from andon.cli.output import faint, show
from andon.cli.root import flags
from andon.cli.session import Session
from andon.client.wire import Client, part
from andon.kernel.errors import NotFound, TimedOut, Unavailable, UsageError

POLL_SECONDS = 0.3
AGAIN_SECONDS = 1.0
MOST_MATCHES = 1000

Write = Callable[[bytes], None]


class _RunFirst(click.Group):
    """What is none of the subcommands is a Run, whose log is read."""

    default = "read"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Name the subcommand that was meant."""
        if args and args[0] not in {*self.commands, "--help", "-h"}:
            args = [self.default, *args]
        return super().parse_args(ctx, args)


@click.group(cls=_RunFirst)
def command() -> None:
    """Read the log of a Run's step (`andon logs RUN [STEP]`), or search all logs."""


command.add_command(search)
command.add_command(templates)


@command.command("read")
@click.argument("run")
@click.argument("step", default="")
@click.option(
    "--follow",
    "-f",
    is_flag=True,
    help="Go on until the step has ended, also when the control plane is away for a while.",
)
@click.option("--search", "-s", "text", default="", help="Only lines with this, whatever its case.")
@click.option("--raw", is_flag=True, help="Byte by byte; otherwise only colours reach a terminal.")
@flags
@click.pass_obj
def read(session: Session, run: str, step: str, follow: bool, text: str, raw: bool) -> None:
    """Read the log of a Run's step; of all its steps if none is named."""
    if text and (follow or raw):
        raise UsageError("--search looks at what is there", hint="leave --follow and --raw out")
    client = session.client
    run, names = (run, [step]) if step else _logged(client, run)
    if text:
        found = [one for name in names for one in _search(client, run, name, text)]
        show(session, found, lambda rows: _tell(rows, len(names) > 1))
        return
    for name in names:
        if len(names) > 1 and not raw:
            click.echo(faint(f"--- {name}"), color=session.colorful)
        write = _as_it_is if raw else _Terminal(session)
        _copy(session, (run, name), write, follow)


def _logged(client: Client, run: str) -> tuple[str, list[str]]:
    found = client.get(f"/runs/{part(run)}")
    names = [one["name"] for one in found["steps"] if one["log"] or one["state"] == "running"]
    if not names:
        raise NotFound(f"{found['name']} has no logs", hint=f"andon runs show {found['name']}")
    return found["name"], names


# --- reading ------------------------------------------------------------------------------------


def _copy(session: Session, log: tuple[str, str], write: Write, follow: bool) -> None:
    """Copy a log; who was cut off goes on at the byte they had come to."""
    run, step = log
    client, offset, away = session.client, 0, False
    path = f"/runs/{part(run)}/log"
    while True:
        try:
            for piece in client.pieces(f"{path}/raw", {"step": step, "offset": str(offset)}):
                write(piece)
                offset += len(piece)
            if not follow:
                break
            here = {"step": step, "offset": str(offset), "maxBytes": "1"}
            if client.get(path, here)["ended"]:
                break
            away = False
            time.sleep(POLL_SECONDS)
        except (Unavailable, TimedOut) as error:
            if not follow:
                raise
            if not away:
                click.echo(faint(f"{error.message}; the log goes on as soon as it does"), err=True)
            away = True
            time.sleep(AGAIN_SECONDS)
    write(b"")


def _as_it_is(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


class _Terminal:
    """Shows text whose sequences other than colours do nothing; pieces may end anywhere."""

    def __init__(self, session: Session) -> None:
        self._color = session.colorful
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def __call__(self, piece: bytes) -> None:
        from andon.app.builds.ansi import colored

        text = self._held + self._decoder.decode(piece, final=not piece)
        # A sequence may go on in the next piece.
        cut = len(text) if not piece else _safe_end(text)
        self._held = text[cut:]
        click.echo(colored(text[:cut]), nl=False, color=self._color)


def _safe_end(text: str) -> int:
    """Return where a text may be cut without cutting a sequence apart."""
    escape = text.rfind("\x1b")
    if escape < 0 or "\n" in text[escape:] or len(text) - escape > 4096:
        return len(text)
    return escape


# --- searching ----------------------------------------------------------------------------------


def _search(client: Client, run: str, step: str, text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    first = 0
    while len(found) < MOST_MATCHES:
        query = {"step": step, "text": text, "first": str(first)}
        told = client.get(f"/runs/{part(run)}/log/search", query)
        found += [{"step": step, **one} for one in told["matches"]]
        first = told["next"]
        if told["done"]:
            break
    return found[:MOST_MATCHES]


def _tell(rows: list[dict[str, Any]], several: bool) -> list[str]:
    if not rows:
        return ["nothing found"]
    lines = [
        f"{faint(one['step'] + ':' if several else '')}{faint(str(one['line'] + 1) + ':')} {one['text']}"
        for one in rows
    ]
    more = [f"and maybe more than {MOST_MATCHES}"] if len(rows) == MOST_MATCHES else []
    return [*lines, *more]
