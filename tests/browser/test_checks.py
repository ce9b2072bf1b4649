"""A Check that walks through pages does so in Chromium."""

from __future__ import annotations

import http.server
import threading

import pytest

from andon.adapters.checks import Place, ask
from andon.adapters.outbound import Guard
from andon.api.v1.checks import BrowserFlow, BrowserStep, CheckSpec

PAGE = b"""<!doctype html><title>shop</title><input id=what><button id=buy>Buy</button><p id=said></p>
<script>document.querySelector("#buy").onclick = () => {
  document.querySelector("#said").textContent = "bought " + document.querySelector("#what").value
}</script>"""


@pytest.fixture
def shop():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def walk(address: str, *steps: BrowserStep, service: str | None = "shop"):
    check = CheckSpec(
        service=service,
        environment="prod",
        timeout_seconds=120,
        retries=0,
        browser=BrowserFlow(steps=steps),
    )
    place = Place(guard=Guard(), address_of=lambda environment, service: address, now=lambda: 0.0)
    return ask("shop-walk", check, place)


def test_flow_passes_when_the_page_shows_what_was_expected(shop):
    steps = (
        BrowserStep(go="/"),
        BrowserStep(fill={"#what": "tea"}, click="#buy", see="bought tea"),
    )
    done = walk(shop, *steps)
    assert (done.passed, done.message) == (True, "")
    assert list(done.phases) == ["step 1", "step 2"]


def test_page_of_this_machine_that_is_not_the_service_is_not_opened(shop):
    done = walk(shop, BrowserStep(go=shop + "/"), service=None)
    assert not done.passed
    assert done.message.startswith("step 1: ")
