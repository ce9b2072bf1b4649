"""``andon ledger``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from andon.cli.output import faint, moment, show, strong, table
from andon.cli.root import flags
from andon.cli.session import Session
from andon.client.wire import part
from andon.kernel.errors import Untrusted, UsageError

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def command() -> None:
    """List, show, prove, keep and carry what was recorded."""


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
    empty = "nothing fits" if any(query[name] for name in query.keys() - {"limit"}) else ""
    answer = session.client.get("/ledger", query)
    show(session, answer, lambda events: _tell_all(events, empty or "nothing is recorded yet"))


@command.command("show")
@click.argument("id")
@flags
@click.pass_obj
def show_(session: Session, id: str) -> None:
    """Show an event, what led to it and what came of it."""
    show(session, session.client.get(f"/ledger/{part(id)}"), _tell_one)


@command.command("verify")
@click.option("--deep", is_flag=True, help="Read archived segments back, too.")
@click.option("--file", "file", type=_FILE, help="An exported file instead.")
@flags
@click.pass_obj
def verify(session: Session, deep: bool, file: Path | None) -> int:
    """Recompute every chain and check every signature; 11 if something is not as it was."""
    if file is not None:
        show(session, _verify_file(file), _tell_file)
        return 0
    answer = session.client.get("/ledger/verify", {"deep": "1" if deep else ""})
    show(session, answer, _tell_verified)
    return 0 if answer["ok"] else Untrusted.exit_code


@command.command("key")
@flags
@click.pass_obj
def key(session: Session) -> None:
    """Print the public key that checkpoints are signed with."""
    show(session, session.client.get("/ledger/key"), lambda answer: [answer["publicKey"].rstrip()])


@command.command("checkpoint")
@flags
@click.pass_obj
def checkpoint(session: Session) -> None:
    """Sign the ends of all chains now."""
    answer = session.client.post("/ledger/checkpoint", {})
    show(session, answer, lambda one: [f"everything up to seq {one['seq']} is signed"])


@command.command("erase")
@click.argument("id")
@click.option("--reason", required=True, help="Why its body must go, for those who will ask.")
@flags
@click.pass_obj
def erase(session: Session, id: str, reason: str) -> None:
    """Take out an event's body, for law or a leak; the chain still proves it was there."""
    answer = session.client.post("/ledger/erase", {"id": id, "reason": reason})
    show(session, answer, lambda one: [f"the body of {one['id']} is erased; {one['told']} says so"])


@command.command("archive")
@click.option("--before", type=click.DateTime(), help="Events older than this moment (local time).")
@click.option("--keep", default="", help="Or: all but the newest, such as 90d.")
@flags
@click.pass_obj
def archive(session: Session, before: Any, keep: str) -> None:
    """Move old beginnings of streams into the blob store."""
    if (before is None) == (not keep):
        raise UsageError("archive needs either --before or --keep", hint="--keep 90d")
    answer = session.client.post("/ledger/archive", {"before": _moment(before, keep)})
    show(session, answer, lambda one: [f"{one['events']} events moved into {one['blobs']} blobs"])


@command.command("export")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--after", default=0, help="Only events after this sequence.")
@click.option("--stream", default="", help="Only of this chain.")
@click.option("--change", "chain", default="", help="Only of this change.")
@click.option("--subject", default="", help="Only about this.")
@click.option("--type", default="", help="Only of this type.")
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
@click.option(
    "--resume", is_flag=True, help="Go on behind the last whole line of FILE, or of a cut-off try."
)
@flags
@click.pass_obj
def export(session: Session, /, file: str, overwrite: bool, resume: bool, **query: Any) -> None:
    """Write events as lines of CloudEvents to FILE, or to - for standard output."""
    from andon.cli.ledger_files import export_to, go_on

    if resume and (overwrite or file == "-"):
        raise UsageError("--resume goes on with a file", hint="neither --overwrite nor - fits that")
    if resume:
        answer = go_on(session.client, Path(file), query)
    else:
        answer = export_to(session.client, file, query, overwrite=overwrite)
    if file != "-":
        show(session, answer, lambda one: [f"{one['events']} events written to {one['file']}"])


@command.command("import")
@click.argument("file", type=_FILE)
@flags
@click.pass_obj
def import_(session: Session, file: Path) -> None:
    """Restore exported events into an empty ledger, or go on where an import ended."""
    _verify_file(file)
    from andon.cli.ledger_files import import_from

    answer = import_from(session.client, file)
    show(
        session,
        answer,
        lambda one: [f"{one['events']} events imported, {one['skipped']} were there already"],
    )


def _verify_file(file: Path) -> dict[str, Any]:
    from andon.cli.ledger_files import verify_file

    return verify_file(file)


def _moment(before: Any, keep: str) -> float:
    if before is not None:
        return float(before.timestamp())
    from andon.kernel.duration import parse_duration
    from andon.runtime.system import SystemClock

    try:
        return SystemClock().now() - parse_duration(keep)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--keep") from None


def _tell_all(events: list[dict[str, Any]], empty: str) -> list[str]:
    rows = [
        (str(one["seq"]), faint(moment(one["at"])), one["stream"], one["text"], faint(one["id"]))
        for one in events
    ]
    return table(("SEQ", "AT", "STREAM", "WHAT", "ID"), rows, empty)


def _tell_one(answer: dict[str, Any]) -> list[str]:
    return [
        strong(answer["event"]["text"]),
        json.dumps(answer["body"], indent=2, ensure_ascii=False)
        if answer["body"]
        else f"by whom and why: andon ledger list --stream ledger --subject {answer['event']['id']}",
        *(f"caused by  {one['id']}  {one['text']}" for one in answer["causes"]),
        *(f"led to     {one['id']}  {one['text']}" for one in answer["effects"]),
    ]


def _tell_file(answer: dict[str, Any]) -> list[str]:
    whole = "the whole ledger" if answer["whole"] else "a part of a ledger"
    return [f"{answer['events']} events, {whole}: every digest and every link is as it was written"]


def _tell_verified(answer: dict[str, Any]) -> list[str]:
    said = f"{answer['events']} events in {answer['streams']} chains"
    if answer["archived"]:
        said += f", {answer['archived']} more in {answer['segments']} archived segments"
    if answer["erased"]:
        said += f", {answer['erased']} of them with an erased body"
    if not answer["ok"]:
        return [f"{said}: broken", *(f"  {finding}" for finding in answer["findings"])]
    signed = f"{answer['checkpoints']} signed checkpoints cover everything up to seq"
    return [
        f"{said}: every digest and every link is as it was written",
        f"{signed} {answer['signedSeq']}" if answer["checkpoints"] else "nothing is signed yet",
    ]
