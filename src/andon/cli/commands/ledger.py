"""``andon ledger``."""

from __future__ import annotations

import json
from typing import Any

import click

from andon.cli.client import part
from andon.cli.output import faint, moment, show, strong, table
from andon.cli.root import flags
from andon.cli.session import Session
from andon.kernel.errors import Untrusted


@click.group()
def command() -> None:
    """List, show and verify what was recorded."""


@command.command("list")
@click.option("--after", default=0, help="Only events after this sequence.")
@click.option("--stream", default="", help="Only of this chain, such as env/prod.")
@click.option("--change", "chain", default="", help="Only of this change.")
@click.option("--subject", default="", help="Only about this.")
@click.option("--type", default="", help="Only of this type.")
@click.option("--limit", default=100, show_default=True, help="At most so many.")
@flags
@click.pass_obj
def list_(session: Session, /, **query: Any) -> None:
    """List events in the order they were recorded."""
    show(session, session.client.get("/ledger", query), _tell_all)


@command.command("show")
@click.argument("id")
@flags
@click.pass_obj
def show_(session: Session, id: str) -> None:
    """Show an event, what led to it and what came of it."""
    show(session, session.client.get(f"/ledger/{part(id)}"), _tell_one)


@command.command("verify")
@flags
@click.pass_obj
def verify(session: Session) -> int:
    """Recompute every chain; 11 if one is broken."""
    answer = session.client.get("/ledger/verify")
    show(session, answer, _tell_verified)
    return 0 if answer["ok"] else Untrusted.exit_code


def _tell_all(events: list[dict[str, Any]]) -> list[str]:
    rows = [
        (str(one["seq"]), faint(moment(one["at"])), one["stream"], one["text"], faint(one["id"]))
        for one in events
    ]
    return table(("SEQ", "AT", "STREAM", "WHAT", "ID"), rows, "nothing is recorded yet")


def _tell_one(answer: dict[str, Any]) -> list[str]:
    return [
        strong(answer["event"]["text"]),
        json.dumps(answer["body"], indent=2, ensure_ascii=False),
        *(f"caused by  {one['id']}  {one['text']}" for one in answer["causes"]),
        *(f"led to     {one['id']}  {one['text']}" for one in answer["effects"]),
    ]


def _tell_verified(answer: dict[str, Any]) -> list[str]:
    said = f"{answer['events']} events in {answer['streams']} chains"
    if answer["erased"]:
        said += f", {answer['erased']} of them with an erased body"
    if answer["ok"]:
        return [f"{said}: every digest and every link is as it was written"]
    return [f"{said}: broken", *(f"  {finding}" for finding in answer["findings"])]
