"""``andon diff``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from andon.cli.commands.ship import local
from andon.cli.foretelling import tell_coming
from andon.cli.output import sha, show, strong
from andon.cli.root import flags
from andon.cli.session import Session, project_root


@click.command()
@click.argument("environment")
@click.argument("ref", default="HEAD")
@click.option("--repository", default="", help="Path or URL; this folder's repository if unset.")
@flags
@click.pass_obj
def command(session: Session, environment: str, ref: str, repository: str) -> None:
    """Show what a ship would change in an environment."""
    where = local(repository or str(project_root(Path.cwd())))
    query = {"repository": where, "ref": ref, "environment": environment}
    show(session, session.client.get("/diff", query), _tell)


def _tell(answer: dict[str, Any]) -> list[str]:
    lines = [line for one in answer["services"] for line in _service(one)]
    lines += tell_coming(answer["forecasts"])
    return lines or [f"nothing would change in {answer['environment']}"]


def _service(one: dict[str, Any]) -> list[str]:
    if not one["changes"] and one["from"] == one["to"]:
        return []
    head = f"{strong(one['service'])}  {_version(one['from'])} -> {_version(one['to'])}"
    return [head, *(_field(change) for change in one["changes"])]


def _version(version: dict[str, str] | None) -> str:
    return sha(version["sha"] or version["digest"] or version["configHash"]) if version else "-"


def _field(change: dict[str, Any]) -> str:
    before, after = (_value(change[end]) for end in ("from", "to"))
    return f"  {change['field']}: {before} -> {after}"


def _value(value: Any) -> str:
    return "-" if value is None else str(value)
