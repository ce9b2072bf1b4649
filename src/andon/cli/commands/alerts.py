"""``andon alerts``."""

from __future__ import annotations

from typing import Any

import click

from andon.cli.output import faint, moment, show, strong, table
from andon.cli.root import flags
from andon.cli.session import Session
from andon.client.wire import part
from andon.kernel.duration import parse_duration
from andon.kernel.errors import UsageError

Json = dict[str, Any]

_COLORS = {"page": "red", "ticket": "yellow", "question": "cyan", "info": "blue"}


@click.group()
def command() -> None:
    """See what fires, take it on, and keep it quiet for a while."""


@command.command("list")
@click.option("--all", "-a", "all_", is_flag=True, help="Those that are over, too.")
@click.option("--limit", default=50, show_default=True, help="At most so many.")
@flags
@click.pass_obj
def list_(session: Session, all_: bool, limit: int) -> None:
    """List alerts that fire, those that may yet, and those refused as they never could."""
    asked: Json = {"limit": limit}
    if all_:
        asked["all"] = "true"
    show(session, session.client.get("/alerts", asked), _tell_all)


@command.command("show")
@click.argument("name")
@flags
@click.pass_obj
def show_(session: Session, name: str) -> None:
    """Show an alert with its story."""
    show(session, session.client.get(f"/alerts/{part(name)}"), _tell)


@command.command("ack")
@click.argument("name")
@click.option("--reason", "-m", required=True, help="What you are about to do.")
@flags
@click.pass_obj
def ack(session: Session, name: str, reason: str) -> None:
    """Take an alert on: nobody is told of it again until something changes."""
    taken = session.client.post(f"/alerts/{part(name)}/acknowledge", {"reason": reason})
    show(session, taken, lambda one: [f"{one['name']} is yours: {one['summary']}"])


@command.command("silence")
@click.argument("matchers", nargs=-1, required=True, metavar="MATCHER...")
@click.option("--for", "duration", required=True, metavar="DURATION", help="How long, such as 2h.")
@click.option("--reason", "-m", required=True, help="Why nobody need know.")
@flags
@click.pass_obj
def silence(session: Session, matchers: tuple[str, ...], duration: str, reason: str) -> None:
    """Have nobody told of alerts that match, for a while: 'service="shop"' 'severity=~"ticket|info"'."""
    try:
        seconds = parse_duration(duration)
    except ValueError as error:
        raise UsageError(str(error), hint="--for 2h") from None
    ask = {"matchers": list(matchers), "seconds": seconds, "reason": reason}
    made = session.client.post("/silences", ask)
    show(
        session,
        made,
        lambda one: [
            f"{one['name']}: {' '.join(one['matchers'])} until {moment(one['until'])}",
            f"  end it: andon alerts unsilence {one['name']}",
        ],
    )


@command.command("unsilence")
@click.argument("name")
@flags
@click.pass_obj
def unsilence(session: Session, name: str) -> None:
    """End a silence before its time."""
    ended = session.client.post(f"/silences/{part(name)}/end", {})
    show(session, ended, lambda one: [f"{one['name']} is over"])


@command.command("silences")
@click.option("--all", "-a", "all_", is_flag=True, help="Those that are over, too.")
@flags
@click.pass_obj
def silences(session: Session, all_: bool) -> None:
    """List silences."""
    asked = {"all": "true"} if all_ else {}
    show(session, session.client.get("/silences", asked), _tell_silences)


# --- the answer -----------------------------------------------------------------------------------


def _tell_all(told: Json) -> list[str]:
    head = ("ALERT", "SEVERITY", "SINCE", "STATE", "WHAT")
    lines = table(head, [_row(one) for one in told["alerts"]], "nothing fires")
    for one in told["pending"]:
        lines.append(faint(f"may yet fire: {one['severity']} {one['service']}: {one['summary']}"))
    for one in told["refused"]:
        lines.append(faint(f"refused: {one['name']} of {one['objective']}: {one['reason']}"))
    if not told["evaluatedAt"]:
        lines.append(faint("Objectives were not looked at yet"))
    return lines


def _row(one: Json) -> tuple[str, ...]:
    return (
        one["name"],
        _severity(one["severity"]),
        faint(moment(one["firedAt"])),
        _state(one),
        one["summary"],
    )


def _severity(word: str) -> str:
    return click.style(word, fg=_COLORS.get(word))


def _state(one: Json) -> str:
    if one["state"] == "resolved":
        return "resolved"
    if one["silencedBy"]:
        return f"silenced ({one['silencedBy']})"
    if one["inhibitedBy"]:
        return f"said by {one['inhibitedBy']}"
    if one["unknownSince"]:
        return "unknown"
    if one["acknowledgedAt"]:
        return f"taken by {one['acknowledgedBy'].removeprefix('person:')}"
    return "firing"


def _tell(one: Json) -> list[str]:
    labels = " ".join(f'{name}="{value}"' for name, value in sorted(one["labels"].items()))
    lines = [
        f"{strong(one['name'])}  {_severity(one['severity'])}  {_state(one)}",
        f"  {one['summary']}",
        faint(f"  {labels}"),
        *(f"  {line}" for line in one["details"].splitlines()),
        *(f"  {link}" for link in one["links"]),
    ]
    if one["hold"]:
        lines.append(f"  holds: {one['hold']}")
    if one["resolution"]:
        lines.append(f"  over: {one['resolution']}")
    return [*lines, *(f"  {faint(moment(row['at']))}  {row['text']}" for row in one["story"])]


def _tell_silences(found: list[Json]) -> list[str]:
    rows = [
        (
            one["name"],
            " ".join(one["matchers"]),
            moment(one["until"]),
            one["by"].removeprefix("person:"),
            one["reason"] if one["inForce"] else f"over: {one['reason']}",
        )
        for one in found
    ]
    head = ("SILENCE", "MATCHERS", "UNTIL", "BY", "WHY")
    return table(head, rows, "nothing is silenced")
