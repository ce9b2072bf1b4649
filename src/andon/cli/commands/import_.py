"""``andon import``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from andon.cli.output import faint, show, strong
from andon.cli.root import flags
from andon.cli.session import Session
from andon.kernel.errors import Conflict, Denied, InvalidDocument, NotFound

if TYPE_CHECKING:
    from andon.domains.pipelines.foreign.carrying import Imported, Note

_STANDARD = "-"
_TITLES = {
    "not-carried": "not carried over:",
    "differs": "carried over, and not quite the same:",
    "meaningless": "left out, because it could mean nothing here:",
}


@click.command()
@click.argument("engine", type=click.Choice(["github", "gitlab"]))
@click.argument("file")
@click.option("-o", "--output", metavar="FILE", help="Write the Pipeline there.")
@click.option("--force", is_flag=True, help="Replace the output, if it exists.")
@click.option("--strict", is_flag=True, help="Exit with 3 if anything was not carried over.")
@click.option(
    "--default-branch", default="main", show_default=True, help="What $CI_DEFAULT_BRANCH is."
)
@flags
@click.pass_obj
def command(
    session: Session,
    engine: str,
    file: str,
    output: str | None,
    force: bool,
    strict: bool,
    default_branch: str,
) -> int:
    """Turn a CI file of GitHub or GitLab into a Pipeline.

    FILE is a workflow, a .gitlab-ci.yml, or `-` for standard input. What could not be carried over is said
    line by line, on standard error.
    """
    name = "standard input" if file == _STANDARD else file
    imported = _import(engine, _read(file), name, default_branch)
    problems = _problems(imported.text, output or "andon.yaml")
    if output:
        _write(Path(output), imported.text, force=force)
    if session.json:
        show(session, _answer(imported, name, output, problems), lambda _: ())
    else:
        if not output:
            click.echo(imported.text, nl=False)
        for line in _report(imported.notes, name, problems):
            click.echo(line, err=True, color=session.colorful)
    whole = imported.complete and not problems
    return InvalidDocument.exit_code if strict and not whole else 0


def _import(engine: str, data: bytes, name: str, default_branch: str) -> Imported:
    from andon.api.foreign import read_foreign

    documents = read_foreign(data, name)
    if not documents or documents[-1].fields is None:
        hint = "andon import github FILE"
        raise InvalidDocument(f"{name} holds no mapping, as CI files do", hint=hint)
    if len(documents) > (1 if engine == "github" else 2):
        message = f"{name} holds {len(documents)} documents; {engine} reads one"
        raise InvalidDocument(message, hint="import each by itself")
    if engine == "github":
        from andon.domains.pipelines.foreign.github import import_github

        return import_github(documents[0], name)
    from andon.domains.pipelines.foreign.gitlab import import_gitlab

    return import_gitlab(documents, name, default_branch)


def _problems(text: str, file: str) -> list[str]:
    """Say what `andon validate` has against the result; it should be nothing."""
    from andon.api.project import check_project

    return [str(problem) for problem in check_project({file: text.encode()}).problems]


def _answer(
    imported: Imported, name: str, output: str | None, problems: list[str]
) -> dict[str, Any]:
    from msgspec import to_builtins

    return {
        "file": name,
        "output": output,
        "complete": imported.complete and not problems,
        "notes": to_builtins(imported.notes),
        "problems": problems,
        "document": imported.text,
    }


def _report(notes: Iterable[Note], name: str, problems: list[str]) -> Iterable[str]:
    found = list(notes)
    for became, title in _TITLES.items():
        some = [note for note in found if note.became == became]
        if some:
            yield strong(title)
        for note in some:
            where = f"{name}:{note.line}: {note.field}: {note.what}"
            yield f"  {where}: {note.why}"
            if note.instead:
                yield faint(f"      instead: {note.instead}")
    for problem in problems:
        yield f"{strong('the result needs a hand:')} {problem}"
    if not found and not problems:
        yield "everything was carried over"


def _read(file: str) -> bytes:
    if file == _STANDARD:
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        hint = "workflows lie in .github/workflows, GitLab's file is .gitlab-ci.yml"
        raise NotFound(f"{file} cannot be read: {error.strerror}", hint=hint) from None


def _write(path: Path, text: str, *, force: bool) -> None:
    try:
        with path.open("w" if force else "x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError:
        raise Conflict(
            f"{path} exists and was left as it is", hint="another name, or --force"
        ) from None
    except OSError as error:
        raise Denied(f"{path} cannot be written: {error.strerror}", hint="another -o") from None
