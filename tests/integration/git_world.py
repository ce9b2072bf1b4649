"""Real repositories, a real git daemon, and processes stopped at a step of git."""

from __future__ import annotations

import os
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ENV = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": "/dev/null",
    **{f"GIT_{role}_NAME": "Ada" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_EMAIL": "ada@example.org" for role in ("AUTHOR", "COMMITTER")},
}


def git(folder: Path, *arguments: str, input: bytes = b"") -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, env=_ENV, check=True, capture_output=True, input=input)
    return done.stdout.decode().strip()


def committed(folder: Path) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "change")
    return git(folder, "rev-parse", "HEAD")


class _Daemon(socketserver.ThreadingTCPServer):
    daemon_threads = False
    base: Path


class _Serve(socketserver.BaseRequestHandler):
    server: _Daemon

    def handle(self) -> None:
        base = self.server.base
        command = ["git", "daemon", "--inetd", "--export-all", f"--base-path={base}"]
        env = _ENV | {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory"}
        env["GIT_CONFIG_VALUE_0"] = "*"
        subprocess.run(command, stdin=self.request, stdout=self.request, env=env, check=False)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the repositories below a folder; yields the address that their names follow."""
    with _Daemon(("127.0.0.1", 0), _Serve) as server:
        server.base = folder
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"git://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def stopping_git(folder: Path, verb: str, *, git_too: bool) -> dict[str, str]:
    """Return an environment whose git stops its caller where it is to do a thing.

    The caller is stopped once git alone holds the mirror's lock, which it lets go of a moment after git began.

    Args:
        folder: For the program.
        verb: What to stop at, such as ``update-ref``.
        git_too: Git itself waits as well, until the file ``go`` appears in the folder.
    """
    folder.mkdir()
    wait = f"while [ ! -e {folder}/go ] && kill -0 $PPID; do sleep 0.02; done" if git_too else ":"
    given = "while ls -l /proc/$PPID/fd | grep -q '[.]lock$'; do :; done"
    before = "" if git_too else f"{given}; "
    (folder / "git").write_text(
        f'#!/bin/sh\ncase " $* " in\n*" {verb} "*)\n'
        f"if mkdir {folder}/stopped 2>/dev/null; then {before}kill -STOP $PPID; {wait}; fi;;\n"
        f'esac\nexec {shutil.which("git")} "$@"\n'
    )
    (folder / "git").chmod(0o755)
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
