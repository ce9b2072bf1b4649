"""``andon schedules``."""

from __future__ import annotations

from typing import Any

import click

from andon.cli.output import faint, moment, show, state, table
from andon.cli.root import flags
from andon.cli.session import Session


@click.command()
@flags
@click.pass_obj
def command(session: Session) -> None:
    """List what is built again, and when, in the time zone of each entry."""
    show(session, session.client.get("/schedules"), _tell)


def _tell(entries: list[dict[str, Any]]) -> list[str]:
    rows = [
        (
            one["pipeline"],
            one["cron"],
            f"{one['nextLocal'] or '-'} {faint(one['timezone'])}",
            faint(moment(one["lastAt"])),
            f"{one['lastRun']} {state(one['lastPhase'])}" if one["lastRun"] else "-",
            str(one["missedCount"] or ""),
        )
        for one in entries
    ]
    head = ("PIPELINE", "CRON", "NEXT", "LAST", "RUN", "MISSED")
    return table(head, rows, "nothing is scheduled: add `schedule` to the Pipeline")
