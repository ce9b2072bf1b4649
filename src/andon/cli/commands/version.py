"""``andon version``."""

from __future__ import annotations

import platform

import click

from andon import __version__
from andon.cli.output import show
from andon.cli.root import flags
from andon.cli.session import Session


@click.command()
@flags
@click.pass_obj
def command(session: Session) -> None:
    """Print the version."""
    answer = {"version": __version__, "python": platform.python_version()}
    show(session, answer, lambda one: [f"andon {one['version']}, Python {one['python']}"])
