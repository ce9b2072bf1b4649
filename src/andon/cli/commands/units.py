"""``andon admin units``."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

import click

from andon.cli.output import show
from andon.cli.root import flags
from andon.cli.session import Session
from andon.kernel.errors import Unavailable

ENVIRONMENT_FILE = Path("/etc/andon/environment")

_folder = click.Path(file_okay=False, path_type=Path)


@click.command("units")
@click.option("--user", default="", help="Whom everything runs as; default: you.")
@click.option("--into", type=_folder, default=None, help="Folder to write to; default: print.")
@click.option(
    "--environment-file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=ENVIRONMENT_FILE,
    show_default=True,
    help="Read if it is there: ANDON_DATABASE_URL=… and other secrets.",
)
@click.option("--up", "options", multiple=True, metavar="OPTION", help="More options of andon up.")
@flags
@click.pass_obj
def command(
    session: Session,
    user: str,
    into: Path | None,
    environment_file: Path,
    options: tuple[str, ...],
) -> None:
    """Write systemd units: the agent, the control plane, and workers beside it."""
    from andon.cli.systemd import units

    texts = units(
        python=Path(sys.executable),
        state=session.state,
        user=user or getpass.getuser(),
        environment_file=environment_file,
        options=options,
    )
    if into is None:
        show(session, dict(texts), lambda _: [f"# {name}\n{one}" for name, one in texts.items()])
        return
    written = [str(_write(into / name, text)) for name, text in texts.items()]
    show(session, {"written": written}, lambda _: [f"wrote {one}" for one in written])


def _write(file: Path, text: str) -> Path:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f".{file.name}.new")
        new.write_text(text)
        new.replace(file)
    except OSError as error:
        raise Unavailable(
            f"{file} cannot be written: {error.strerror}", hint="as root, or with --into DIR"
        ) from None
    return file
