"""``andon pipeline``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from andon.cli.commands import pipeline_feedback
from andon.cli.commands.validate import explain
from andon.cli.output import faint, say, show, strong
from andon.cli.root import flags
from andon.cli.session import Session, project_root
from andon.kernel.clock import Clock
from andon.kernel.errors import InvalidDocument, NotFound

if TYPE_CHECKING:
    from andon.api.problems import Problem
    from andon.app.blueprint import Blueprint, Line, Shown

FILE = "andon.yaml"


@click.group()
def command() -> None:
    """Show what the Pipeline comes to, and what is wrong with it; no control plane is needed."""


command.add_command(pipeline_feedback.command)


@command.command("show")
@click.argument("job", required=False)
@click.option("--file", "-f", "file", default="", help="Another file than andon.yaml.")
@click.option("--branch", default="main", show_default=True, help="As if this branch were built.")
@click.option(
    "--event",
    type=click.Choice(["push", "pull-request", "schedule", "manual"]),
    default="push",
    show_default=True,
    help="As if this had brought it.",
)
@click.option("--path", "paths", multiple=True, help="As if the change touched only this; repeat.")
@click.option("--untrusted", is_flag=True, help="As a stranger's change: without secrets.")
@flags
@click.pass_obj
def show_(
    session: Session,
    job: str | None,
    file: str,
    branch: str,
    event: str,
    paths: tuple[str, ...],
    untrusted: bool,
) -> None:
    """Show every job as it would run, where each line was written, and the rule that skips one.

    JOB: only this one, as it is called in the document or once expanded.
    """
    from msgspec import to_builtins

    from andon.api.problems import invalid
    from andon.api.v1.pipelines import ChangeFacts
    from andon.app.blueprint import unfolded

    seen, _ = _look(session, file)
    if seen.problems or seen.own is None:
        raise invalid(seen.problems)
    facts = ChangeFacts(
        branch=branch,
        event=event,
        paths=paths or None,
        trusted=not untrusted,
    )
    shown = [one for one in unfolded(seen, facts) if job in (None, one.job.name, one.job.group)]
    if not shown:
        raise NotFound(f"no job is called {job}", hint="andon pipeline show")
    answer = {
        "pipeline": seen.own.pipeline_name,
        "jobs": [{**to_builtins(one.job), "lines": _written(one)} for one in shown],
    }
    show(session, answer, lambda _: _tell(shown))


@command.command("lint")
@click.option("--file", "-f", "file", default="", help="Another file than andon.yaml.")
@click.option("--strict", is_flag=True, help="What is probably not meant is an error, too.")
@flags
@click.pass_obj
def lint_(session: Session, file: str, strict: bool) -> int:
    """Find what is wrong with the Pipeline and its Templates, and what is probably not meant.

    Ends with 3 if something is wrong; with --strict, also if something is probably not meant.
    """
    from msgspec import to_builtins

    seen, contents = _look(session, file)
    answer = {
        "valid": not seen.problems,
        "problems": to_builtins(seen.problems),
        "remarks": to_builtins(seen.remarks),
    }
    if session.json:
        show(session, answer, lambda _: [])
    else:
        for problem in seen.problems:
            _say(session, problem, contents, "error")
        for remark in seen.remarks:
            _say(session, remark, contents, "remark")
        say(session, _count(len(seen.problems), len(seen.remarks)))
    wrong = bool(seen.problems) or (strict and bool(seen.remarks))
    return InvalidDocument.exit_code if wrong else 0


def _look(session: Session, file: str) -> tuple[Blueprint, dict[str, bytes]]:
    from andon.app.blueprint import look_at
    from andon.runtime.system import SystemClock

    root = Path(file).parent if file else project_root(Path.cwd())
    place = Path(file) if file else root / FILE
    name = file or FILE
    try:
        data = place.read_bytes()
    except OSError as error:
        raise NotFound(
            f"{place} cannot be read: {error.strerror}", hint="`andon init` writes an andon.yaml"
        ) from None
    seen = look_at(name, data, project_root(root.absolute()), session.state, _today(SystemClock()))
    return seen, {name: data}


def _today(clock: Clock) -> str:
    return datetime.fromtimestamp(clock.now(), UTC).strftime("%Y-%m-%d")


def _say(session: Session, problem: Problem, contents: dict[str, bytes], word: str) -> None:
    first, *rest = explain(problem, contents.get(problem.file, b""))
    say(session, f"{word}: {first}")
    for line in rest:
        say(session, line)


def _count(problems: int, remarks: int) -> str:
    def many(count: int, word: str) -> str:
        return f"{count} {word}{'s' * (count != 1)}"

    return f"{many(problems, 'error')}, {many(remarks, 'remark')}"


def _written(one: Shown) -> dict[str, str]:
    return {line.field: line.place for line in one.lines if line.place}


def _tell(shown: list[Shown]) -> list[str]:
    return [line for one in shown for line in (*_tell_one(one), "")][:-1]


def _tell_one(one: Shown) -> list[str]:
    head = f"{strong(one.job.name)}{':' if one.lines else ''}"
    origin = faint(f"  # {one.job.origin}") if one.job.origin else ""
    return [head + origin, *(line for field in one.lines for line in _tell_line(field))]


def _tell_line(line: Line) -> list[str]:
    place = faint(f"  # {line.place or 'default'}")
    value = _plainly(line.value)
    if "\n" not in value:
        return [f"  {line.field}: {value}{place}"]
    return [f"  {line.field}:{place}", *(f"    {text}" for text in value.rstrip().split("\n"))]


def _plainly(value: Any) -> str:
    import json

    if isinstance(value, str):
        return "".join(sign if sign.isprintable() or sign == "\n" else "?" for sign in value)
    return json.dumps(value, ensure_ascii=False)
