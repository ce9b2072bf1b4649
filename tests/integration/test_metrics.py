"""A service behind the gateway, seen by a real scraper: what it tells, what the gateway counted, what it uses."""

from __future__ import annotations

import asyncio
import time
import urllib.error
import urllib.request

import pytest
from agent_world import AgentProcess
from msgspec.structs import replace

from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.api.v1.actions import AddBackend, Intent
from andon.api.v1.definitions import MetricsEndpoint, RouteSpec
from andon.api.v1.telemetry import MetricsSpec, ScrapeTarget
from andon.app.telemetry.metrics import Collectors
from andon.ports.telemetry import Matcher
from andon.runtime.system import SystemClock
from andon.store import open_store
from andon.testing.target_suite import deployment

DEADLINE_SECONDS = 30
SERVER = """
import http.server, os
count = 0
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global count
        bad = self.path == "/bad"
        count += self.path != "/metrics"
        self.send_response(500 if bad else 200)
        self.end_headers()
        self.wfile.write(b"# TYPE shop_orders_total counter\\nshop_orders_total %d\\n" % count)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture
async def agent(tmp_path):
    running = AgentProcess(tmp_path / "state")
    running.start()
    yield running
    await running.end()


@pytest.fixture
def metrics(tmp_path):
    store = MetricChunks(tmp_path)
    yield store
    store.close()


def total(metrics, name, **labels):
    """Return by how much counters grew in all, and in how many series."""
    matchers = [Matcher("__name__", "=", name)]
    matchers += [Matcher(key.strip("_"), "=~", value) for key, value in labels.items()]
    windows = metrics.increase(matchers, 1, int(time.time() * 1000)).values()
    return sum(one.increase for one in windows)


def last(metrics, name, **labels):
    matchers = [Matcher("__name__", "=", name)]
    matchers += [Matcher(key, "=", value) for key, value in labels.items()]
    found = metrics.select(matchers, 1, int(time.time() * 1000))
    return [float(one.values[-1]) for one in found]


async def until(condition):
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():
            await asyncio.sleep(0.05)


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


async def test_service_behind_the_gateway_is_seen_without_configuration(agent, metrics, tmp_path):
    digest = "sha256:" + "a" * 64
    agent.provide(digest, {"server.py": SERVER})
    action = replace(deployment(digest), metrics=MetricsEndpoint())
    intent = Intent(key="d", epoch=1)
    store = open_store(str(tmp_path / "andon.db"), source="/andon/test")
    target = ScrapeTarget(url="http://127.0.0.1:1/metrics", job="nobody", interval_seconds=1)
    spec = MetricsSpec(interval_seconds=1, targets=(target,))
    collectors = Collectors(metrics, store, agent.client, spec, SystemClock(), tmp_path)
    loops = [asyncio.create_task(loop()) for loop in collectors.loops().values()]
    try:
        await until(lambda: last(metrics, "andon_runs_active"))
        ready = await agent.client.deploy_replicas(action, intent)
        added = await agent.client.add_backend(
            AddBackend(
                environment=action.environment,
                service=action.service,
                version=action.version,
                endpoints=ready.endpoints,
                route=RouteSpec(service=action.service),
                health=action.health,
            ),
            intent,
        )
        for path in ("/", "/", "/", "/bad", "/bad"):
            await asyncio.to_thread(get, added.address + path)
        name = "andon_gateway_requests_total"
        await until(lambda: total(metrics, name) == 5)
        assert total(metrics, name, class_="5xx|failed") == 2
        assert total(metrics, "andon_gateway_request_duration_seconds_count") == 5
        assert last(metrics, name, version=action.version.key, **{"class": "2xx"}) == [3]
        await until(
            lambda: (
                last(metrics, "shop_orders_total") and last(metrics, "shop_orders_total")[0] >= 5
            )
        )
        assert last(metrics, "up", service=action.service) == [1] * action.replicas
        assert last(metrics, "up", job="nobody") == [0]
        assert min(last(metrics, "process_resident_memory_bytes", job="replicas")) > 1 << 20
        assert last(metrics, "node_memory_MemTotal_bytes")[0] > 1 << 20
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        collectors.close()
        store.close()
