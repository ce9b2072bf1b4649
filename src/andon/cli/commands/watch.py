"""``andon watch``."""

from __future__ import annotations

from typing import Any

import click

from andon.cli.commands.ship import local
from andon.cli.output import sha, show, table
from andon.cli.root import flags
from andon.cli.session import Session
from andon.kernel.duration import parse_duration
from andon.kernel.errors import UsageError


@click.group()
def command() -> None:
    """Ship every new commit of a branch by itself."""


@command.command("add")
@click.argument("repository")
@click.option("--branch", default="main", show_default=True, help="Branch to watch.")
@click.option("--every", default="5s", show_default=True, help="How often to look.")
@flags
@click.pass_obj
def add(session: Session, repository: str, branch: str, every: str) -> None:
    """Watch a branch of a repository (path or URL)."""
    try:
        seconds = parse_duration(every)
    except ValueError as error:
        raise UsageError(str(error), hint="--every 30s") from None
    ask = {"repository": local(repository), "branch": branch, "intervalSeconds": seconds}
    answer = session.client.post("/watches", ask)
    show(session, answer, lambda one: [f"watching {one['branch']} of {one['repository']}"])


@command.command("list")
@flags
@click.pass_obj
def list_(session: Session) -> None:
    """List watched branches."""
    show(session, session.client.get("/watches"), _tell)


@command.command("remove")
@click.argument("repository")
@click.option("--branch", default="main", show_default=True, help="The branch.")
@flags
@click.pass_obj
def remove(session: Session, repository: str, branch: str) -> None:
    """Stop watching a branch."""
    query = {"repository": local(repository), "branch": branch}
    answer = session.client.delete("/watches", query)
    show(
        session, answer, lambda one: [f"no longer watching {one['branch']} of {one['repository']}"]
    )


def _tell(watches: list[dict[str, Any]]) -> list[str]:
    rows = [
        (one["repository"], one["branch"], sha(one.get("sha", "")), one.get("message", ""))
        for one in watches
    ]
    return table(("REPOSITORY", "BRANCH", "SEEN", ""), rows, "nothing is watched: andon watch add")
