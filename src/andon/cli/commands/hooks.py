"""``andon hooks``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from andon.cli.commands.ship import local
from andon.cli.output import faint, show, strong, table
from andon.cli.root import flags
from andon.cli.session import Session
from andon.client.wire import part
from andon.kernel.errors import NotFound, UsageError

MOST_BYTES = 4096
FORGES = ("github", "gitlab", "gitea")


def _given(what: str, meaning: str, without: str = "") -> Callable[[Any], Any]:
    """Let something secret be given by file or standard input: arguments can be seen by others."""

    def options(command: Any) -> Any:
        file = click.option(
            f"--{what}-file", type=click.Path(path_type=Path), help=f"Holds {meaning}{without}."
        )
        stdin = click.option(
            f"--{what}-stdin", is_flag=True, help=f"Read {meaning} from standard input."
        )
        return file(stdin(command))

    return options


_secret = _given("secret", "the shared secret", "; without it one is made and shown once")
_token = _given("token", "a token that may write commit statuses")


@click.group()
def command() -> None:
    """Ship what is pushed to GitHub, GitLab or Gitea, and tell them how it fares."""


@command.command("add")
@click.argument("name")
@click.option("--forge", type=click.Choice(FORGES), required=True, help="Whose words it speaks.")
@click.option("--repository", required=True, help="Address that is shipped.")
@click.option("--branch", "branches", multiple=True, help="Shipped; the policy branch if unset.")
@click.option("--pull-requests/--no-pull-requests", default=True, help="Build what is proposed.")
@click.option("--api", default="", help="Address of the forge's API; statuses are reported there.")
@click.option("--project", default="", metavar="OWNER/NAME", help="The repository's name there.")
@_token
@_secret
@flags
@click.pass_obj
def add(
    session: Session, /, name: str, repository: str, branches: tuple[str, ...], **more: Any
) -> None:
    """Listen to a forge; the answer says what to enter there."""
    ask = {
        "name": name,
        "repository": local(repository),
        "branches": list(branches),
        "forge": more["forge"],
        "pullRequests": more["pull_requests"],
        "api": more["api"],
        "project": more["project"],
        **_secrets(more),
    }
    show(session, session.client.post("/hooks", ask), _tell_added)


@command.command("list")
@flags
@click.pass_obj
def list_(session: Session) -> None:
    """List hooks."""
    show(session, session.client.get("/hooks"), _tell_all)


@command.command("show")
@click.argument("name")
@flags
@click.pass_obj
def show_(session: Session, name: str) -> None:
    """Show a hook, and how telling its forge goes."""
    show(session, session.client.get(f"/hooks/{part(name)}"), _tell_one)


@command.command("rotate")
@click.argument("name")
@_token
@_secret
@flags
@click.pass_obj
def rotate(session: Session, /, name: str, **more: Any) -> None:
    """Make a new secret, or with --token-… replace that of the API; the old one counts no more."""
    answer = session.client.post(f"/hooks/{part(name)}/rotate", _secrets(more))
    show(session, answer, _tell_added)


@command.command("remove")
@click.argument("name")
@flags
@click.pass_obj
def remove(session: Session, name: str) -> None:
    """Listen no more."""
    answer = session.client.delete(f"/hooks/{part(name)}")
    show(session, answer, lambda one: [f"{one['name']} is not listened to any more"])


def _secrets(more: dict[str, Any]) -> dict[str, str]:
    if more["token_stdin"] and more["secret_stdin"]:
        raise UsageError(
            "only one of token and secret can be on standard input", hint="--token-file FILE"
        )
    return {what: _read(what, more[f"{what}_file"], more[f"{what}_stdin"]) for what in _WHAT}


_WHAT = ("token", "secret")


def _read(what: str, path: Path | None, stdin: bool) -> str:
    if path is None and not stdin:
        return ""
    try:
        text = sys.stdin.read(MOST_BYTES) if path is None else path.read_text()
    except UnicodeDecodeError:
        raise UsageError(f"the {what} is no text") from None
    except OSError as error:
        raise NotFound(f"the {what} file {path} cannot be read: {error.strerror}") from None
    if not text.strip():
        raise UsageError(f"the {what} is empty")
    return text.strip()


def _tell_added(one: dict[str, Any]) -> list[str]:
    lines = [*_tell_one(one)]
    if "secret" in one:
        lines += [f"  secret    {one['secret']}", "  keep it now: it is not shown again"]
    return lines


def _tell_all(hooks: list[dict[str, Any]]) -> list[str]:
    rows = [
        (one["name"], one["forge"], one["repository"], _branches(one), one["api"]) for one in hooks
    ]
    head = ("NAME", "FORGE", "REPOSITORY", "SHIPS", "STATUSES TO")
    return table(head, rows, "no forge is listened to: andon hooks add NAME --forge …")


def _tell_one(one: dict[str, Any]) -> list[str]:
    lines = [
        f"{strong(one['name'])} {one['forge']}  {one['repository']}",
        f"  ships     {_branches(one)}",
        f"  builds    {'pull requests of its own' if one['pullRequests'] else 'nothing else'}",
        f"  post to   {one['url']}",
    ]
    if one["api"]:
        lines.append(f"  statuses  {one['project']} at {one['api']}")
    told = one.get("statuses")
    if told:
        lines.append(f"  told      {told['state']}, {told['lag']} waiting, {told['dead']} given up")
        lines += [f"  error     {told['error']}"] if told["error"] else []
        lines.append(faint(f"  andon subscriptions show {told['name']}"))
    return lines


def _branches(one: dict[str, Any]) -> str:
    return ", ".join(one["branches"]) or "the policy branch"
