"""``andon lift``."""

from __future__ import annotations

import click

from andon.cli.output import show
from andon.cli.root import flags
from andon.cli.session import Session
from andon.client.wire import part


@click.command()
@click.argument("name")
@click.option("--reason", "-m", required=True, help="Why it is safe to go on.")
@flags
@click.pass_obj
def command(session: Session, name: str, reason: str) -> None:
    """Lift a Hold; `andon status` lists them."""
    hold = session.client.post(f"/holds/{part(name)}/lift", {"reason": reason})
    show(session, hold, lambda one: [f"lifted: {one['scopeText']}"])
