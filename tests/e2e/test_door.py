"""The door of a real control plane: what lets in, what does not, and what the ledger says of it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import yaml
from driver import Installation, installation

from andon.testing.children import free_port

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
from oidc.provider import Provider, log_in, running_provider

HOLD = {"scope": {"environment": "prod"}, "reason": "because the test says so"}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Any


class Browser:
    """Somebody's browser: keeps cookies, and sends the CSRF token as our page does."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self.port = port
        self.address = address
        self.cookies: dict[str, str] = {}
        self.csrf = ""

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        connection = HTTPConnection(
            "127.0.0.1", self.port, timeout=60, source_address=(self.address, 0)
        )
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if self.csrf:
            sent["X-Andon-CSRF"] = self.csrf
        connection.request(method, path, json.dumps(body) if body is not None else None, sent)
        answer = connection.getresponse()
        content = answer.read()
        for line in answer.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        connection.close()
        is_json = "json" in answer.headers.get("Content-Type", "")
        names = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status, names, json.loads(content) if is_json else content)

    def api(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        return self.ask(method, f"/api/v1{path}", body, **headers)

    def log_in(self, **wish: str) -> Answer:
        said = self.api("POST", "/session", wish)
        self.csrf = said.body.get("csrf", "")
        return said


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def provider(port: int) -> Iterator[Provider]:
    with running_provider([f"http://127.0.0.1:{port}/login/oidc/back"]) as op:
        yield op


@pytest.fixture(scope="module")
def andon(
    tmp_path_factory: pytest.TempPathFactory, port: int, provider: Provider
) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("door")
    (folder / "client").write_text(f"{provider.client_secret}\n")
    oidc = {
        "issuer": provider.issuer,
        "clientId": provider.client_id,
        "clientSecretFile": str(folder / "client"),
        "scopes": list(provider.scopes),
        "teams": {"sre": "reliability"},
    }
    document = {
        "apiVersion": "andon/v1",
        "kind": "Installation",
        "metadata": {"name": "test"},
        "spec": {"oidc": oidc},
    }
    (folder / "installation.yaml").write_text(yaml.safe_dump(document))
    options = ("--config", str(folder / "installation.yaml"), "--port", str(port))
    with installation(folder / "state", *options) as one:
        made = one.andon("admin", "team", "add", "reliability", "--role", "operator")
        assert made.code == 0, made.text
        yield one


@pytest.fixture
def browser(andon: Installation, port: int) -> Browser:
    return Browser(port)


def told(andon: Installation, text: str) -> list[dict[str, Any]]:
    """Events of access that name something."""
    found = andon.client.get("/ledger", {"stream": "org", "limit": 1000})
    return [one for one in found if text in str(one)]


def test_a_stranger_learns_that_andon_is_there_and_nothing_else(browser: Browser) -> None:
    assert browser.api("GET", "/health").body == {"ok": True}
    for path in ("/status", "/ledger", "/runs", "/users", "/metrics", "/events"):
        said = browser.api("GET", path)
        assert (said.status, said.body["code"]) == (401, "NotLoggedIn")


def test_the_generated_token_administers(andon: Installation, browser: Browser) -> None:
    file = andon.state / "admin.token"
    assert file.stat().st_mode & 0o777 == 0o600
    said = browser.api("GET", "/users", Authorization=f"Bearer {file.read_text().strip()}")
    assert said.status == 200


def test_a_person_logs_in_at_the_provider_and_has_their_team(
    andon: Installation, browser: Browser, port: int
) -> None:
    there = browser.ask("GET", "/login/oidc")
    assert there.status == 303
    back = urlsplit(log_in(there.headers["location"], "ann"))
    assert (back.port, back.path) == (port, "/login/oidc/back")
    inside = browser.ask("GET", f"{back.path}?{back.query}")
    assert (inside.status, inside.headers["location"]) == (303, "/")
    who = browser.api("GET", "/session").body
    assert who["identity"]["name"] == "person:ann"
    assert who["identity"]["teams"] == ["reliability"]
    browser.csrf = who["csrf"]
    held = browser.api("POST", "/holds", HOLD)
    assert (held.status, held.body["source"]) == (201, "person:ann")
    assert browser.api("GET", "/users").status == 403
    assert browser.api("DELETE", "/session").status == 204
    assert browser.api("GET", "/status").status == 401
    assert told(andon, "ann")


def test_a_login_that_was_begun_by_somebody_else_is_refused(browser: Browser, port: int) -> None:
    there = browser.ask("GET", "/login/oidc")
    back = urlsplit(log_in(there.headers["location"], "ann"))
    other = Browser(port)
    said = other.ask("GET", f"{back.path}?{back.query}")
    assert said.headers["location"].startswith("/#denied=")
    assert other.api("GET", "/session").body["identity"] is None


def test_who_has_no_role_is_let_in_and_sees_nothing(browser: Browser) -> None:
    there = browser.ask("GET", "/login/oidc")
    back = urlsplit(log_in(there.headers["location"], "ben"))
    browser.ask("GET", f"{back.path}?{back.query}")
    assert browser.api("GET", "/session").body["identity"]["name"] == "person:ben"
    said = browser.api("GET", "/status")
    assert (said.status, said.body["code"]) == (403, "Denied")
    assert "andon admin user change ben --role viewer" in said.body["hint"]


def test_the_address_of_portal_works_once(andon: Installation, browser: Browser, port: int) -> None:
    url = andon.andon("portal", "--print").text.strip()
    code = url.partition("#code=")[2]
    assert browser.log_in(code=code).status == 201
    assert browser.api("GET", "/users").status == 200
    assert Browser(port).log_in(code=code).status == 403


def test_a_command_line_elsewhere_acts_as_the_person_who_says_yes_in_a_browser(
    andon: Installation, browser: Browser, port: int, tmp_path: Path
) -> None:
    who = {"name": "dora", "password": "correct horse battery", "grants": [{"role": "viewer"}]}
    andon.client.post("/users", who)
    command = [sys.executable, "-m", "andon"]
    environ = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "NO_COLOR": "1"}
    there = tmp_path / "elsewhere"
    there.mkdir()
    asking = subprocess.Popen(
        [*command, "login", "--browser", f"http://127.0.0.1:{port}"],
        env=environ,
        cwd=there,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert asking.stderr is not None
        code = asking.stderr.readline().strip().partition("#pair=")[2]
        assert browser.log_in(name=who["name"], password=who["password"]).status == 201
        seen = browser.api("GET", f"/session/pairings/{code}")
        assert seen.body["machine"] == platform.node()
        assert browser.api("POST", f"/session/pairings/{code}", {"allow": True}).status == 200
        said, _ = asking.communicate(timeout=60)
    finally:
        asking.kill()
        asking.wait()
    assert asking.returncode == 0
    assert "as person:dora" in said
    logged_in = {"env": environ, "cwd": there, "capture_output": True, "timeout": 60}
    assert subprocess.run([*command, "status", "--json"], **logged_in).returncode == 0
    held = subprocess.run([*command, "hold", "-e", "prod", "-m", "no"], **logged_in)
    assert held.returncode == 6, held.stderr


def test_a_page_of_another_site_cannot_act_for_its_visitor(
    andon: Installation, browser: Browser
) -> None:
    token = (andon.state / "admin.token").read_text().strip()
    assert browser.log_in(token=token).status == 201
    csrf, browser.csrf = browser.csrf, ""
    assert browser.api("POST", "/holds", HOLD).status == 403
    browser.csrf = csrf
    assert browser.api("POST", "/holds", HOLD, Origin="https://evil.example").status == 403
    assert browser.api("POST", "/holds", HOLD).status == 201


def test_wrong_passwords_lock_the_name_and_an_administrator_unlocks_it(
    andon: Installation, port: int
) -> None:
    password = "correct horse battery"
    who = {"name": "eve", "password": password, "grants": [{"role": "viewer"}]}
    andon.client.post("/users", who)
    assert Browser(port, "127.0.0.2").log_in(name="eve", password=password).status == 201
    for _ in range(5):
        assert Browser(port, "127.0.0.2").log_in(name="eve", password="wrong").status == 403
    locked = Browser(port, "127.0.0.2").log_in(name="eve", password=password)
    assert locked.status == 403
    assert told(andon, "login.locked")
    assert andon.andon("admin", "user", "change", "eve", "--unlock").code == 0
    assert Browser(port, "127.0.0.2").log_in(name="eve", password=password).status == 201
    raw = b"".join(one.read_bytes() for one in andon.state.glob("*.db*"))
    assert password.encode() not in raw


def test_tries_from_one_address_are_counted(browser: Browser) -> None:
    said = [browser.log_in(name="nobody", password="wrong") for _ in range(20)]
    assert said[-1].status == 429
    assert int(said[-1].headers["retry-after"]) > 0
    assert said[-1].body["hint"]


def test_a_token_that_is_revoked_or_narrow_lets_in_no_further(
    andon: Installation, browser: Browser
) -> None:
    made = andon.client.post(
        "/tokens", {"name": "ci", "grants": [{"role": "developer", "environment": "dev"}]}
    )
    bearer = {"Authorization": f"Bearer {made['secret']}"}
    assert browser.api("GET", "/status", **bearer).status == 200
    denied = browser.api("POST", "/holds", HOLD, **bearer)
    assert (denied.status, denied.body["code"]) == (403, "Denied")
    assert told(andon, "ci")
    assert andon.andon("admin", "token", "revoke", "ci").code == 0
    assert browser.api("GET", "/status", **bearer).status == 401
    assert made["secret"] not in "".join(
        one.read_text(errors="replace") for one in andon.state.glob("*.db*")
    )


def test_a_name_that_only_resolves_to_this_machine_is_refused(browser: Browser) -> None:
    assert browser.api("GET", "/health", Host="evil.example").status == 403
