"""``andon init``."""

from __future__ import annotations

from pathlib import Path

import click

from andon.cli.output import show
from andon.cli.root import flags
from andon.cli.session import Session


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@flags
@click.pass_obj
def command(session: Session, folder: Path, force: bool) -> None:
    """Look at a repository and write a short andon.yaml that works."""
    from andon.cli.init import init

    result = init(folder, force)
    answer = {"file": str(result.file), "notes": list(result.notes)}
    show(session, answer, _tell)


def _tell(answer: dict[str, list[str]]) -> list[str]:
    return [
        f"wrote {answer['file']}",
        *(f"  {note}" for note in answer["notes"]),
        "next: andon validate, commit it, andon up, and in another terminal: andon ship",
    ]
