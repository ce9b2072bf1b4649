"""``andon hold``."""

from __future__ import annotations

import click

from andon.cli.output import show
from andon.cli.root import flags
from andon.cli.session import Session
from andon.kernel.duration import parse_duration
from andon.kernel.errors import UsageError


@click.command()
@click.option("--environment", "-e", default="", help="Everything in this environment.")
@click.option("--service", "-s", default="", help="This service.")
@click.option("--change", "-c", default="", help="This change.")
@click.option("--digest", "-d", default="", help="This artifact.")
@click.option("--reason", "-m", required=True, help="Why, for those who will ask.")
@click.option("--for", "duration", default="", metavar="DURATION", help="Lift itself, such as 2h.")
@flags
@click.pass_obj
def command(
    session: Session,
    environment: str,
    service: str,
    change: str,
    digest: str,
    reason: str,
    duration: str,
) -> None:
    """Stop the line for a scope; every option narrows it."""
    given = {"environment": environment, "service": service, "change": change, "digest": digest}
    scope = {field: value for field, value in given.items() if value}
    if not scope:
        raise UsageError(
            "a Hold needs a scope",
            hint="--environment, --service, --change or --digest, such as: "
            'andon hold --environment prod -m "release freeze" --for 2h',
        )
    try:
        seconds = parse_duration(duration) if duration else 0.0
    except ValueError as error:
        raise UsageError(str(error), hint="--for 2h") from None
    ask = {"scope": scope, "reason": reason, "expiresSeconds": seconds}
    hold = session.client.post("/holds", ask)
    show(session, hold, lambda one: [f"held: {one['scopeText']}", f"  lift it: {one['opens']}"])
