"""``andon logs search`` and ``andon logs templates``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

from andon.cli.output import clock_time, faint, moment, say, show, table
from andon.cli.root import flags
from andon.cli.session import Session
from andon.cli.tree import visible
from andon.kernel.duration import parse_duration
from andon.kernel.errors import TimedOut, Unavailable

AGAIN_SECONDS = 1.0
_NONE = "nothing found; `--since 24h` looks further back, docs/logs.md says what is kept"
_COLORS = {"fatal": "red", "error": "red", "warn": "yellow", "debug": "blue", "trace": "blue"}
_SEVERITIES = click.Choice(["trace", "debug", "info", "warn", "error", "fatal"])
Json = dict[str, Any]
F = TypeVar("F", bound=Callable[..., Any])


def _conditions(function: F) -> F:
    """Add the options that name lines."""
    for option in (
        click.argument("text", default=""),
        click.option("--pattern", default="", help="Regular expression that lines match."),
        click.option("--service", default="", help="Of this service."),
        click.option("--environment", "-e", default="", help="Of this environment."),
        click.option(
            "--source", default="", help="`service`, `job`, `gateway`, `otlp` or `andon`."
        ),
        click.option("--severity", default=None, type=_SEVERITIES, help="At least so severe."),
        click.option("--template", default=0, help="Of this template, by its id."),
        click.option("--trace", default="", help="Of this trace."),
        click.option(
            "--label", multiple=True, metavar="NAME=VALUE", help="Also `!=`, `=~` and `!~`; again."
        ),
    ):
        function = option(function)
    return function


@click.command()
@_conditions
@click.option("--since", default="1h", show_default=True, help="How far back.")
@click.option("--limit", default=100, show_default=True, help="At most so many, the newest.")
@click.option("--follow", "-f", is_flag=True, help="Then show lines as they come, until Ctrl-C.")
@flags
@click.pass_obj
def search(session: Session, /, since: str, limit: int, follow: bool, **named: Any) -> None:
    """Find lines of all logs that contain TEXT, whatever its case."""
    query = _query(named)
    between = {"sinceSeconds": parse_duration(since), "limit": limit}
    found = session.client.get("/telemetry/logs", query | between)
    if not follow:
        show(session, found, lambda told: [*map(_line, told["lines"][::-1])] or [_NONE])
        return
    for one in found["lines"][::-1]:
        _tell(session, one)
    for one in _coming(session, query):
        _tell(session, one)


@click.command()
@_conditions
@click.option("--since", default="1h", show_default=True, help="How far back.")
@click.option("--limit", default=30, show_default=True, help="At most so many, the most frequent.")
@flags
@click.pass_obj
def templates(session: Session, /, since: str, limit: int, **named: Any) -> None:
    """Say what lines have in common, most frequent first."""
    query = _query(named) | {"sinceSeconds": parse_duration(since), "limit": limit}
    show(session, session.client.get("/telemetry/logs/templates", query), _tell_templates)


def _query(named: Json) -> Json:
    return {name: value for name, value in named.items() if value}


def _coming(session: Session, query: Json) -> Iterator[Json]:
    """Yield lines as they come; who was cut off comes again, and says that lines may be missing."""
    while True:
        try:
            for row in session.client.lines("/telemetry/logs/tail", query):
                if row.startswith(b"data: "):
                    yield json.loads(row[6:])
        except (Unavailable, TimedOut) as error:
            click.echo(faint(f"{error.message}; lines of this while may be missing"), err=True)
        time.sleep(AGAIN_SECONDS)


def _tell(session: Session, line: Json) -> None:
    if session.json:
        click.echo(json.dumps(line, ensure_ascii=False))
    else:
        say(session, _line(line))


def _line(line: Json) -> str:
    labels = line["labels"]
    whose = line["service"] or labels.get("job", "") or line["source"]
    if line["environment"]:
        whose = f"{line['environment']}/{whose}"
    word = click.style(f"{line['severity'] or '-':5}", fg=_COLORS.get(line["severity"]))
    return f"{faint(moment(line['at']))} {word} {faint(visible(whose))} {_text(line['text'])}"


def _text(text: str) -> str:
    """Return a line of a stranger as it may be shown; further lines of it are set in."""
    return visible(text).replace("\n", "\n    ")


def _tell_templates(found: list[Json]) -> list[str]:
    rows = [
        (str(one["lines"]), str(one["id"]), clock_time(one["lastAt"]), _text(one["text"])[:200])
        for one in found
    ]
    return table(("LINES", "ID", "LAST", "TEMPLATE"), rows, _NONE)
