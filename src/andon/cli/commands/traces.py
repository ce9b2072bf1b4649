"""``andon traces``."""

from __future__ import annotations

import shutil
from typing import Any

import click

from andon.cli.output import faint, moment, show, table
from andon.cli.root import flags
from andon.cli.session import Session
from andon.cli.tree import visible
from andon.client.wire import part
from andon.kernel.duration import parse_duration

_NONE = "no trace is kept of that time; docs/traces.md says how services tell theirs"
_NO_CALLS = "no service told of a request in that time"
_BAR_LEAST, _WIDTH_MOST = 10, 160


@click.group()
def command() -> None:
    """See what requests went through, and Andon's own Changes and Runs."""


@command.command("list")
@click.option("--service", default="", help="With a span of this service.")
@click.option("--span", default="", help="With a span of this name.")
@click.option("--min", "least", default="0s", help="At least so long, such as 500ms.")
@click.option("--failed", is_flag=True, help="Only with a span that failed.")
@click.option("--attribute", default="", metavar="NAME=VALUE", help="With a span that has it.")
@click.option("--since", default="1h", show_default=True, help="How far back.")
@click.option("--limit", default=50, show_default=True, help="At most so many.")
@flags
@click.pass_obj
def list_(
    session: Session,
    service: str,
    span: str,
    least: str,
    failed: bool,
    attribute: str,
    since: str,
    limit: int,
) -> None:
    """List traces that are kept, newest first: failed and slow ones, and a share of the rest."""
    query = {
        "service": service,
        "span": span,
        "minSeconds": parse_duration(least),
        "failed": "true" if failed else "false",
        "attribute": attribute,
        "sinceSeconds": parse_duration(since),
        "limit": limit,
    }
    show(session, session.client.get("/telemetry/traces", query), _tell)


@command.command("show")
@click.argument("trace")
@flags
@click.pass_obj
def show_(session: Session, trace: str) -> None:
    """Draw a trace; TRACE is its id, or the name of a Change or Run."""
    found = session.client.get(f"/telemetry/traces/{part(trace)}")
    show(session, found, _draw)


@command.command("services")
@click.option("--since", default="1h", show_default=True, help="How far back.")
@flags
@click.pass_obj
def services(session: Session, since: str) -> None:
    """Say which service called which."""
    query = {"sinceSeconds": parse_duration(since)}
    show(session, session.client.get("/telemetry/services", query), _tell_calls)


def _tell(traces: Any) -> list[str]:
    rows = [
        (
            one["trace"],
            moment(one["startedAt"]),
            f"{printable(one['service'])}: {printable(one['root'])}",
            lasting(one["seconds"]),
            str(one["spans"]),
            click.style("failed", fg="red") if one["failed"] else "ok",
        )
        for one in traces
    ]
    return table(("TRACE", "BEGAN", "WHAT", "TOOK", "SPANS", "STATE"), rows, _NONE)


def _tell_calls(found: Any) -> list[str]:
    rows = [
        (
            printable(one["caller"]) or faint("(outside)"),
            printable(one["callee"]),
            f"{one['calls']:,}",
            f"{one['failed'] / one['calls']:.2%}",
            lasting(one["meanSeconds"]),
        )
        for one in found["calls"]
    ]
    return table(("FROM", "TO", "CALLS", "FAILED", "MEAN"), rows, _NO_CALLS)


def _draw(trace: Any) -> list[str]:
    """Draw a waterfall: a line a span, its bar where it was in the time of the trace."""
    spans = trace["spans"]
    names = [f"{'  ' * min(one['depth'], 12)}{printable(one['name'])}" for one in spans]
    owners = [printable(one["service"]) for one in spans]
    wide, owner = min(44, max(map(len, names))), min(20, max(map(len, owners)))
    room = min(shutil.get_terminal_size().columns, _WIDTH_MOST) - wide - owner - 14
    room = max(_BAR_LEAST, room)
    head = f"{trace['trace']}  {moment(trace['startedAt'])}  {lasting(trace['seconds'])}"
    lines = [head, ""]
    for one, name, whose in zip(spans, names, owners, strict=True):
        lines.append(
            f"{_cut(name, wide)}  {faint(_cut(whose, owner))}  "
            f"{_bar(one, trace['seconds'], room)}  {lasting(one['seconds']):>8}"
        )
        if one["status"] == "error":
            said = one["attributes"].get("status.message") or one["attributes"].get(
                "exception.message"
            )
            lines.append(
                click.style(
                    f"  {'  ' * min(one['depth'], 12)}✗ {printable(said or 'failed')}", fg="red"
                )
            )
    return lines


def _bar(span: Any, whole: float, room: int) -> str:
    first = int(span["offsetSeconds"] / whole * room) if whole else 0
    first = min(max(0, first), room - 1)
    length = max(1, min(round(span["seconds"] / whole * room) if whole else room, room - first))
    drawn = "━" * length
    color = "red" if span["status"] == "error" else "cyan"
    return " " * first + click.style(drawn, fg=color) + " " * (room - first - length)


def _cut(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"


def printable(text: str) -> str:
    r"""Return a text of a stranger as one line that moves no cursor.

    >>> printable("a\x1b[2J\nb")
    'a b'
    """
    return " ".join(visible(text).split())


def lasting(seconds: float) -> str:
    """Write how long something took.

    >>> lasting(0.0000042), lasting(0.0123), lasting(75)
    ('4 µs', '12.3 ms', '75.00 s')
    """
    if seconds <= 0:
        return "0"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
