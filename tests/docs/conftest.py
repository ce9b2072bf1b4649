"""A user with a repository of their own, and the installed `andon`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

DEADLINE_SECONDS = 300.0
POLL_SECONDS = 0.1


def poll(what: Callable[[], Any], why: Callable[[], str] = lambda: "") -> Any:
    """Poll until something is true."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"not within {DEADLINE_SECONDS:g} s; {why()}")


class Day:
    """One person, one repository, one state folder; `close` leaves nothing running."""

    def __init__(self, root: Path, name: str) -> None:
        self.folder = root / name
        self.folder.mkdir(parents=True)
        bin_folder = Path(sys.executable).parent
        self.environ = {
            "HOME": str(root),
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "ANDON_STATE": str(root / f"{name}.state"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            **{
                f"GIT_{who}_{what}": value
                for who in ("AUTHOR", "COMMITTER")
                for what, value in (("NAME", "Someone"), ("EMAIL", "someone@example.org"))
            },
        }
        self._started: list[subprocess.Popen[str]] = []
        self._log = root / f"{name}.up.log"

    def write(self, files: dict[str, str]) -> Day:
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)
        return self

    def run(self, *words: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
        )
        assert not ok or done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
        return done

    def start(self, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            words,
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._started.append(process)
        return process

    def andon(self, *words: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("andon", *words, ok=ok)

    def ask(self, *words: str) -> Any:
        return json.loads(self.andon(*words, "--json", ok=False).stdout)

    def commit(self, message: str) -> None:
        if not (self.folder / ".git").exists():
            self.run("git", "init", "-q", "-b", "main")
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "--allow-empty", "-m", message)

    def up(self, *words: str) -> None:
        with self._log.open("w") as log:
            process = subprocess.Popen(
                ["andon", "up", *(words or ("--port", "0"))],
                cwd=self.folder,
                env=self.environ,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self._started.append(process)
        poll(
            lambda: "andon is up" in self._log.read_text() or process.poll() is not None,
            self._log.read_text,
        )
        assert process.poll() is None, self._log.read_text()

    def address(self, environment: str, service: str) -> str:
        rows = self.ask("status")["services"]
        return next(
            row["address"]
            for row in rows
            if (row["environment"], row["service"]) == (environment, service)
        )

    def close(self) -> None:
        self.andon("down", ok=False)
        for process in self._started:
            if process.poll() is None:
                process.terminate()
            process.wait(DEADLINE_SECONDS)
            if process.stdout:
                process.stdout.close()


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Day]]:
    """Give people their repositories; end everything they started."""
    begun: list[Day] = []

    def begin(name: str) -> Day:
        begun.append(Day(tmp_path_factory.mktemp(name), name))
        return begun[-1]

    yield begin
    for day in begun:
        day.close()


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """Poll until something is true."""
    return poll
