"""``andon rollback``."""

from __future__ import annotations

import click

from andon.cli.output import show
from andon.cli.root import flags
from andon.cli.session import Session


@click.command()
@click.argument("environment")
@click.argument("service")
@click.option("--reason", "-m", required=True, help="Why, for those who will ask.")
@flags
@click.pass_obj
def command(session: Session, environment: str, service: str, reason: str) -> None:
    """Go back to the version before."""
    ask = {"environment": environment, "service": service, "reason": reason}
    run = session.client.post("/rollback", ask)
    show(
        session,
        run,
        lambda one: [f"rolling {service} back in {environment}: andon runs show {one['name']}"],
    )
