"""``andon approve``."""

from __future__ import annotations

import click

from andon.cli.output import show
from andon.cli.root import flags
from andon.cli.session import Session


@click.command()
@click.argument("change")
@click.option("--environment", "-e", required=True, help="Where it may go.")
@click.option("--reason", "-m", required=True, help="What you looked at.")
@flags
@click.pass_obj
def command(session: Session, change: str, environment: str, reason: str) -> None:
    """Consent to a change in an environment."""
    ask = {"change": change, "environment": environment, "reason": reason}
    approval = session.client.post("/approvals", ask)
    show(session, approval, lambda one: [f"{one['by']} approved {change} for {environment}"])
