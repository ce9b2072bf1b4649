"""What every command knows: the state folder, and whether a machine or a person reads the answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from andon.client.wire import Client

STATE_FOLDER = ".andon"
_MARKS = ("andon.yaml", ".git")


def find_state(given: str, environ: Mapping[str, str], folder: Path) -> Path:
    """Say where the state folder is.

    Args:
        given: ``--state``, or empty.
        environ: Environment variables; ``ANDON_STATE`` counts.
        folder: Where the command runs; else the nearest parent with ``andon.yaml`` or ``.git``
            has it.
    """
    named = given or environ.get("ANDON_STATE", "")
    if named:
        return (folder / Path(named).expanduser()).absolute()
    return project_root(folder) / STATE_FOLDER


def project_root(folder: Path) -> Path:
    """Return the nearest folder upwards with ``andon.yaml`` or ``.git``; the folder itself if none."""
    for candidate in (folder, *folder.parents):
        if any((candidate / mark).exists() for mark in _MARKS):
            return candidate
    return folder


class Session:
    """One call of ``andon``."""

    def __init__(self) -> None:
        self.json = False
        self.color = True
        self.given_state = ""

    @property
    def state(self) -> Path:
        """The state folder."""
        return find_state(self.given_state, os.environ, Path.cwd())

    @property
    def client(self) -> Client:
        """The way to this state folder's control plane."""
        from andon.client.wire import Client

        return Client(self.state)

    @property
    def colorful(self) -> bool:
        """Whether a person looks at a terminal that may show colours."""
        return self.colors_wanted and sys.stdout.isatty()

    @property
    def colors_wanted(self) -> bool:
        """Whether nobody said no to colours.

        Source: no-color.org.
        """
        return self.color and not os.environ.get("NO_COLOR")

    @property
    def live(self) -> bool:
        """Whether a display that redraws itself can be shown."""
        return not self.json and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
