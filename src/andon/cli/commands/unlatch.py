"""``andon unlatch``."""

from __future__ import annotations

import click

from andon.cli.output import show
from andon.cli.root import flags
from andon.cli.session import Session


@click.command()
@click.argument("environment")
@click.argument("service", metavar="SERVICE|DIGEST")
@click.option("--reason", "-m", required=True, help="Why it may be tried again.")
@flags
@click.pass_obj
def command(session: Session, environment: str, service: str, reason: str) -> None:
    """Let what failed in an environment be tried again."""
    ask = {"environment": environment, "subject": service, "reason": reason}
    answer = session.client.post("/unlatch", ask)
    show(session, answer, lambda all_: [f"unlatched: {one['scopeText']}" for one in all_["lifted"]])
