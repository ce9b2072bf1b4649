"""The environment variables a process starts with: few, and none of the agent's secrets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

PortOf = Callable[[str, str], int]
"""Gateway port of (environment, service)."""

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def base() -> dict[str, str]:
    """Return what every process gets."""
    return {
        "PATH": os.environ.get("PATH", _DEFAULT_PATH),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "PYTHONUNBUFFERED": "1",  # Last words must be in the log when a process is killed.
    }


def addresses(environment: str, needs: Iterable[str], port_of: PortOf) -> dict[str, str]:
    """Return ``ANDON_URL_<NAME>`` for each service needed."""
    return {
        f"ANDON_URL_{name.upper().replace('-', '_')}": (
            f"http://127.0.0.1:{port_of(environment, name)}"
        )
        for name in needs
    }
