"""``andon validate``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from andon.cli.output import faint, say, show, strong
from andon.cli.root import flags
from andon.cli.session import Session, project_root
from andon.kernel.errors import InvalidDocument, NotFound

if TYPE_CHECKING:
    from andon.api.parse import Parsed
    from andon.api.problems import Problem

STANDARD_INPUT = "-"


@click.command()
@click.argument("files", nargs=-1, metavar="[FILES|-]")
@flags
@click.pass_obj
def command(session: Session, files: tuple[str, ...]) -> int:
    """Check documents and what they say of each other, without a control plane.

    Without FILES: the andon.yaml of this project, and the openslo.yaml beside it. With `-`: standard input. A file with an Installation
    (`andon up --config`) is checked by itself.
    """
    from msgspec import to_builtins

    contents = {name: _read(name) for name in files or _default()}
    parsed = _check(contents)
    answer = {
        "valid": not parsed.problems,
        "files": list(contents),
        "documents": len(parsed.definitions),
        "problems": to_builtins(parsed.problems),
        "warnings": to_builtins(parsed.warnings),
        "notes": to_builtins(parsed.notes),
    }
    if session.json or not parsed.problems:
        if not session.json:
            _warn(session, parsed)
        show(session, answer, _tell)
    else:
        for problem in parsed.problems:
            for line in explain(problem, contents.get(problem.file, b"")):
                say(session, line)
        _warn(session, parsed)
        say(session, _count(len(parsed.problems)))
    return InvalidDocument.exit_code if parsed.problems else 0


def _check(contents: Mapping[str, bytes]) -> Parsed:
    """Check a project's files together, and those of a host each by itself."""
    from andon.api.configuration import is_installation, read_installation
    from andon.api.parse import Parsed
    from andon.api.project import check_project

    hosts = {name for name, data in contents.items() if is_installation(data)}
    parts = [read_installation(contents[name], name) for name in contents if name in hosts]
    if project := {name: data for name, data in contents.items() if name not in hosts}:
        parts.append(check_project(project))
    return Parsed(
        definitions=tuple(one for part in parts for one in part.definitions),
        problems=tuple(one for part in parts for one in part.problems),
        warnings=tuple(one for part in parts for one in part.warnings),
        notes=tuple(one for part in parts for one in part.notes),
    )


def _warn(session: Session, parsed: Parsed) -> None:
    for warning in parsed.warnings:
        say(session, f"{click.style('warning', fg='yellow')}: {warning}")
    for note in parsed.notes:
        say(session, f"{faint('not taken over')}: {note}")


def explain(problem: Problem, content: bytes) -> list[str]:
    """Write a problem with the line of the file it is in, and a caret under its place."""
    place = ":".join(str(part) for part in (problem.file, problem.line, problem.column) if part)
    said = ": ".join(part for part in (problem.field, problem.message) if part)
    lines = [f"{strong(place)}: {said}", *_excerpt(problem, content)]
    return [*lines, *([f"  {problem.hint}"] if problem.hint else []), ""]


def _excerpt(problem: Problem, content: bytes) -> list[str]:
    lines = content.decode(errors="replace").splitlines()
    if not 1 <= problem.line <= len(lines):
        return []
    text = "".join(sign if sign.isprintable() else " " for sign in lines[problem.line - 1])
    margin = f"  {problem.line} | "
    caret = " " * (len(margin) + max(problem.column, 1) - 1) + "^"
    return [f"{margin}{text}"[:200], *([caret] if problem.column and len(caret) < 200 else [])]


def _tell(answer: dict[str, Any]) -> list[str]:
    count = answer["documents"]
    return [f"{', '.join(answer['files'])}: {count} document{'s' * (count != 1)}, no problems"]


def _count(problems: int) -> str:
    return "1 problem" if problems == 1 else f"{problems} problems"


def _default() -> tuple[str, ...]:
    root = project_root(Path.cwd())
    files = [root / "andon.yaml", *(file for file in [root / "openslo.yaml"] if file.exists())]
    return tuple(
        str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)
        for file in files
    )


def _read(name: str) -> bytes:
    if name == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise NotFound(
            f"{name} cannot be read: {error.strerror}", hint="`andon init` writes an andon.yaml"
        ) from None
