"""``andon secret``."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from andon.cli.follow import POLL_SECONDS, exit_code, needs_person, news
from andon.cli.output import clock_time, faint, moment, say, show, table
from andon.cli.root import flags
from andon.cli.session import Session
from andon.client.wire import part
from andon.kernel.errors import NotFound, UsageError

PIPELINES = "pipelines"
MOST_BYTES = 65536

Json = dict[str, Any]


@click.group()
def command() -> None:
    """Keep what jobs and services must know and nobody may read."""


def _where(command: Any) -> Any:
    pipelines = click.option("--pipelines", is_flag=True, help="For jobs that build.")
    environment = click.option("--environment", "-e", default="", help="Where it holds.")
    return environment(pipelines(command))


def _value(command: Any) -> Any:
    file = click.option(
        "--from-file", type=click.Path(path_type=Path), help="Holds the value; - is standard input."
    )
    variable = click.option("--from-env", metavar="VARIABLE", help="Holds the value.")
    follow = click.option(
        "--follow/--no-follow", default=True, help="Follow its rollouts, or return at once."
    )
    return file(variable(follow(command)))


@command.command("set")
@click.argument("name")
@_where
@_value
@flags
@click.pass_obj
def set_(
    session: Session,
    name: str,
    environment: str,
    pipelines: bool,
    from_file: Path | None,
    from_env: str | None,
    follow: bool,
) -> int:
    """Keep a new secret; the value comes from a file, a variable, standard input or the keyboard."""
    place = _place(environment, pipelines)
    return _put(session, place, name, _read(from_file, from_env), create=True, follow=follow)


@command.command("rotate")
@click.argument("name")
@_where
@_value
@flags
@click.pass_obj
def rotate(
    session: Session,
    name: str,
    environment: str,
    pipelines: bool,
    from_file: Path | None,
    from_env: str | None,
    follow: bool,
) -> int:
    """Give a secret a new value, and roll out again what runs with it.

    Ends as `andon ship` does: 0 when it is everywhere, 8 when it was rolled back, 10 when something
    holds it that a person must open.
    """
    place = _place(environment, pipelines)
    return _put(session, place, name, _read(from_file, from_env), create=False, follow=follow)


@command.command("list")
@click.option("--environment", "-e", default="", help="Only there.")
@click.option("--pipelines", is_flag=True, help="Only those of jobs that build.")
@flags
@click.pass_obj
def list_(session: Session, environment: str, pipelines: bool) -> None:
    """List secrets, without their values."""
    place = _place(environment, pipelines) if environment or pipelines else ""
    show(session, session.client.get("/secrets", {"environment": place}), _tell_all)


@command.command("remove")
@click.argument("name")
@_where
@flags
@click.pass_obj
def remove(session: Session, name: str, environment: str, pipelines: bool) -> None:
    """Forget a secret with all its values; refused while something runs with it."""
    place = _place(environment, pipelines)
    answer = session.client.delete(f"/secrets/{part(place)}/{part(name)}")
    show(
        session, answer, lambda one: [f"secret {one['name']} of {one['environment']} is forgotten"]
    )


@command.command("rewrap")
@click.option("--old-key-file", type=click.Path(path_type=Path), help="Holds the key before.")
@click.option("--old-key-env", metavar="VARIABLE", help="Holds the key before.")
@click.option("--lost", is_flag=True, help="Forget what was sealed by a key that is lost for good.")
@flags
@click.pass_obj
def rewrap(
    session: Session, old_key_file: Path | None, old_key_env: str | None, lost: bool
) -> None:
    """Have another key seal all secrets; nothing that runs changes.

    Without an old key, Andon makes the next key in its file. Where `secretsKey` names another source,
    have that give the next key, start Andon again, and name the old one here.
    """
    given = old_key_file is not None or old_key_env is not None
    ask = {"oldKey": _read(old_key_file, old_key_env) if given else "", "lost": lost}
    show(session, session.client.post("/secrets/rewrap", ask), _tell_rewrapped)


# --- the value ------------------------------------------------------------------------------------


def _place(environment: str, pipelines: bool) -> str:
    if bool(environment) == pipelines:
        raise UsageError(
            "say where the secret holds: in one environment, or for jobs that build",
            hint="--environment ENV, or --pipelines",
        )
    return environment or PIPELINES


def _read(file: Path | None, variable: str | None) -> str:
    """Read a value from where it does not show: never from the arguments."""
    if file is not None and variable is not None:
        raise UsageError("the value comes from one place", hint="--from-file FILE or --from-env V")
    if variable is not None:
        if variable not in os.environ:
            raise NotFound(
                f"there is no environment variable {variable}", hint=f"export {variable}"
            )
        return os.environ[variable]
    if file is not None and str(file) != "-":
        return _text(_content(file), str(file))
    if sys.stdin.isatty():
        value: str = click.prompt("Value", hide_input=True, confirmation_prompt="Once more")
        return value
    return _text(sys.stdin.buffer.read(MOST_BYTES + 2), "standard input")


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(MOST_BYTES + 2)
    except OSError as error:
        raise NotFound(f"{file} cannot be read: {error.strerror}") from None


def _text(data: bytes, where: str) -> str:
    """Decode; the end of a single line is none of the value, that of a key's file is."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{where} is no text in UTF-8", hint="base64 makes text of it") from None
    line = text.removesuffix("\n").removesuffix("\r")
    if line != text and "\n" not in line:
        click.echo("note: the end of the line is not part of the secret", err=True)
        return line
    return text


# --- the answer -----------------------------------------------------------------------------------


def _put(
    session: Session, environment: str, name: str, value: str, *, create: bool, follow: bool
) -> int:
    path = f"/secrets/{part(environment)}/{part(name)}"
    secret = session.client.put(path, {"value": value, "create": create})
    if not session.json:
        for line in _tell_put(secret):
            say(session, line)
    runs, code = _follow(session, secret["runs"]) if follow else ([], 0)
    if session.json:
        followed = {"rollouts": runs, "exitCode": code} if runs else {}
        show(session, {**secret, **followed}, lambda _: ())
    return code


def _follow(session: Session, names: list[str]) -> tuple[list[Json], int]:
    """Follow rollouts until each has ended or waits for a person; how they stand, and the worst end."""
    ended: list[Json] = []
    worst, said = 0, set[str]()
    while len(ended) < len(names):
        for name in names[len(ended) :]:
            run = session.client.get(f"/runs/{part(name)}")
            _tell_news(session, run, said)
            why = {} if run["phase"] in ("Pending", "Running") else _why(session, run)
            code = exit_code(run, why)
            if run["phase"] in ("Pending", "Running", "Waiting") and not needs_person(why):
                break
            ended.append(run)
            worst = max(worst, code)
        else:
            break
        time.sleep(POLL_SECONDS)
    return ended, worst


def _why(session: Session, run: Json) -> Json:
    if run["phase"] != "Waiting":
        return {}
    answer: Json = session.client.get("/why", {"subject": run["name"]})
    return answer


def _tell_news(session: Session, run: Json, said: set[str]) -> None:
    for line, at in news({"runs": [run]}):
        if line not in said and not session.json:
            said.add(line)
            say(session, f"{faint(clock_time(at))}  {line}")


def _tell_put(one: Json) -> list[str]:
    lines = [f"secret {one['name']} of {one['environment']} is at version {one['version']}"]
    return [*lines, *(f"  {name} begins" for name in one["runs"])]


def _tell_all(secrets: list[Json]) -> list[str]:
    rows = [
        (
            one["name"],
            one["environment"],
            str(one["version"]),
            moment(one["at"]),
            one["by"],
            ", ".join(one["usedBy"]),
        )
        for one in secrets
    ]
    head = ("NAME", "ENVIRONMENT", "VERSION", "SET", "BY", "USED BY")
    return table(head, rows, "there are no secrets: andon secret set NAME --environment ENV")


def _tell_rewrapped(one: Json) -> list[str]:
    lines = [
        f"{one['values']} sealed values: key {one['key']} instead of {one['before'] or 'none'}"
    ]
    if one["forgotten"]:
        lines.append(f"  {one['forgotten']} values are lost: `andon secret rotate` sets them again")
    return [*lines, "  keep the new key apart from backups; older backups need the key before"]
