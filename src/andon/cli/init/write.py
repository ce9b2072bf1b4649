"""Put the first ``andon.yaml`` into a folder."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from andon.api.project import check_project
from andon.cli.init.folder import Folder
from andon.cli.init.inspect_folder import Findings, inspect_folder
from andon.cli.init.render import render_andon_yaml
from andon.kernel.errors import Conflict, Denied, InternalError, NotFound

FILE_NAME = "andon.yaml"
_STATE_LINE = ".andon/"


class InitResult(Struct, frozen=True, kw_only=True):
    """What was written, and what a person should look at."""

    file: Path
    notes: tuple[str, ...]
    findings: Findings


def init(path: Path, force: bool = False) -> InitResult:
    """Write ``andon.yaml`` and make git ignore Andon's state folder.

    Args:
        path: The repository's top folder.
        force: Replace an existing file.

    Raises:
        NotFound: There is no such folder.
        Conflict: The file exists.
        Denied: The folder cannot be written.
    """
    if not path.is_dir():
        raise NotFound(f"{path} is not a folder", hint="cd into your repository, then: andon init")
    file = path / FILE_NAME
    if not force and os.path.lexists(file):
        raise Conflict(
            f"{file} exists and was left as it is",
            hint="check it: andon validate; or replace it: andon init --force",
        )
    findings = inspect_folder(path)
    text = render_andon_yaml(findings)
    problems = check_project({FILE_NAME: text.encode()}).problems
    if problems:
        raise InternalError(f"the file written for {path} would not be valid: {problems[0]}")
    try:
        _replace(file, text)
        ignored = _ignore_state(path)
    except OSError as error:
        raise Denied(
            f"{path} cannot be written: {error.strerror}", hint=f"check with: ls -ld {path}"
        ) from error
    return InitResult(file=file, notes=(*findings.notes, *ignored), findings=findings)


def _replace(file: Path, text: str) -> None:
    """Write beside and rename, so that a link of this name is replaced and never followed."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    with beside.open("x", encoding="utf-8") as written:
        written.write(text)
    os.replace(beside, file)


def _ignore_state(path: Path) -> tuple[str, ...]:
    """Add the state folder to ``.gitignore``; return a note if a person has to."""
    ignore = path / ".gitignore"
    if ignore.is_symlink() or (ignore.exists() and not ignore.is_file()):
        return (
            f"{ignore.name} is not a plain file; add the line {_STATE_LINE} where git reads it",
        )
    text = Folder(path).read(".gitignore")
    if {line.strip() for line in text.splitlines()} & {".andon/", ".andon", "/.andon/", "/.andon"}:
        return ()
    with ignore.open("a", encoding="utf-8") as written:
        written.write(("\n" if text and not text.endswith("\n") else "") + f"{_STATE_LINE}\n")
    return ()
