"""``andon subscriptions``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from andon.cli.output import faint, moment, show, strong, table
from andon.cli.root import flags
from andon.cli.session import Session
from andon.client.wire import part
from andon.kernel.errors import NotFound, UsageError

_STARTS = "now, start, or the sequence of the first event to be told."
_secret_file = click.option(
    "--secret-file",
    type=click.Path(path_type=Path),
    help="Holds the signing secret; without it one is made and shown once.",
)


@click.group()
def command() -> None:
    """Tell others what happens: webhooks, RabbitMQ, NATS."""


@command.command("add")
@click.argument("name")
@click.option("--to", "url", required=True, help="https://…, amqps://… or nats://… address.")
@click.option("--types", multiple=True, help="Only types that begin so; may be given again.")
@click.option("--stream", default="", help="Only this chain, such as env/prod.")
@click.option("--from", "start", default="now", show_default=True, help=f"Begin at {_STARTS}")
@click.option(
    "--mode",
    type=click.Choice(["structured", "binary"]),
    default="structured",
    show_default=True,
    help="How a CloudEvent is put into a message.",
)
@_secret_file
@flags
@click.pass_obj
def add(
    session: Session,
    name: str,
    url: str,
    types: tuple[str, ...],
    stream: str,
    start: str,
    mode: str,
    secret_file: Path | None,
) -> None:
    """Tell somebody outside, from now on or again from the start."""
    ask = {
        "name": name,
        "url": url,
        "types": list(types),
        "stream": stream,
        "start": start,
        "mode": mode,
        "secret": _read(secret_file),
    }
    show(session, session.client.post("/subscriptions", ask), _tell_added)


@command.command("list")
@flags
@click.pass_obj
def list_(session: Session) -> None:
    """List subscriptions and how far each is."""
    show(session, session.client.get("/subscriptions"), _tell_all)


@command.command("show")
@click.argument("name")
@flags
@click.pass_obj
def show_(session: Session, name: str) -> None:
    """Show a subscription: lag, last error, next attempt, dead letters."""
    show(session, session.client.get(f"/subscriptions/{part(name)}"), _tell_one)


@command.command("pause")
@click.argument("name")
@click.option("--reason", "-m", default="", help="Why.")
@flags
@click.pass_obj
def pause(session: Session, name: str, reason: str) -> None:
    """Send nothing until `resume`; what happens meanwhile is sent then."""
    _change(session, name, "pause", reason=reason)


@command.command("resume")
@click.argument("name")
@flags
@click.pass_obj
def resume(session: Session, name: str) -> None:
    """Go on, at once."""
    _change(session, name, "resume")


@command.command("replay")
@click.argument("name")
@click.option("--from", "start", required=True, help=f"Begin at {_STARTS}")
@flags
@click.pass_obj
def replay(session: Session, name: str, start: str) -> None:
    """Tell everything again; the events keep their ids."""
    _change(session, name, "replay", start=start)


@command.command("rotate")
@click.argument("name")
@_secret_file
@click.option("--drop-old", is_flag=True, help="Sign with the newest secret only.")
@flags
@click.pass_obj
def rotate(session: Session, name: str, secret_file: Path | None, drop_old: bool) -> None:
    """Sign with a new secret, and with the one before until --drop-old."""
    ask = {"secret": _read(secret_file), "dropOld": drop_old}
    show(session, session.client.post(f"/subscriptions/{part(name)}/rotate", ask), _tell_added)


@command.command("retry")
@click.argument("name")
@click.option("--event", default="", help="Only this event.")
@flags
@click.pass_obj
def retry(session: Session, name: str, event: str) -> int:
    """Try dead letters once more, now; 7 if one fails again."""
    ask = {"event": event}
    answer = session.client.post(f"/subscriptions/{part(name)}/retry", ask)
    show(session, answer, _tell_retried)
    return 7 if answer["failed"] else 0


@command.command("remove")
@click.argument("name")
@flags
@click.pass_obj
def remove(session: Session, name: str) -> None:
    """Forget a subscription and its dead letters."""
    answer = session.client.post(f"/subscriptions/{part(name)}/remove", {})
    show(session, answer, lambda one: [f"{one['name']} is told no more"])


def _read(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text().strip()
    except UnicodeDecodeError:
        raise UsageError(f"the secret file {path} is no text") from None
    except OSError as error:
        raise NotFound(f"the secret file {path} cannot be read: {error.strerror}") from None


def _change(session: Session, name: str, verb: str, **more: Any) -> None:
    ask = {**more}
    show(session, session.client.post(f"/subscriptions/{part(name)}/{verb}", ask), _tell_one)


def _tell_added(one: dict[str, Any]) -> list[str]:
    lines = [f"{one['name']} tells {one['url']} what follows {one['cursor']}"]
    if "secret" in one:
        lines += [f"  signed with {one['secret']}", "  keep it now: it is not shown again"]
    return lines


def _tell_all(subscriptions: list[dict[str, Any]]) -> list[str]:
    rows = [
        (
            one["name"],
            _state(one["state"]),
            _lag(one),
            str(one["dead"]),
            one["url"],
            one["paused"] or one["error"],
        )
        for one in subscriptions
    ]
    head = ("NAME", "STATE", "LAG", "DEAD", "TO", "")
    return table(head, rows, "nobody is told: andon subscriptions add NAME --to URL")


def _tell_one(one: dict[str, Any]) -> list[str]:
    lines = [
        f"{strong(one['name'])} {_state(one['state'])}  {one['url']}  {one['mode']}",
        f"  told     {one['delivered']}, last {moment(one['deliveredAt'])}, up to {one['cursor']}",
        f"  waiting  {_lag(one)}{_since(one)}",
    ]
    wanted = [*one["types"], *([f"stream {one['stream']}"] if one["stream"] else [])]
    lines += [f"  only     {', '.join(wanted)}"] if wanted else []
    lines += [f"  paused   {one['paused']}"] if one["paused"] else []
    if one["error"]:
        when = faint(f" {moment(one['failedAt'])}") if one["failedAt"] else ""
        lines.append(f"  error    {one['error']}{when}")
    if one["attempts"] and not one["paused"]:
        lines.append(f"  again    {moment(one['nextAt'])}, after {one['attempts']} attempts")
    for letter in one.get("letters", ()):
        lines.append(f"  dead     {letter['event']}: {letter['error']}")
    if one["dead"]:
        lines.append(f"  try them again: andon subscriptions retry {one['name']}")
    return lines


def _tell_retried(answer: dict[str, Any]) -> list[str]:
    lines = [f"told {event}" for event in answer["delivered"]]
    lines += [f"failed {one['event']}: {one['error']}" for one in answer["failed"]]
    return lines or ["there are no dead letters"]


def _state(word: str) -> str:
    color = {"active": "green", "failing": "red", "paused": "yellow"}[word]
    return click.style(word, fg=color)


def _lag(one: dict[str, Any]) -> str:
    return f"{one['lag']}{'+' if one['lagMore'] else ''}"


def _since(one: dict[str, Any]) -> str:
    return f", since {moment(one['waitingSince'])}" if one["waitingSince"] else ""
