"""What every command knows: the state folder, and whether a machine or a person reads the answer."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from andon.client.wire import Client, Server

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
        self.given_server = ""

    @property
    def state(self) -> Path:
        """The state folder."""
        return find_state(self.given_state, os.environ, Path.cwd())

    @property
    def client(self) -> Client:
        """The way to the control plane: a server that was named or logged in at, or the socket here.

        A control plane that runs in this very project goes before a login elsewhere.
        """
        from andon.client.wire import Client

        return Client(self.server or self.state)

    @property
    def server(self) -> Server | None:
        """The server to ask; None: the control plane of the state folder."""
        from andon.cli.logins import current_login, logins_file
        from andon.client.wire import SOCKET, Server

        told = "" if self.given_state else os.environ.get("ANDON_SERVER", "")
        named = self.given_server or told
        here = self.given_state or os.environ.get("ANDON_STATE", "")
        if not named and (here or (self.state / SOCKET).exists()):
            return None
        login = current_login(logins_file(os.environ))
        token = os.environ.get("ANDON_TOKEN", "")
        ca_file = os.environ.get("ANDON_CA_FILE", "")
        if named:
            server = Server(named, token, ca_file)
            if login is not None and login.url == server.url and not token:
                return Server(*login)
            return server
        return Server(login.url, token or login.token, ca_file or login.ca_file) if login else None

    @property
    def page(self) -> str:
        """Address of the page."""
        return self.server.url if self.server else page_of(self.state)

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


def page_of(state: Path) -> str:
    """Return the address that the control plane of a state folder wrote down."""
    try:
        return str(json.loads((state / "control.json").read_text()).get("url", ""))
    except (OSError, ValueError):
        return ""
