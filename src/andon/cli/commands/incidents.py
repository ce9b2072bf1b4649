"""``andon incidents``."""

from __future__ import annotations

from typing import Any

import click

from andon.cli.output import faint, moment, show, table
from andon.cli.root import flags
from andon.cli.session import Session


@click.group()
def command() -> None:
    """List incidents."""


@command.command("list")
@flags
@click.pass_obj
def list_(session: Session) -> None:
    """List incidents, newest first."""
    show(session, session.client.get("/incidents"), _tell)


def _tell(incidents: list[dict[str, Any]]) -> list[str]:
    rows = [
        (
            one["name"],
            one["severity"],
            one["phase"],
            f"{one['environment']}/{one['service']}",
            faint(moment(one["detectedAt"])),
            one["title"],
        )
        for one in incidents
    ]
    head = ("INCIDENT", "SEVERITY", "PHASE", "WHERE", "DETECTED", "TITLE")
    return table(head, rows, "no incidents")
