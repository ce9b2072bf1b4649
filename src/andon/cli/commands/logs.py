"""``andon logs``."""

from __future__ import annotations

import time
from typing import Any

import click

from andon.cli.output import faint
from andon.cli.root import flags
from andon.cli.session import Session
from andon.client.wire import Client, part
from andon.kernel.errors import NotFound

POLL_SECONDS = 0.3


@click.command()
@click.argument("run")
@click.argument("step", default="")
@click.option("--follow", "-f", is_flag=True, help="Go on until the step has ended.")
@flags
@click.pass_obj
def command(session: Session, run: str, step: str, follow: bool) -> None:
    """Read the log of a Run's step; of all its steps if none is named."""
    client = session.client
    if step:
        _copy(client, run, step, follow)
        return
    found = client.get(f"/runs/{part(run)}")
    logged = [one["name"] for one in found["steps"] if one["log"] or one["state"] == "running"]
    if not logged:
        raise NotFound(f"{found['name']} has no logs", hint=f"andon runs show {found['name']}")
    for name in logged:
        if len(logged) > 1:
            click.echo(faint(f"--- {name}"), color=session.colorful)
        _copy(client, found["name"], name, follow)


def _copy(client: Client, run: str, step: str, follow: bool) -> None:
    offset = 0
    while True:
        chunk: dict[str, Any] = client.get(
            f"/runs/{part(run)}/log", {"step": step, "offset": str(offset)}
        )
        if chunk["data"]:
            click.echo(chunk["data"], nl=False)
        at_end = chunk["nextOffset"] == offset
        offset = chunk["nextOffset"]
        if at_end and (chunk["ended"] or not follow):
            return
        if at_end:
            time.sleep(POLL_SECONDS)
