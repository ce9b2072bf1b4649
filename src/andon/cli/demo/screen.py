"""What the play looks like: a live picture in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from andon.kernel.duration import format_duration

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Json = dict[str, Any]

TERMINAL = frozenset({"Succeeded", "Failed", "RolledBack", "Cancelled"})
STORY_LINES = 9
RUNS_SHOWN = 3
FRAMES_A_SECOND = 8


class PlainScreen:
    """One line for everything that happens.

    Args:
        out: Where to write.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._began = time.monotonic()
        self._seen: dict[tuple[str, str], str] = {}

    def __enter__(self) -> PlainScreen:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def scene(self, title: str) -> None:
        """A new part begins."""
        self._line(f"── {title}")

    def say(self, text: str) -> None:
        """Something happened."""
        self._line(f"   {text}")

    def show(self, change: Json, load: Json) -> None:
        """Tell every step that changed since the last look."""
        for run in change.get("runs", ()):
            for step in run["steps"]:
                key = (run["name"], step["name"])
                if step["state"] in {"waiting", "not-run"} or self._seen.get(key) == step["state"]:
                    continue
                self._seen[key] = step["state"]
                message = f": {step['message']}" if step["message"] else ""
                self._line(f"   {place_of(run):18} {step['name']:16} {step['state']}{message}")

    def _line(self, text: str) -> None:
        seconds = time.monotonic() - self._began
        self._out.write(f"{seconds:6.1f} s {text.splitlines()[0]}\n")
        self._out.flush()


class LiveScreen:
    """A picture that moves: steps, weights, and evidence growing toward its thresholds.

    Args:
        console: A terminal.
    """

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._console = console
        self._title = ""
        self._story: list[tuple[float, str]] = []
        self._began = time.monotonic()
        self._change: Json = {}
        self._load: Json = {}
        self._live = Live(
            console=console,
            refresh_per_second=FRAMES_A_SECOND,
            get_renderable=self._picture,
            transient=True,
        )

    def __enter__(self) -> LiveScreen:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def scene(self, title: str) -> None:
        """A new part begins."""
        self._title = title
        self._change = {}
        self.say(title)

    def say(self, text: str) -> None:
        """Something happened."""
        self._story.append((time.monotonic() - self._began, text))

    def show(self, change: Json, load: Json) -> None:
        """How things stand now."""
        self._change, self._load = change, load

    def _picture(self) -> RenderableType:
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        from andon.cli.live import draw_run

        parts: list[RenderableType] = [
            Text(f"{at:6.1f} s  {text}", style="dim", no_wrap=True, overflow="ellipsis")
            for at, text in self._story[-STORY_LINES:-1]
        ]
        body: list[RenderableType] = [self._traffic()]
        runs = self._change.get("runs", ())
        moving = [run for run in runs if run["phase"] not in TERMINAL][-RUNS_SHOWN:]
        body += [line for run in moving for line in draw_run(run)]
        if not runs:
            body.append(Text("…", style="dim"))
        elapsed = time.monotonic() - self._began
        parts.append(
            Panel(
                Group(*body),
                title=f"[bold]{self._title}[/]",
                subtitle=f"{elapsed:.0f} s",
                title_align="left",
                border_style="cyan",
            )
        )
        return Group(*parts)

    def _traffic(self) -> RenderableType:
        from rich.text import Text

        load = self._load
        if not load:
            return Text("no traffic yet", style="dim")
        text = Text("users  ", style="bold")
        text.append(f"{load['completed']:>7,} answered  ")
        text.append(f"{load['failed']:>3} failed", style="red" if load["failed"] else "green")
        text.append(
            f"   p50 {load.get('p50_ms') or 0:.0f} ms  p99 {load.get('p99_ms') or 0:.0f} ms"
        )
        return text


def place_of(run: Json) -> str:
    """Say what a Run is about in one word."""
    return f"{run['service']} {run['environment']}" if run["service"] else run["type"]


def summary(result: Json) -> list[str]:
    """Tell the result on one screen."""
    lines = ["", "What happened", ""]
    for change in result["changes"]:
        mark = "✔" if change["phase"] == "Succeeded" else "✘"
        said = "shipped to prod" if change["phase"] == "Succeeded" else change["phase"]
        lines.append(
            f"  {mark} {change['sha'][:12]}  {said:16} {change['message'].splitlines()[0]}"
        )
    why = result["why"]
    if why:
        lines += ["", "Why it stopped (andon why)", "", f"  {why['summary']}"]
        lines += [f"  to open: {hold['opens']}" for hold in why["holds"][:1]]
    lines += ["", "In figures", ""]
    figures = [
        ("user requests", f"{result['requests']:,}"),
        ("failed in all", str(result["failed_requests"])),
        ("failed while the bad version was out", str(result["bad_canary_failed_requests"])),
        ("time to the verdict", _seconds(result["seconds_to_verdict"])),
        ("from verdict to zero weight", _seconds(result["seconds_verdict_to_zero_weight"])),
        ("error budget burnt", _burnt(result["budget"])),
        ("good versions promoted", _yes(result["good_promoted"])),
        ("bad version rolled back", _yes(result["bad_rolled_back"])),
        ("went on after SIGKILL", _yes(result["resumed_after_kill"])),
        ("webhooks told", str(result["webhooks"])),
        ("ledger", f"{result['ledger_events']} events, {_verified(result['ledger_ok'])}"),
        ("all in all", _seconds(result["total_seconds"])),
    ]
    lines += [f"  {label:38} {value}" for label, value in figures]
    return [*lines, ""]


def _seconds(value: float | None) -> str:
    return "–" if value is None else format_duration(value)


def _burnt(budget: dict[str, Any]) -> str:
    if budget["burnt_ratio"] is None:
        return "–"
    rest = f"{budget['target']:.4g} over {budget['window']}"
    return f"{budget['burnt_ratio']:.1%} of {budget['objective']} ({rest})"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _verified(ok: bool) -> str:
    return "verified" if ok else "NOT verified"
