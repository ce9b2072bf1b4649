"""The beacon in a real browser, on a page of another origin."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from chromium import CHROMIUM, browse

from andon.adapters.telemetry.logs import SqliteLogStore
from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.api.v1.telemetry import BeaconSpec
from andon.app.telemetry.beacon import Beacon
from andon.ports.offices import Offices
from andon.ports.telemetry import LogQuestion, Matcher
from andon.runtime.system import SystemClock
from andon.testing.door import FixedDoor
from andon.testing.line import StillLine
from andon.testing.polling import DEADLINE_SECONDS, until
from andon.testing.serving import served

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
PAGE = """<!doctype html><title>shop</title><script src="{beacon}/beacon.js"></script>
<h1>Shop</h1><script>
setTimeout(() => {{ nothing.at.all(); }}, 50);
setTimeout(() => {{ location.href = "/next"; }}, 300);
</script><img src="/never" alt="">"""
"""The image keeps the page from being loaded: the browser ends with the page after it."""
NEXT = '<h1>next</h1><img src="/heard" alt="">'


@contextlib.contextmanager
def shop() -> Iterator[ThreadingHTTPServer]:
    left = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/never":
                left.wait(DEADLINE_SECONDS)
                return
            if self.path == "/heard":
                left.set()
                until(self.server.heard)
            here = self.path.startswith("/cart")
            page = PAGE.format(beacon=self.server.beacon) if here else NEXT
            body = page.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


async def test_a_page_of_a_named_site_tells_how_it_did(tmp_path: Path) -> None:
    metrics, logs = MetricChunks(tmp_path), SqliteLogStore(tmp_path / "logs.db")
    with shop() as server:
        site = f"127.0.0.1:{server.server_address[1]}"
        spec = BeaconSpec(origins=(f"http://{site}",), sample_ratio=1)
        beacon = Beacon(spec, metrics, logs, 1e9, SystemClock())
        offices = Offices(line=StillLine(endless=False), access=FixedDoor(), beacon=beacon)
        async with served(offices, tmp_path) as url:
            server.beacon, server.heard = url, lambda: beacon._tallied.views
            await asyncio.to_thread(
                browse,
                tmp_path / "profile",
                "--dump-dom",
                f"http://{site}/cart/12?who=ann#x",
            )
        beacon.tell()
    (views,) = metrics.select([Matcher("__name__", "=", "andon_page_views_total")], 0, 2**52)
    assert dict(views.labels)["page"] == "/cart/:id"
    told = {
        dict(one)["__name__"] for one in metrics.names_of([Matcher("site", "=", site)], 0, 2**52)
    }
    assert {f"andon_web_{name}_count" for name in ("ttfb_seconds", "cls")} <= told
    (line,) = logs.search(LogQuestion(start_ns=0, end_ns=2**62)).lines
    assert line.text.startswith("Uncaught ReferenceError: nothing is not defined (/cart")
    assert "ann" not in line.text
    metrics.close()
    logs.close()
