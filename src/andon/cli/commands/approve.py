"""``andon approve``."""

from __future__ import annotations

import click

from andon.cli.output import show
from andon.cli.root import flags
from andon.cli.session import Session


@click.command()
@click.argument("change")
@click.option("--environment", "-e", default="", help="Where it may go.")
@click.option("--job", "-j", default="", help="The job that waits for it, instead.")
@click.option(
    "--as",
    "fix",
    type=click.Choice(["security", "incident"]),
    default=None,
    help="Call it a fix that a budget lets pass.",
)
@click.option("--reason", "-m", required=True, help="What you looked at, or why not any more.")
@click.option("--withdraw", is_flag=True, help="Take your consent back, while nothing has begun.")
@flags
@click.pass_obj
def command(
    session: Session,
    change: str,
    environment: str,
    job: str,
    fix: str | None,
    reason: str,
    withdraw: bool,
) -> None:
    """Consent to a change in an environment, or to a job that waits for it; it is never your own."""
    if bool(environment) == bool(job):
        raise click.UsageError("say what it is for: --environment ENV or --job JOB")
    ask = {"change": change, "environment": environment, "job": job, "reason": reason}
    if fix and not withdraw:
        ask["fix"] = fix
    path, done = "/approvals", "approves"
    if withdraw:
        path, done = "/approvals/withdraw", "no longer approves"
    approval = session.client.post(path, ask)
    who = approval["by"].removeprefix("person:")
    place = environment or f"job {job}"
    called = f" as a fix ({fix})" if fix and not withdraw else ""
    show(session, approval, lambda one: [f"{who} {done} {one['change']} for {place}{called}"])
