"""The live display of a Change: steps, weights, and evidence growing toward its thresholds."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from andon.cli.output import run_title
from andon.kernel.duration import format_duration

_MARKS = {
    "passed": ("✓", "green"),
    "failed": ("✗", "red"),
    "running": ("▸", "cyan"),
    "waiting": ("·", "dim"),
    "interrupted": ("!", "magenta"),
    "quarantined": ("◐", "yellow"),
    "skipped-by-rule": ("↷", "blue"),
}
_PHASES = {"Succeeded": "green", "Failed": "red", "RolledBack": "red", "Waiting": "yellow"}
_ENDED = frozenset({"Succeeded", "Cancelled"})
_BAR_CELLS = 24

Json = dict[str, Any]


class LiveDisplay:
    """Redraws a Change in place.

    Args:
        color: Whether colours may be used.
    """

    def __init__(self, *, color: bool) -> None:
        console = Console(no_color=not color, highlight=False)
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the last picture on the screen."""
        self._live.stop()

    def update(self, change: Json) -> None:
        """Draw how the Change stands."""
        self._live.update(render(change), refresh=True)


def render(change: Json) -> RenderableType:
    """Draw a Change."""
    return Group(*(line for run in change["runs"] for line in draw_run(run)))


def draw_run(run: Json) -> list[Text]:
    """Draw a Run: its steps and, while it is a canary, weight and evidence."""
    title = Text(f"{run_title(run):<32}", style="bold")
    title.append(run["phase"], style=_PHASES.get(run["phase"], "cyan"))
    steps = Text("  ")
    for step in run["steps"]:
        mark, style = _MARKS.get(step["state"], ("–", "dim"))
        steps.append(f"{mark} {step['name']}  ", style=style)
    if run["phase"] in _ENDED:
        return [title, *_message(run)]
    return [title, steps, *_canary(run), *_message(run)]


def _canary(run: Json) -> list[Text]:
    if not run["canaryRequests"]:
        return []
    counts = (
        f"{run['canaryErrors']} errors in {run['canaryRequests']} requests; "
        f"stable {run['stableErrors']} in {run['stableRequests']}"
    )
    wait = (
        f", about {format_duration(run['expectedSeconds'])} more" if run["expectedSeconds"] else ""
    )
    harm = _bar(run["evidenceLog"], run["evidenceThreshold"], "red")
    fit = _bar(run["fitLog"], run["fitThreshold"], "green")
    return [
        _row("weight", _bar(run["weight"], 100, "cyan"), f"{run['weight']:g} %"),
        _row("harm", harm, f"{run['evidenceLog']:.1f} of {run['evidenceThreshold']:.1f}"),
        _row("fit", fit, f"{run['fitLog']:.1f} of {run['fitThreshold']:.1f}{wait}"),
        Text(f"  {'canary':<8}{counts}"),
    ]


def _row(label: str, bar: Text, said: str) -> Text:
    return Text.assemble(f"  {label:<8}", bar, f"  {said}")


def _bar(value: float, full: float, style: str) -> Text:
    share = min(max(value / full, 0.0), 1.0) if full > 0 else 0.0
    filled = round(share * _BAR_CELLS)
    return Text.assemble(("━" * filled, style), ("┈" * (_BAR_CELLS - filled), "bright_black"))


def _message(run: Json) -> list[Text]:
    first = run["message"].strip().partition("\n")[0]
    return [Text(f"  {first}", style="dim")] if first else []
