"""``andon workers``."""

from __future__ import annotations

from typing import Any

import click

from andon.cli.output import moment, show, table
from andon.cli.root import flags
from andon.cli.session import Session
from andon.client.wire import part

_NONE = "no worker elsewhere; `andon worker --server URL --label WORD` on another machine is one"


@click.group()
def command() -> None:
    """See the workers on other machines, and keep one from taking more."""


@command.command("list")
@flags
@click.pass_obj
def list_(session: Session) -> None:
    """List workers, what they have and what they do."""
    show(session, session.client.get("/workers"), _tell)


@command.command()
@click.argument("name")
@flags
@click.pass_obj
def drain(session: Session, name: str) -> None:
    """Have a worker take nothing new; what it runs goes on."""
    worker = session.client.post(f"/workers/{part(name)}/drain", {})
    show(session, worker, lambda one: [_drained(one)])


@command.command()
@click.argument("name")
@flags
@click.pass_obj
def resume(session: Session, name: str) -> None:
    """Have a worker take jobs again."""
    worker = session.client.post(f"/workers/{part(name)}/resume", {})
    show(session, worker, lambda one: [f"{one['name']} takes jobs again"])


def _drained(one: Any) -> str:
    left = f"; {', '.join(one['jobs'])} goes on" if one["jobs"] else ""
    return f"{one['name']} takes nothing new{left}"


def _tell(workers: Any) -> list[str]:
    rows = [
        (
            one["name"],
            one["state"],
            ",".join(one["labels"]),
            ", ".join(one["jobs"]) or "-",
            one["by"],
            moment(one["seenAt"]),
        )
        for one in workers
    ]
    return table(("NAME", "STATE", "LABELS", "RUNS", "BY", "SEEN"), rows, _NONE)
