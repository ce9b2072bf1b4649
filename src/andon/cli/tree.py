"""How a local run looks: a tree that redraws itself, plain lines where nobody can redraw, or JSON."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from andon.api.v1.actions import JobDone, RunJob
from andon.api.v1.jobs import BuildPlan
from andon.api.v1.records import ENDED_STEP, RunStatus, StepRow, StepState

MARKS = {
    "passed": ("✓", "green"),
    "quarantined": ("✓", "yellow"),
    "failed": ("✗", "red"),
    "interrupted": ("!", "yellow"),
    "running": ("▸", "cyan"),
    "skipped-by-rule": ("-", "blue"),
    "cancelled": ("×", "yellow"),
    "not-run": ("·", "bright_black"),
    "waiting": ("·", "bright_black"),
}
REDRAW_SECONDS = 0.1
LOG_LINES = 30
LOG_BYTES = 8000

# As text: what is looked for only where something failed is compiled only there.
_ESCAPES = (
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\?)?|.)?|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_BEGINS = r"\x1b\[0Ksection_start:[^\r\n]*\r\x1b\[0K"
_ENDS = r"\x1b\[0Ksection_end:[^\r\n]*\r\x1b\[0K\n?"


def visible(text: str) -> str:
    r"""Return text without what moves a terminal's cursor or colours what follows.

    >>> visible("\x1b[31mred\x1b[0m\r\x1b]0;title\x07!")
    'red!'
    """
    return re.sub(_ESCAPES, "", text)


def headed(text: str) -> str:
    r"""Return text with a line for each section that begins in place of the marks that fold them.

    >>> headed("\x1b[0Ksection_start:7:a\r\x1b[0KBuild\nmake\n\x1b[0Ksection_end:8:a\r\x1b[0K\n")
    '── Build\nmake\n'
    """
    return re.sub(_BEGINS, "── ", re.sub(_ENDS, "", text))


class Story:
    """What is known of a run: which jobs it has, how they stand and how long they took.

    Args:
        logs: Folder of the logs.
    """

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.run = ""
        self.needs: dict[str, tuple[str, ...]] = {}
        self.states: dict[str, StepState] = {}
        self.began: dict[str, float] = {}
        self.took: dict[str, float] = {}

    def begun(self, run: str, plan: BuildPlan, rows: Sequence[StepRow]) -> None:
        """A Run is there."""
        self.run = run
        for job in plan.jobs:
            self.needs[job.name] = job.needs
        for pack in plan.packs:
            self.needs[f"pack-{pack.service}"] = (pack.job,) if pack.job else ()
        for row in rows:
            self.states[row.name] = row.state
            if row.finished_at:
                self.took[row.name] = row.finished_at - row.started_at

    def started(self, job: RunJob) -> None:
        """A job's command starts."""
        self.began[job.job.name] = time.monotonic()

    def done(self, job: RunJob, outcome: JobDone) -> None:
        """A job's command has ended."""
        self.took[job.job.name] = outcome.seconds
        self.began.pop(job.job.name, None)

    def stepped(self, rows: Iterable[StepRow]) -> Iterator[StepRow]:
        """Take rows; yield those that ended with it, or that the machine interrupted."""
        for row in rows:
            before = self.states.get(row.name)
            self.states[row.name] = row.state
            if row.state in ENDED_STEP and before not in ENDED_STEP:
                yield row

    def state(self, name: str) -> str:
        """Say how a job stands; one that waits for a free place waits."""
        state = self.states.get(name, "waiting")
        return "waiting" if state == "running" and name not in self.began else state

    def seconds(self, name: str) -> float | None:
        """Return how long a job has taken so far."""
        if name in self.began:
            return time.monotonic() - self.began[name]
        return self.took.get(name)

    def depth(self, name: str, known: dict[str, float]) -> int:
        """Return how many jobs at most come before one, along its needs."""
        return round(self._longest(name, known, lambda _: 1)) - 1

    def _longest(self, name: str, known: dict[str, float], cost: Callable[[str], float]) -> float:
        """Return the greatest sum of costs along the needs of a job, with its own."""
        ahead = [name]
        while ahead:
            one = ahead[-1]
            open_needs = [need for need in self.needs.get(one, ()) if need not in known]
            if open_needs and len(ahead) <= len(self.needs):
                ahead += open_needs
                continue
            before = (known.get(need, 0) for need in self.needs.get(one, ()))
            known[one] = cost(one) + max(before, default=0)
            ahead.pop()
        return known[name]

    def critical_path(self) -> list[tuple[str, float]]:
        """Return the jobs that the run could not have been faster without, with their seconds."""
        until: dict[str, float] = {}
        for name in self.needs:
            self._longest(name, until, self._took)
        name = max(self.needs, key=until.__getitem__, default="")
        path: list[tuple[str, float]] = []
        while name and len(path) < len(self.needs):
            path.append((name, self._took(name)))
            needs = [need for need in self.needs[name] if need in self.needs]
            name = max(needs, key=until.__getitem__, default="")
        return path[::-1]

    def _took(self, name: str) -> float:
        return self.took.get(name, 0.0)

    def tail(self, row: StepRow) -> list[str]:
        """Return the end of a step's log, safe for a terminal."""
        if not row.log:
            return []
        try:
            with (self.logs / row.log).open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - LOG_BYTES))
                text = file.read(LOG_BYTES).decode(errors="replace")
        except OSError:
            return []
        lines = [visible(line) for line in headed(text).splitlines()]
        return lines[-LOG_LINES:]


class Lines:
    """A line for each job that ends.

    Args:
        story: What is known.
        colors: Whether lines are coloured.
        write: Takes a line.
    """

    def __init__(self, story: Story, *, colors: bool, write: Callable[[str], None]) -> None:
        self.story = story
        self._colors = colors
        self._write = write

    def say(self, text: str) -> None:
        """Say it."""
        self._write(text)

    def begun(self, run: str, plan: BuildPlan, rows: Sequence[StepRow]) -> None:
        """Name the Run."""
        self.story.begun(run, plan, rows)
        self._write(f"{run}: {len(plan.jobs)} job{'' if len(plan.jobs) == 1 else 's'}")

    def started(self, job: RunJob) -> None:
        """Note it."""
        self.story.started(job)

    def done(self, job: RunJob, outcome: JobDone) -> None:
        """Note it, and say what the machine interrupted."""
        self.story.done(job, outcome)
        if outcome.state == "interrupted":
            self._write(self.line(job.job.name, "interrupted", outcome.message))

    def stepped(self, run: str, rows: Iterable[StepRow]) -> None:
        """Show what ended."""
        for row in self.story.stepped(rows):
            self.show(row)

    def show(self, row: StepRow) -> None:
        """Show a step that ended, with the log of one that failed."""
        failed = row.state in ("failed", "interrupted")
        self._write(self.line(row.name, row.state, "" if failed and row.log else row.message))
        if failed:
            tail = self.story.tail(row) or visible(row.message).splitlines()
            for line in tail:
                self._write(f"  │ {line}")

    def line(self, name: str, state: str, message: str) -> str:
        """Return the line of a step."""
        mark, color = MARKS[state]
        seconds = self.story.seconds(name)
        parts = [self.style(f"{mark} {name}", color)]
        if state not in ("passed", "running", "waiting"):
            parts.append(state)
        if seconds is not None:
            parts.append(self.style(f"{seconds:.1f} s", "bright_black"))
        said = visible(message.partition("\n")[0])
        return "  ".join(parts) + (f"  {said}" if said else "")

    def style(self, text: str, color: str) -> str:
        """Colour a text, where colours are wanted."""
        return click.style(text, fg=color) if self._colors else text

    def ended(self, run: str, status: RunStatus, rows: Iterable[StepRow]) -> None:
        """Sum up."""
        for line in self.summary(status):
            self._write(line)

    def summary(self, status: RunStatus) -> Iterator[str]:
        """Say how it ended, and what it could not have been faster without."""
        counts: dict[str, int] = {}
        for state in self.story.states.values():
            counts[state] = counts.get(state, 0) + 1
        color = "green" if status.phase == "Succeeded" else "red"
        took = max(0.0, status.finished_at - status.started_at) if status.started_at else 0.0
        said = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))
        yield f"{self.style(status.phase, color)} in {took:.1f} s: {said}"
        path = [
            f"{name} {seconds:.1f} s" for name, seconds in self.story.critical_path() if seconds
        ]
        if len(path) > 1 or (path and len(counts) > 1):
            yield f"critical path: {' → '.join(path)}"


class Tree(Lines):
    """The same, with what runs and waits redrawn below.

    Args:
        story: What is known.
        colors: Whether it is coloured.
    """

    def __init__(self, story: Story, *, colors: bool) -> None:
        super().__init__(story, colors=colors, write=self._above)
        self._drawn = 0
        self._drawn_at = 0.0

    def tick(self) -> None:
        """Draw anew, if it is time to."""
        if time.monotonic() - self._drawn_at >= REDRAW_SECONDS:
            self._redraw()

    def ended(self, run: str, status: RunStatus, rows: Iterable[StepRow]) -> None:
        """Take away what was redrawn, and sum up."""
        self._clear()
        self._write = click.echo
        super().ended(run, status, rows)

    def _above(self, text: str) -> None:
        self._clear()
        click.echo(text)
        self._redraw()

    def _clear(self) -> None:
        if self._drawn:
            sys.stdout.write(f"\x1b[{self._drawn}A\x1b[J")
            self._drawn = 0

    def _redraw(self) -> None:
        width, height = shutil.get_terminal_size()
        lines = list(self._open_jobs(max(3, height - 4), width))
        self._clear()
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
        self._drawn, self._drawn_at = len(lines), time.monotonic()

    def _open_jobs(self, most: int, width: int) -> Iterator[str]:
        """Yield lines for what runs, then for what waits, indented by what it waits for."""
        known: dict[str, float] = {}
        running = [name for name in self.story.needs if self.story.state(name) == "running"]
        waiting = [name for name in self.story.needs if self.story.state(name) == "waiting"]
        shown = [*running, *waiting][:most]
        for name in shown:
            indent = "  " * min(8, self.story.depth(name, known))
            text = f"{indent}{MARKS[self.story.state(name)][0]} {name}"
            seconds = self.story.seconds(name)
            took = f"  {seconds:.1f} s" if seconds is not None else ""
            plain = f"{text}{took}"[: width - 1]
            yield self.style(plain, MARKS[self.story.state(name)][1])
        left = len(running) + len(waiting) - len(shown)
        if left:
            yield f"  and {left} more"


class JsonLines:
    """One JSON object a line: each step that changes, and a summary at the end."""

    def __init__(self, story: Story) -> None:
        self.story = story

    def say(self, text: str) -> None:
        """Tell it."""
        _emit({"event": "said", "text": text})

    def begun(self, run: str, plan: BuildPlan, rows: Sequence[StepRow]) -> None:
        """Tell it."""
        self.story.begun(run, plan, rows)
        _emit({"event": "begun", "run": run, "jobs": [job.name for job in plan.jobs]})

    def started(self, job: RunJob) -> None:
        """Tell it."""
        self.story.started(job)
        _emit({"event": "started", "job": job.job.name})

    def done(self, job: RunJob, outcome: JobDone) -> None:
        """Note it, and tell what the machine interrupted."""
        self.story.done(job, outcome)
        if outcome.state == "interrupted":
            _emit({"event": "interrupted", "job": job.job.name, "message": outcome.message})

    def stepped(self, run: str, rows: Iterable[StepRow]) -> None:
        """Tell what ended."""
        for row in self.story.stepped(rows):
            _emit({"event": "ended", **self._step(row)})

    def ended(self, run: str, status: RunStatus, rows: Iterable[StepRow]) -> None:
        """Sum up, in one line that is written step by step."""
        path = self.story.critical_path()
        summary = {
            "event": "run",
            "run": run,
            "phase": status.phase,
            "message": status.message,
            "seconds": round(max(0.0, status.finished_at - status.started_at), 3),
            "criticalPath": [{"job": name, "seconds": round(took, 3)} for name, took in path],
        }
        click.echo(f'{_json(summary)[:-1]}, "steps": [', nl=False)
        for number, row in enumerate(rows):
            click.echo(f"{', ' if number else ''}{_json(self._step(row))}", nl=False)
        click.echo("]}")

    def _step(self, row: StepRow) -> dict[str, Any]:
        seconds = self.story.seconds(row.name)
        return {
            "step": row.name,
            "state": row.state,
            "attempt": row.attempt,
            "fault": row.fault,
            "message": row.message,
            "seconds": None if seconds is None else round(seconds, 3),
            "log": str(self.story.logs / row.log) if row.log else "",
        }


def _emit(value: dict[str, Any]) -> None:
    click.echo(_json(value))


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
