"""How answers look: JSON for machines, plain aligned text for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import click

from andon.cli.session import Session

_COLORS = {
    "Succeeded": "green",
    "passed": "green",
    "Running": "cyan",
    "running": "cyan",
    "Waiting": "yellow",
    "Failed": "red",
    "RolledBack": "red",
    "failed": "red",
    "interrupted": "magenta",
    "quarantined": "yellow",
    "skipped-by-rule": "blue",
    "Fail": "red",
    "Pass": "green",
}


def show(session: Session, value: Any, tell: Callable[[Any], Iterable[str]]) -> None:
    """Print a value as JSON, or as the lines that ``tell`` makes of it."""
    if session.json:
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
        return
    for line in tell(value):
        say(session, line)


def say(session: Session, line: str) -> None:
    """Print a line for people."""
    click.echo(line, color=session.colorful)


def state(word: str) -> str:
    """Colour a phase, step state or verdict."""
    return click.style(word, fg=_COLORS.get(word))


def strong(text: str) -> str:
    """Set text in bold."""
    return click.style(text, bold=True)


def faint(text: str) -> str:
    """Set text that matters less."""
    return click.style(text, dim=True)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], none: str) -> list[str]:
    """Align columns; ``none`` is said when there are no rows."""
    if not rows:
        return [none]
    lines = [[faint(title) for title in head], *rows]
    plain = [[click.unstyle(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*plain, strict=True)]
    return [
        "  ".join(
            cell + " " * (width - len(bare))
            for cell, bare, width in zip(line, bares, widths, strict=True)
        ).rstrip()
        for line, bares in zip(lines, plain, strict=True)
    ]


def moment(seconds: float) -> str:
    """Write a moment in local time; ``-`` if it has not come."""
    if not seconds:
        return "-"
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def clock_time(seconds: float) -> str:
    """Write a moment's time of day in local time."""
    return moment(seconds)[11:] or "-"


def sha(text: str) -> str:
    """Shorten a commit or digest for people."""
    return text.removeprefix("sha256:")[:12] or "-"


def first_line(text: str) -> str:
    """Return the subject of a commit message."""
    return text.partition("\n")[0]


def run_title(run: dict[str, Any]) -> str:
    """Name a Run by what it does."""
    where = f" {run['environment']}/{run['service']}" if run["environment"] else ""
    return f"{run['type']}{where}"
