"""What `systemctl` does of a unit, where no systemd is: runs ExecStart, ends the main process.

``systemctl.py ROOT enable --now UNIT…`` and ``systemctl.py ROOT restart UNIT…``; process ids are kept in ROOT/pids.
"""

from __future__ import annotations

import configparser
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

STOP_SECONDS = 90.0


def main() -> None:
    root, verb, *words = sys.argv[1:]
    for name in (word for word in words if not word.startswith("--")):
        if verb == "restart":
            stop(Path(root), name)
        start(Path(root), name)


def start(root: Path, name: str) -> None:
    stem, at, instance = name.removesuffix(".service").partition("@")
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(root / "etc/systemd/system" / f"{stem}{at}.service")
    service = unit["Service"]
    command = shlex.split(service["ExecStart"].replace("%i", instance))
    given = Path(service["EnvironmentFile"].removeprefix("-"))
    lines = given.read_text().splitlines() if given.exists() else []
    environment = dict(line.split("=", 1) for line in lines)
    with (root / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (root / "pids").mkdir(exist_ok=True)
    (root / "pids" / name).write_text(str(process.pid))


def stop(root: Path, name: str) -> None:
    pid = int((root / "pids" / name).read_text())
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)


main()
