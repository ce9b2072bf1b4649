"""``andon queue``."""

from __future__ import annotations

from typing import Any

import click

from andon.cli.output import faint, moment, show, strong, table
from andon.cli.root import flags
from andon.cli.session import Session

_NO_LETTERS = "nothing was given up"


@click.group()
def command() -> None:
    """See what waits, who works on it, and what was given up."""


@command.command("show")
@flags
@click.pass_obj
def show_(session: Session) -> None:
    """Show everything that is due or under way."""
    show(session, session.client.get("/queue"), _tell)


@command.command("workers")
@flags
@click.pass_obj
def workers(session: Session) -> None:
    """List the workers and their leases."""
    show(session, session.client.get("/queue")["workers"], _tell_workers)


@command.command("dead")
@flags
@click.pass_obj
def dead(session: Session) -> None:
    """List what failed so often that it was given up."""
    show(session, session.client.get("/queue")["deadLetters"], _tell_letters)


@command.command("retry")
@click.argument("subject")
@click.option("--queue", default="turns", show_default=True, help="Queue of the dead letter.")
@flags
@click.pass_obj
def retry(session: Session, subject: str, queue: str) -> None:
    """Try again what was given up, such as Run/build-shop-1a2b."""
    ask = {"queue": queue, "subject": subject}
    letter = session.client.post("/dead-letters/retry", ask)
    show(session, letter, lambda one: [f"{one['subject']} is tried again"])


@command.command("drop")
@click.argument("subject")
@click.option("--queue", default="turns", show_default=True, help="Queue of the dead letter.")
@click.option("--reason", required=True, help="Why; the ledger keeps it.")
@flags
@click.pass_obj
def drop(session: Session, subject: str, queue: str, reason: str) -> None:
    """Forget what was given up."""
    ask = {"queue": queue, "subject": subject, "reason": reason}
    letter = session.client.post("/dead-letters/drop", ask)
    show(session, letter, lambda one: [f"{one['subject']} is forgotten"])


def _tell(queue: dict[str, Any]) -> list[str]:
    lines = [f"paused: {queue['paused']}", ""] if queue["paused"] else []
    for title, part in (
        ("Workers", _tell_workers(queue["workers"])),
        ("Turns", _tell_turns(queue["turns"])),
        ("Actions", _tell_actions(queue["actions"])),
        ("Given up", _tell_letters(queue["deadLetters"])),
    ):
        lines += [strong(title), *(f"  {line}" for line in part)]
    return lines


def _tell_workers(workers: list[dict[str, Any]]) -> list[str]:
    rows = [
        (one["name"], "alive" if one["alive"] else "gone", _ends(one["leaseEndsIn"]))
        for one in workers
    ]
    return table(("WORKER", "STATE", "LEASE"), rows, "nobody works")


def _ends(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds > 0 else f"ended {-seconds:.0f} s ago"


def _tell_turns(turns: list[dict[str, Any]]) -> list[str]:
    rows = [
        (one["subject"], moment(one["due"]), one["worker"] or faint("waits"), str(one["attempts"]))
        for one in turns
    ]
    return table(("SUBJECT", "DUE", "WORKER", "TRIED"), rows, "nothing is due")


def _tell_actions(actions: list[dict[str, Any]]) -> list[str]:
    rows = [
        (one["queue"], one["subject"], one["step"], one["worker"] or faint("waits"))
        for one in actions
    ]
    return table(("QUEUE", "SUBJECT", "STEP", "WORKER"), rows, "nothing is under way")


def _tell_letters(letters: list[dict[str, Any]]) -> list[str]:
    rows = [
        (one["queue"], one["subject"], str(one["attempts"]), moment(one["at"]), one["error"])
        for one in letters
    ]
    return table(("QUEUE", "SUBJECT", "TRIED", "GIVEN UP", "WHY"), rows, _NO_LETTERS)
