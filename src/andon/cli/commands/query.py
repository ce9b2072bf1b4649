"""``andon query``."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from typing import Any

import click

from andon.cli.output import faint, moment, say, show, table
from andon.cli.root import flags
from andon.cli.session import Session
from andon.cli.tree import visible
from andon.kernel.duration import parse_duration
from andon.kernel.errors import UsageError
from andon.kernel.moments import read_moment

_BARS = "▁▂▃▄▅▆▇█"
_NOTHING = "no series answers that; docs/promql.md says how metrics come here"
_NAME_MOST, _DRAWN_LEAST, _WIDTH_MOST = 60, 16, 160


@click.command()
@click.argument("expression", metavar="EXPR")
@click.option("--at", default="", help="At this moment: seconds since the epoch, or RFC 3339.")
@click.option("--range", "span", default="", help="Over this long until then, such as 1h.")
@click.option("--step", default="", help="Between values of a range; by default 60 of them.")
@flags
@click.pass_obj
def command(session: Session, expression: str, at: str, span: str, step: str) -> None:
    """Ask metrics in PromQL: at one moment, or over a time as a small chart a series."""
    if step and not span:
        raise UsageError("--step goes with --range", hint="andon query EXPR --range 1h --step 15s")
    if not span:
        said = session.client.get("/query", {"query": expression, "time": at})
    else:
        said = session.client.get("/query_range", _range(expression, at, span, step))
    if not session.json:
        for note in (*said.get("warnings", ()), *said.get("infos", ())):
            click.echo(note, err=True)
    show(session, said["data"], _tell)
    if not session.json and said["data"]["resultType"] in ("vector", "matrix"):
        say(session, faint(_count(len(said["data"]["result"]))))


def _count(series: int) -> str:
    return f"{series} series"


def _range(expression: str, at: str, span: str, step: str) -> dict[str, Any]:
    from andon.runtime.system import SystemClock

    end = read_moment("time", at)
    end = SystemClock().now() if end is None else end
    seconds = _seconds("--range", span)
    between = _seconds("--step", step) if step else max(1.0, round(seconds / 60))
    return {
        "query": expression,
        "start": f"{end - seconds:.3f}",
        "end": f"{end:.3f}",
        "step": f"{between:g}",
    }


def _seconds(option: str, text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _tell(data: dict[str, Any]) -> list[str]:
    result = data["result"]
    match data["resultType"]:
        case "scalar" | "string":
            return [visible(str(result[1]))]
        case "vector":
            rows = [(_name(one["metric"]), one["value"][1]) for one in result]
            return table(("SERIES", "VALUE"), rows, _NOTHING)
        case _:
            return _charts(result) if result else [_NOTHING]


def _charts(result: Sequence[dict[str, Any]]) -> list[str]:
    """Draw a line a series, all on the same time, each on its own scale."""
    times = [at for one in result for at, _ in one["values"]]
    first, last = min(times), max(times)
    names = [_name(one["metric"]) for one in result]
    width = min(_NAME_MOST, max(map(len, names)))
    room = min(shutil.get_terminal_size().columns, _WIDTH_MOST) - width - 40
    room = max(_DRAWN_LEAST, room)
    lines = [faint(f"{moment(first)} to {moment(last)}")]
    for name, one in zip(names, result, strict=True):
        values = [(at, float(text)) for at, text in one["values"]]
        finite = [value for _, value in values if math.isfinite(value)]
        low, high = (min(finite), max(finite)) if finite else (math.nan, math.nan)
        drawn = click.style(sparkline(values, first, last, room), fg="cyan")
        told = f"min {low:.4g}  max {high:.4g}  now {values[-1][1]:.4g}"
        lines.append(f"{name[:width]:<{width}}  {drawn}  {told}")
    return lines


def sparkline(values: Sequence[tuple[float, float]], first: float, last: float, width: int) -> str:
    """Draw values as bars; a blank is where there are none.

    Args:
        values: Times and values.
        first: Where the line begins.
        last: Where it ends.
        width: In characters.

    >>> sparkline([(0, 1.0), (1, 2.0), (3, 3.0)], 0, 3, 4)
    '▁▅ █'
    """
    cells: list[list[float]] = [[] for _ in range(width)]
    for at, value in values:
        if math.isfinite(value):
            place = round((at - first) / (last - first) * (width - 1)) if last > first else 0
            cells[place].append(value)
    heights = [sum(cell) / len(cell) if cell else None for cell in cells]
    seen = [height for height in heights if height is not None]
    low, high = (min(seen), max(seen)) if seen else (0.0, 0.0)
    return "".join(" " if one is None else _bar(one, low, high) for one in heights)


def _bar(value: float, low: float, high: float) -> str:
    share = (value - low) / (high - low) if high > low else 0.5
    return _BARS[min(len(_BARS) - 1, int(share * len(_BARS)))]


def _name(metric: dict[str, str]) -> str:
    labels = ", ".join(f'{key}="{value}"' for key, value in metric.items() if key != "__name__")
    name = metric.get("__name__", "")
    return " ".join(visible(f"{name}{{{labels}}}" if labels or not name else name).split())
