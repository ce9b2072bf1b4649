"""``andon events``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from andon.cli.output import faint, show
from andon.cli.root import flags
from andon.cli.session import Session
from andon.kernel.errors import NotFound, UsageError

_SENT = ("application/cloudevents+json", "application/cloudevents-batch+json")


@click.group()
def command() -> None:
    """Take events of others."""


@command.command("send")
@click.argument("file", type=click.Path(path_type=Path))
@flags
@click.pass_obj
def send(session: Session, file: Path) -> None:
    """Send the CloudEvents, or the bare CDEvents, of a JSON file; - is the standard input."""
    said = _read(file)
    sent = [_wrapped(one) for one in (said if isinstance(said, list) else [said])]
    answer = session.client.post("/events", sent, content_type=_SENT[1])
    show(session, answer, _tell)


def _read(file: Path) -> Any:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text()
        return json.loads(text)
    except OSError as error:
        raise NotFound(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is not JSON: {error}") from None


def _wrapped(event: Any) -> Any:
    """Put a bare CDEvent into a CloudEvent; leave everything else."""
    if not isinstance(event, dict) or "specversion" in event:
        return event
    context = event.get("context")
    attributes = context if isinstance(context, dict) else {}
    return {
        "specversion": "1.0",
        **{name: attributes[name] for name in ("id", "source", "type") if name in attributes},
        "datacontenttype": "application/json",
        "data": event,
    }


def _tell(answer: dict[str, Any]) -> list[str]:
    lines = []
    for one in answer["events"]:
        again = "" if one["created"] else " (was there already)"
        about = f" for {one['change']}" if one["change"] else ""
        lines.append(f"{one['id']} kept as {one['event']}{about}{again}")
        lines += [f"  Evidence of {check}" for check in one["checks"]]
        lines += [f"  {faint(note)}" for note in one["notes"]]
    return lines
