"""Every block of the API guide is run in its order, by a shell and by Python, against a real control plane."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from andon.kernel.errors import ERRORS
from andon.web.api import OPERATIONS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/api.md").read_text()
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
DEFAULT = "http://127.0.0.1:7411"
SECONDS = 300
APP = """\
import os
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

if __name__ == "__main__":
    address = ("127.0.0.1", int(os.environ["PORT"]))
    ThreadingHTTPServer(address, SimpleHTTPRequestHandler).serve_forever()
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
  rollout: {strategy: rolling, soakSeconds: 0}
---
apiVersion: andon/v1
kind: Route
metadata: {name: shop}
spec: {service: shop}
"""


class Reader:
    """Does what the page says: one shell and one Python that go on from block to block."""

    def __init__(self, day: Any) -> None:
        self.day = day
        log = Path(day._log).read_text()
        self.address = re.search(r"andon is up: (\S+)", log)[1]
        self.names: dict[str, Any] = {}

    def do(self, kind: str, text: str) -> str:
        return self.type(text) if kind == "sh" else self.compute(text)

    def type(self, text: str) -> str:
        text = text.replace(DEFAULT, self.address)
        keep = 'echo; printf "%s\\n%s\\n" "$ANDON_TOKEN" "$ANDON_SERVER" >"$HOME/kept"'
        done = subprocess.run(
            ["bash", "-ec", f"{text}\n{keep}"],
            cwd=self.day.folder,
            env=self.day.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        kept = (Path(self.day.environ["HOME"]) / "kept").read_text().splitlines()
        self.day.environ |= dict(zip(("ANDON_TOKEN", "ANDON_SERVER"), kept, strict=True))
        return done.stdout

    def compute(self, text: str) -> str:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.day.folder)
            patch.delenv("ANDON_STATE", raising=False)
            for name in ("ANDON_TOKEN", "ANDON_SERVER"):
                patch.setenv(name, self.day.environ[name])
            exec(compile(text, "docs/api.md", "exec"), self.names)
        return said.getvalue()


@pytest.fixture(scope="module")
def said(days) -> list[str]:
    day = days("shop").write({"app.py": APP, "andon.yaml": DEFINITIONS})
    day.commit("one")
    day.up()
    reader, said = Reader(day), []
    for kind, text in BLOCKS:
        here = day.environ["ANDON_STATE"]
        said.append(reader.do(kind, text.replace("--state .andon", f"--state {here}")))
        if text.startswith("andon ship"):  # what follows is of the next commit
            day.commit("two")
    return said


def test_every_block_runs_and_shows_what_the_page_says(said: list[str]) -> None:
    whole = "\n".join(said)
    assert '"name":"service:robot"' in whole  # curl
    assert "'name': 'service:robot'" in whole  # Python
    assert '"created":true' in whole
    assert "Succeeded {'dev': 'Succeeded'}" in whole
    assert '"source":"service:robot"' in whole
    assert "until: andon lift hold-" in whole
    assert re.search(r'(?i)link: </api/v1/ledger\?limit=2&after=2>; rel="next"', whole)
    assert "rollout-dev-shop-" in whole
    assert "shop deployed in dev" in whole
    assert whole.count("NotFound") >= 2


def test_the_stream_shown_is_one_of_server_sent_events(said: list[str]) -> None:
    (stream,) = [one for one in said if one.startswith("retry: 1000")]
    assert stream.splitlines()[2:4] == ["event: event", "id: 1"]
    assert json.loads(stream.splitlines()[4].removeprefix("data: "))["seq"] == 1


def test_the_table_of_errors_has_every_code_with_its_status() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \| (.*?) \|", PAGE, re.MULTILINE)
    told = {
        (int(status), code)
        for statuses, codes in rows
        for status in statuses.split(",")
        for code in re.findall(r"`(\w+)`", codes)
    }
    assert {(error.http_status, error.code) for error in ERRORS} <= told


def test_every_path_and_field_that_curl_is_told_exists() -> None:
    paths = {re.sub(r"{[^}]*}", "[^/]+", one.path) for one in OPERATIONS}
    for kind, text in BLOCKS:
        for word in shlex.split(text.replace("\\\n", " ")) if kind == "sh" else ():
            if "/api/v1" in word:
                path = word.partition("/api/v1")[2].partition("?")[0]
                assert any(re.fullmatch(one, path) for one in paths), word
