"""A control plane with one small service, asked over TCP with a token."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from andon.client import Andon

DEADLINE_SECONDS = 120
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
DEFINITIONS = """\
apiVersion: andon/v1
kind: Pipeline
metadata: {name: shop}
spec:
  jobs:
    build: {run: "true"}
---
apiVersion: andon/v1
kind: Service
metadata: {name: shop}
spec:
  command: [python3, app.py]
  artifact: {path: .}
  health: {path: /}
---
apiVersion: andon/v1
kind: Environment
metadata: {name: dev}
spec:
  rollout: {strategy: rolling, soakSeconds: 0}
---
apiVersion: andon/v1
kind: Environment
metadata: {name: prod}
spec:
  after: dev
  approvals: {count: 1}
  rollout: {strategy: rolling, soakSeconds: 0}
---
apiVersion: andon/v1
kind: Route
metadata: {name: shop}
spec: {service: shop}
"""


class World:
    """A repository, a state folder, and `andon up`; `close` leaves nothing running."""

    def __init__(self, root: Path) -> None:
        self.repository = root / "shop"
        self.state = root / "state"
        self.repository.mkdir()
        (self.repository / "app.py").write_text(APP)
        (self.repository / "andon.yaml").write_text(DEFINITIONS)
        self._log = root / "up.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.git("init", "-q", "-b", "main")
        self.commit("one")

    def git(self, *words: str) -> None:
        names = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
        subprocess.run(["git", *names, *words], cwd=self.repository, check=True)

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)

    def up(self, port: int = 0, *words: str) -> None:
        with self._log.open("wb") as log:
            command = [sys.executable, "-m", "andon", "up", "--port", str(port), *words]
            self._process = subprocess.Popen(
                [*command, "--state", self.state],
                cwd=self.repository,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.until(lambda: "andon is up" in self.log or self._process.poll() is not None)
        assert self._process.poll() is None, self.log

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(DEADLINE_SECONDS)

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def url(self) -> str:
        found = re.search(r"andon is up: (\S+)", self.log)
        assert found, self.log
        return found[1]

    @property
    def token(self) -> str:
        return (self.state / "admin.token").read_text().strip()

    @property
    def andon(self) -> Andon:
        return Andon(self.url, token=self.token)

    def until(self, what):
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            if found := what():
                return found
            time.sleep(0.05)
        raise AssertionError(f"not within {DEADLINE_SECONDS} s: {self.log}")

    def close(self) -> None:
        environ = {**os.environ, "ANDON_STATE": str(self.state)}
        command = [sys.executable, "-m", "andon", "down"]
        subprocess.run(
            command, cwd=self.repository, env=environ, capture_output=True, timeout=DEADLINE_SECONDS
        )
        if self._process is not None:
            if self._process.poll() is None:
                self._process.terminate()
            self._process.wait(DEADLINE_SECONDS)
