"""``andon demo``."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from andon.cli.output import say
from andon.cli.session import Session
from andon.kernel.errors import StepFailed

if TYPE_CHECKING:
    from andon.cli.demo.screen import LiveScreen, PlainScreen

_PROMISES = ("good_promoted", "as_expected", "resumed_after_kill", "ledger_ok")
SERVICES = ("storefront", "catalogue", "orders")


@click.command()
@click.option("--seed", default=1, show_default=True, help="Of the traffic and its clients.")
@click.option(
    "--fault-percent",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0, 50),
    help="Share of requests that the third version fails; 0: a good one.",
)
@click.option(
    "--fault-service",
    default="storefront",
    show_default=True,
    type=click.Choice(SERVICES),
    help="Whose third version it is.",
)
@click.option(
    "--rate", default=300.0, show_default=True, type=click.FloatRange(1), help="Requests/s."
)
@click.option("--keep", is_flag=True, help="Leave it running and say where to look.")
@click.option("--json", "file", default="", metavar="FILE|-", help="Write the result as JSON.")
@click.pass_obj
def command(session: Session, /, keep: bool, file: str, **options: Any) -> int:
    """Watch a good and a bad change go to production, for real, in about 90 seconds."""
    from andon.cli.demo.play import Options, run_demo

    def finish(result: dict[str, Any], folder: Path) -> None:
        if keep:
            stop = f"andon --state {folder / 'state'} down"
            result["kept"] = {"folder": str(folder), "stop": stop}

    to_standard_output = file == "-"
    with _screen(session, quiet=to_standard_output) as screen:
        result = run_demo(Options(keep=keep, **options), screen, finish)
    _tell(session, result, file)
    return 0 if all(result[promise] for promise in _PROMISES) else StepFailed.exit_code


def _screen(session: Session, *, quiet: bool) -> AbstractContextManager[LiveScreen | PlainScreen]:
    from andon.cli.demo.screen import LiveScreen, PlainScreen

    if quiet or not session.live:
        return PlainScreen(sys.stderr if quiet else sys.stdout)
    from rich.console import Console

    return LiveScreen(Console(no_color=not session.colorful, highlight=False))


def _tell(session: Session, result: dict[str, Any], file: str) -> None:
    from andon.cli.demo.screen import summary

    text = json.dumps(result, indent=2, ensure_ascii=False)
    if file == "-":
        click.echo(text)
        return
    if file:
        Path(file).write_text(f"{text}\n")
    for line in summary(result):
        say(session, line)
    if "kept" in result:
        state = f"andon --state {Path(result['kept']['folder']) / 'state'}"
        say(session, f"it goes on running in {result['kept']['folder']}")
        say(session, f"look at it: {state} portal; {state} slo list; {state} traces list")
        say(session, f"end it with: {result['kept']['stop']}")
