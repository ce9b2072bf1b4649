"""``andon ship``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from andon.cli.foretelling import coming, tell_coming
from andon.cli.output import first_line, say, sha, show
from andon.cli.root import flags
from andon.cli.session import Session, project_root
from andon.kernel.duration import parse_duration


@click.command()
@click.argument("ref", default="HEAD")
@click.option("--repository", default="", help="Path or URL; this folder's repository if unset.")
@click.option(
    "--until",
    default="",
    metavar="ENVIRONMENT",
    help="Go no further than there; `@build`: build only.",
)
@click.option("--wait/--no-wait", default=True, help="Follow it (the default), or return at once.")
@click.option("--timeout", default="", metavar="DURATION", help="Stop following after this long.")
@flags
@click.pass_obj
def command(
    session: Session, ref: str, repository: str, until: str, wait: bool, timeout: str
) -> int:
    """Carry a commit as far as its gates allow.

    Ends with 0 when it is everywhere, 8 when it failed or was rolled back, 9 after --timeout, 10
    when something holds it that a person must open.
    """
    from andon.cli.follow import follow

    seconds = _seconds(timeout)
    where = repository or str(project_root(Path.cwd()))
    ask = {"repository": local(where), "ref": ref, "until": until}
    shipped = session.client.post("/ship", ask)
    ahead = coming(session, shipped["change"])
    if not wait:
        show(session, {**shipped, "forecasts": ahead}, _tell_shipped)
        return 0
    if not session.json:
        known = "" if shipped["created"] else " (on the line already)"
        message = first_line(shipped["message"])
        say(session, f"{shipped['change']}  {sha(shipped['sha'])}  {message}{known}")
        for line in tell_coming(ahead):
            say(session, line)
    return follow(session, shipped["change"], seconds, {"forecasts": ahead})


def _tell_shipped(one: dict[str, Any]) -> list[str]:
    return [f"{one['change']} is on the line", *tell_coming(one["forecasts"])]


def local(repository: str) -> str:
    """Make a path absolute, for a control plane that runs elsewhere; leave a URL as it is."""
    if "://" in repository or not Path(repository).exists():
        return repository
    return str(Path(repository).resolve())


def _seconds(timeout: str) -> float:
    try:
        return parse_duration(timeout) if timeout else 0.0
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--timeout") from None
