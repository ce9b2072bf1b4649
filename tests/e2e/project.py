"""A small git repository with one service that answers with its own content."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]

SERVER = """\
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from content import TEXT


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def do_GET(self):
        body = f"{TEXT} {os.environ.get('MOOD', '')}".strip().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *said):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""

TEST = """\
import unittest

import content


class Content(unittest.TestCase):
    def test_says_something(self):
        self.assertTrue(content.TEXT)
"""

UNIT = "cd app; python3 -B -m unittest -q test_content"
ROLLING: Json = {"strategy": "rolling", "soakSeconds": 0, "warmupSeconds": 0}
CANARY: Json = {
    "strategy": "canary",
    "warmupSeconds": 0,
    "soakSeconds": 0.5,
    "steps": [{"weight": 50, "minSeconds": 0.2}, {"weight": 100, "minSeconds": 0.2}],
    "judge": {"tolerance": 10, "beta": 0.2},
}
OBJECTIVE: Json = {"service": "hello", "availability": 0.9}


@dataclass(frozen=True)
class Shape:
    """What the project's documents say."""

    jobs: Json = field(default_factory=lambda: {"unit": {"run": UNIT, "timeoutSeconds": 60}})
    service: Json = field(default_factory=dict)
    environments: Json = field(
        default_factory=lambda: {"prod": {"requires": ["unit"], "rollout": ROLLING}}
    )
    route: Json = field(default_factory=dict)

    def text(self) -> str:
        """Write the documents; JSON is YAML too."""
        service = {
            "artifact": {"path": "app"},
            "command": ["python3", "-B", "server.py"],
            "health": {"path": "/", "intervalSeconds": 0.1, "readyWithinSeconds": 20},
            "drainSeconds": 2,
            **self.service,
        }
        route = {"service": "hello", "clientKey": {"header": "X-Client"}, **self.route}
        documents = [
            ("Pipeline", "hello", {"jobs": self.jobs}),
            ("Service", "hello", service),
            *(("Environment", name, spec) for name, spec in self.environments.items()),
            ("Objective", "hello", OBJECTIVE),
            ("Route", "hello", route),
        ]
        return "\n---\n".join(
            json.dumps(
                {"apiVersion": "andon/v1", "kind": k, "metadata": {"name": n}, "spec": spec},
                indent=2,
            )
            for k, n, spec in documents
        )


CANARIES: Json = {"prod": {"requires": ["unit"], "rollout": CANARY}}


class Project:
    """A repository.

    Args:
        path: Where it is made, with one commit on ``main`` that says "one".
        shape: What its documents say.
    """

    def __init__(self, path: Path, shape: Shape | None = None) -> None:
        self.path = path
        self.shape = shape or Shape()
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.good = self.commit("one", files={"app/server.py": SERVER, "app/test_content.py": TEST})

    def git(self, *arguments: str) -> str:
        """Run git as a committer of no importance."""
        who = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
        command = ["git", "-C", str(self.path), *who, "-c", "commit.gpgsign=false", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(
        self, text: str, shape: Shape | None = None, files: Mapping[str, str] | None = None
    ) -> str:
        """Commit a version that answers with a text, on the branch that is checked out."""
        documents = (shape or self.shape).text()
        content = {"app/content.py": f"TEXT = {text!r}\n", "andon.yaml": documents}
        for name, data in (content | dict(files or {})).items():
            (self.path / name).parent.mkdir(exist_ok=True)
            (self.path / name).write_text(data)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", f"say {text!r}")
        return self.git("rev-parse", "HEAD")

    def change_rules(self, shape: Shape) -> None:
        """Commit other rules; they hold for every Change but the first one shipped."""
        self.shape = shape
        self.commit("one")

    def aside(
        self, text: str, shape: Shape | None = None, files: Mapping[str, str] | None = None
    ) -> str:
        """Commit beside ``main``, on top of its head, and come back."""
        self.git("checkout", "--quiet", "--detach", "main")
        sha = self.commit(text, shape, files)
        self.git("checkout", "--quiet", "main")
        return sha
