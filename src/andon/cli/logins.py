"""Servers that a person is logged in at: one file of their own, readable by nobody else."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from andon.kernel.errors import UsageError

FILE = "servers.json"


class Login(NamedTuple):
    """A server and what lets in there."""

    url: str
    token: str
    ca_file: str = ""


def logins_file(environ: Mapping[str, str]) -> Path:
    """Say where logins are kept.

    Source: XDG Base Directory Specification.
    """
    home = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "andon" / FILE


def current_login(file: Path) -> Login | None:
    """Return the login that was made last and not ended.

    Raises:
        UsageError: The file cannot be read.
    """
    kept = _read(file)
    found = kept["servers"].get(kept["current"])
    return Login(kept["current"], found["token"], found.get("caFile", "")) if found else None


def keep_login(file: Path, login: Login) -> None:
    """Keep a login, and make it the current one."""
    kept = _read(file)
    kept["current"] = login.url
    kept["servers"][login.url] = {"token": login.token, "caFile": login.ca_file}
    _write(file, kept)


def forget_login(file: Path, url: str) -> str:
    """Forget a login.

    Args:
        file: Where logins are kept.
        url: Of the server; empty: the current one.

    Returns:
        Address of the server.

    Raises:
        UsageError: Nobody is logged in there.
    """
    kept = _read(file)
    gone = url or kept["current"]
    if gone not in kept["servers"]:
        raise UsageError(f"not logged in{f' at {gone}' if gone else ''}", hint="andon login URL")
    del kept["servers"][gone]
    kept["current"] = (
        next(iter(kept["servers"]), "") if kept["current"] == gone else kept["current"]
    )
    _write(file, kept)
    return gone


def _read(file: Path) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads(file.read_text())
        return {"current": str(kept["current"]), "servers": dict(kept["servers"])}
    except FileNotFoundError:
        return {"current": "", "servers": {}}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{file} cannot be read: {error}", hint=f"rm {file}; andon login"
        ) from None


def _write(file: Path, kept: dict[str, Any]) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(kept, out, indent=2)
    new.replace(file)
