"""What Apprise calls goes where calls may lead, however it calls, and redirects lead nowhere else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from andon.adapters.notices.apprising import Apprising
from andon.adapters.outbound import LOCAL, Guard
from andon.kernel.errors import Denied
from andon.ports.notices import Notice
from andon.ports.sinks import NotTaken

pytest.importorskip("apprise")
NOTICE = Notice(
    id="e", subject="page: shop", lines=("it burns",), url="https://andon.example/#/alerts"
)
NOWHERE = Guard()


class Site:
    """Takes what is sent to it, and sends on to another address whoever asks for /away."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                site.paths.append(self.path)
                away = self.path.startswith("/away")
                self.send_response(307 if away else 200)
                if away:
                    self.send_header("Location", f"http://127.0.0.2:{site.port}/home")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


def tell(guard: Guard, *urls: str) -> None:
    asyncio.run(Apprising(guard).send(urls, NOTICE, "the file"))


def test_who_may_be_called_is_told(site: Site) -> None:
    tell(LOCAL, f"json://127.0.0.1:{site.port}/home")
    assert site.paths == ["/home"]


def test_internal_address_is_not_called(site: Site) -> None:
    with pytest.raises(Denied, match=r"leads to 127\.0\.0\.1, which may not be called") as refused:
        tell(NOWHERE, f"json://127.0.0.1:{site.port}/home")
    assert "--allow-internal 127.0.0.1" in refused.value.hint
    with pytest.raises(Denied, match="leads to localhost"):
        tell(NOWHERE, f"json://localhost:{site.port}/home")
    assert site.paths == []


@pytest.mark.parametrize("scheme", ["mailto", "rsyslog"])
def test_nor_by_whatever_way_it_calls(site: Site, scheme: str) -> None:
    user = "a:b@" if scheme == "mailto" else ""
    more = "?smtp=127.0.0.1&from=a@b.example&to=a@b.example" if scheme == "mailto" else ""
    with pytest.raises(Denied, match="may not be called"):
        tell(NOWHERE, f"{scheme}://{user}127.0.0.1:{site.port}{more}")
    assert site.paths == []


def test_redirect_leads_nowhere_else(site: Site) -> None:
    with pytest.raises(Denied, match=r"leads to 127\.0\.0\.2"):
        tell(Guard(("127.0.0.1/32",)), f"json://127.0.0.1:{site.port}/away")
    assert site.paths == ["/away"]


@pytest.mark.parametrize("url", ["syslog://", "dbus://", "gnome://", "windows://", "macosx://"])
def test_this_machine_itself_is_not_told(url: str) -> None:
    with pytest.raises(Denied, match="it is not called"):
        tell(LOCAL, url)


def test_address_that_is_none_is_told_by_its_number_and_not_by_its_secret() -> None:
    with pytest.raises(Denied) as refused:
        tell(LOCAL, "json://127.0.0.1/", "nosuchthing://s3cret")
    assert str(refused.value).startswith("address 2 of the file is none")
    assert "s3cret" not in str(refused.value)


def test_who_does_not_answer_has_not_taken_it() -> None:
    site = Site()
    site.close()
    with pytest.raises(NotTaken):
        tell(LOCAL, f"json://127.0.0.1:{site.port}/home")
