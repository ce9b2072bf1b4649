"""Every command of the operations guide is run, in its order, on a machine made of one folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from andon.testing.postgres import PostgresServer

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/operations.md").read_text()
PLACES = (
    "/opt/andon",
    "/var/lib/andon",
    "/var/backups",
    "/etc/andon",
    "/etc/systemd",
    "/usr/local",
)
SECONDS = 600
DATABASE = "/etc/andon/environment"

APP = """\
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def sections() -> dict[str, list[tuple[str, int]]]:
    """Return the commands of each section with the exit code they are said to have."""
    found = {}
    for title, text in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL):
        blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        lines = [line for block in blocks for line in block.splitlines()]
        found[title] = [(line.partition("  #")[0], _code(line)) for line in lines]
    return found


def _code(line: str) -> int:
    said = re.search(r"  # exits (\d+)", line)
    return int(said[1]) if said else 0


class Machine:
    """A file system in a folder, and one shell that goes on from command to command."""

    def __init__(self, root: Path, database: str) -> None:
        self.root = root
        for place in PLACES:
            (root / place[1:]).mkdir(parents=True, exist_ok=True)
        (root / "usr/local/bin").mkdir()
        systemctl = root / "usr/local/bin/systemctl"
        script = Path(__file__).with_name("systemctl.py")
        systemctl.write_text(f'#!/bin/sh\nexec {sys.executable} {script} {root} "$@"\n')
        systemctl.chmod(0o755)
        (root / "wheels").mkdir()
        build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", root / "wheels"]
        subprocess.run([*build, ROOT], check=True)
        self.database = database
        self.environ = {
            "HOME": str(root / "var/lib/andon"),
            "PATH": f"{root}/usr/local/bin:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
            "PIP_FIND_LINKS": f"{root / 'wheels'} {os.environ.get('PIP_FIND_LINKS', '')}",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "ANDON_MIGRATE_TO": database,
        }

    def type(self, command: str, code: int = 0) -> str:
        """Type a command at the shell; an `export` holds for all that follow."""
        for place in PLACES:
            command = re.sub(rf"(?<![\w/]){place}", f"{self.root}{place}", command)
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            self.environ[name] = shlex.split(value)[0]
            return ""
        with (self.root / "typed.log").open("w+") as log:
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self.root,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=SECONDS,
            )
            log.seek(0)
            said = log.read()
        assert done.returncode == code, f"{command}: {done.returncode}\n{said}{self._logs()}"
        return said

    def _logs(self) -> str:
        return "".join(one.read_text()[-2000:] for one in self.root.glob("*.service.log"))

    def end(self) -> None:
        """End all that was started."""
        for state in ("state", "restored"):
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "andon",
                    "down",
                    "--state",
                    self.root / "var/lib/andon" / state,
                ],
                check=False,
            )


@pytest.mark.postgres
def test_every_command_of_the_guide_works(server: PostgresServer, tmp_path: Path, until) -> None:
    machine = Machine(tmp_path / "machine", server.new_schema())
    told = sections()
    try:
        for title, commands in told.items():
            prepare(machine, title, until)
            for command, code in commands:
                machine.type(command, code)
                settle(machine, command, until)
        # The machine was lost, and what ran on it runs again.
        until(lambda: answers(machine))
    finally:
        machine.end()


def answers(machine: Machine) -> bool:
    """Say whether the service shipped before answers on the restored machine."""
    services = json.loads(machine.type("andon status --json"))["services"]
    urls = [one["address"] for one in services if one["environment"] == "prod"]
    return bool(urls) and "ok" in machine.type(f"curl --silent {urls[0]} || true")


def prepare(machine: Machine, title: str, until) -> None:
    """Do what the guide leaves to the reader."""
    if title == "Back up":
        ship(machine)
    if title == "Disaster":
        machine.type("andon down")
        machine.environ.pop("ANDON_DATABASE_URL", None)


def settle(machine: Machine, command: str, until) -> None:
    """Wait until what was started answers, as a person would."""
    if "systemctl" in command or command.endswith("&"):
        state = machine.environ.get("ANDON_STATE", str(machine.root / "var/lib/andon/state"))
        ask = ["andon", "status", "--json", "--state", state]
        until(lambda: not subprocess.run(ask, env=machine.environ, capture_output=True).returncode)
    if command == "andon admin migrate":
        line = f"ANDON_DATABASE_URL={machine.database}\n"
        (machine.root / DATABASE[1:]).write_text(line)


def ship(machine: Machine) -> None:
    """Have a service of somebody's in production."""
    folder = machine.root / "hello"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    git = "git -c user.name=a -c user.email=a@example.org -C hello"
    for command in (
        f"{git} init -q -b main",
        "cd hello && andon init",
        f"{git} add -A",
        f"{git} commit -qm 'feat: say ok'",
        "cd hello && andon ship --timeout 300s",
    ):
        machine.type(command)
