"""Where Andon listens, as real processes see it: the worked example of its configuration is applied."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from andon.testing.certificates import make_certificate

EXAMPLE = Path(__file__).parents[2] / "docs" / "kinds" / "host" / "installation.yaml"
HEAD = "apiVersion: andon/v1\nkind: Installation\nmetadata: {name: a}\nspec:\n"
PATIENCE_SECONDS = 60


class Host:
    """A machine with Andon on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.processes: list[subprocess.Popen[bytes]] = []

    def andon(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "andon", *words],
            cwd=self.folder,
            env={**os.environ, "ANDON_STATE": str(self.state), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def configure(self, text: str) -> str:
        (self.folder / "installation.yaml").write_text(text)
        return str(self.folder / "installation.yaml")

    def example(self) -> str:
        """Write the worked example, with what it names."""
        make_certificate(self.folder)
        for name in ("oidc-secret", "mail-password"):
            (self.folder / name).write_text("secret\n")
        (self.folder / "secrets-key").write_bytes(bytes(range(32)))
        (self.folder / "secrets-key").chmod(0o600)
        return self.configure(EXAMPLE.read_text().replace("/etc/andon", str(self.folder)))

    def up(self, *words: str) -> dict[str, Any]:
        """Start it; what it wrote down of itself."""
        log = self.folder / "up.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "andon", "up", *words],
                cwd=self.folder,
                env={**os.environ, "ANDON_STATE": str(self.state)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "next:" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        found: dict[str, Any] = json.loads((self.state / "control.json").read_text())
        return found

    def close(self) -> None:
        if self.processes:
            self.andon("down")
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_SECONDS)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    one = Host(tmp_path)
    yield one
    one.close()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--listen", "0.0.0.0:0"), 2, "`proxy.trusted`"),
        (("--listen", "[::]:0"), 2, "not encrypted"),
        (("--listen", "somewhere"), 2, "is no address to listen on"),
        (("--listen", "127.0.0.1:1", "--port", "2"), 2, "names a port already"),
        (("--config", "nothing.yaml"), 4, "nothing.yaml cannot be read"),
    ],
    ids=["all", "all of IPv6", "nowhere", "twice", "no file"],
)
def test_up_says_why_it_does_not_listen(
    host: Host, words: tuple[str, ...], code: int, said: str
) -> None:
    done = host.andon("up", *words)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (host.state / "control.db").exists()


def test_a_wrong_configuration_is_explained_before_anything_starts(host: Host) -> None:
    told = host.configure(f"{HEAD}  listen: 0.0.0.0:443\n  tsl: {{}}\n")
    done = host.andon("up", "--config", told)
    assert done.returncode == 3
    assert "installation.yaml:6:3: spec.tsl: unknown field" in done.stderr
    checked = host.andon("validate", told)
    assert checked.returncode == 3
    assert "6 |   tsl: {}" in checked.stdout
    missing = host.configure(f"{HEAD}  tls: {{certificate: /none.pem, key: /none.pem}}\n")
    assert host.andon("validate", missing).returncode == 0
    done = host.andon("up", "--config", missing)
    assert done.returncode == 2
    assert "/none.pem cannot be read" in done.stderr


def test_the_worked_example_serves_encrypted_and_under_its_own_name_only(host: Host) -> None:
    told = host.example()
    assert host.andon("validate", told).returncode == 0
    record = host.up("--config", told, "--port", "0")
    assert record["url"] == "https://andon.example.com"
    log = (host.folder / "up.log").read_text()
    listens = next(line for line in log.splitlines() if line.startswith("listens on:"))
    assert listens.startswith("listens on: https://0.0.0.0:")
    port = int(listens.rpartition(":")[2])
    status, headers = ask(host, port, "andon.example.com")
    assert status == 200
    assert "max-age=" in headers["Strict-Transport-Security"]
    assert ask(host, port, "elsewhere.example.com")[0] == 403
    assert json.loads(host.andon("status", "--json").stdout)["page"] == record["url"]
    found = json.loads(host.andon("doctor", "--config", told, "--json").stdout)["findings"]
    assert any(record["url"] in one["found"] for one in found)
    assert {one["check"] for one in found} >= {"certificate", "control plane"}


def ask(host: Host, port: int, name: str) -> tuple[int, Any]:
    context = ssl.create_default_context(cafile=str(host.folder / "certificate.pem"))
    request = urllib.request.Request(f"https://127.0.0.1:{port}/", headers={"Host": name})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS, context=context) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.headers
