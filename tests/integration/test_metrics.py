"""A service behind the gateway, seen by a real scraper: what it tells, what the gateway counted, what it uses."""

from __future__ import annotations

import asyncio
import itertools
import time
import urllib.error
import urllib.request

import pytest
from agent_world import AgentProcess
from msgspec.structs import replace

from andon.adapters.agentclient import AgentClient
from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.api.v1.actions import AddBackend, Intent
from andon.api.v1.definitions import MetricsEndpoint, RouteSpec
from andon.api.v1.telemetry import MetricsSpec, ScrapeTarget
from andon.app.telemetry.metrics import GATEWAY_NOTE, Collectors, ticks
from andon.kernel.errors import Unavailable
from andon.ports.telemetry import Matcher
from andon.runtime.system import SystemClock
from andon.store import open_store
from andon.testing.target_suite import deployment

DEADLINE_SECONDS = 90
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


def covered(metrics, name, since):
    """Return how many of the seconds since a moment were observed."""
    asked = [Matcher("__name__", "=", name)]
    (window,) = metrics.increase(asked, int(1000 * since), int(1000 * time.time())).values()
    return window.covered_seconds


def fill(metrics):
    for number in itertools.count():
        metrics.note(f"ballast {number}", bytes(1000))


async def until(condition):
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():
            await asyncio.sleep(0.05)


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=DEADLINE_SECONDS) as answer:
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
    spec = MetricsSpec(interval_seconds=0.5, targets=(target,))
    collectors = Collectors(metrics, store, agent.client, spec, SystemClock(), tmp_path)
    loops = [asyncio.create_task(loop()) for loop in collectors.loops().values()]
    try:
        await until(lambda: last(metrics, "andon_runs_active") and metrics.noted(GATEWAY_NOTE))
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
        # Each is looked at in a loop of its own.
        await until(lambda: last(metrics, "up", job="nobody") == [0])
        memory = "process_resident_memory_bytes"
        await until(lambda: min(last(metrics, memory, job="replicas"), default=0) > 1 << 20)
        await until(lambda: min(last(metrics, "node_memory_MemTotal_bytes"), default=0) > 1 << 20)

        agent.kill()
        agent.start()
        for path in ("/", "/", "/bad"):
            await asyncio.to_thread(get, added.address + path)
        await until(lambda: total(metrics, name) == 8)
        assert total(metrics, name, class_="5xx|failed") == 3
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        collectors.close()
        store.close()


async def test_full_telemetry_disk_is_told_and_leaves_a_gap_and_nothing_worse(
    metrics, tmp_path, caplog
):
    store = open_store(str(tmp_path / "andon.db"), source="/andon/test")
    caplog.set_level("INFO")
    agent = AgentClient(tmp_path / "nobody.sock", SystemClock())
    spec = MetricsSpec(interval_seconds=0.2)
    collectors = Collectors(metrics, store, agent, spec, SystemClock(), tmp_path)
    loop = asyncio.create_task(collectors.watch_machine())
    name = "process_cpu_seconds_total"
    try:
        await until(lambda: last(metrics, name))
        metrics.database.limit_pages(1)
        with pytest.raises(Unavailable):
            fill(metrics)
        await until(lambda: "this machine are unknown" in caplog.text)
        assert await store.read(lambda tx: tx.last_seq()) == 0
        begun = time.time()
        await until(lambda: time.time() > begun + 2)
        metrics.database.limit_pages(1 << 30)
        await until(lambda: "this machine are told again" in caplog.text)
        await until(lambda: covered(metrics, name, begun) >= 0.2)
        assert covered(metrics, name, begun) <= time.time() - begun - 1.5
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        collectors.close()
        store.close()


async def test_moments_are_whole_intervals_apart_and_a_clock_set_back_is_told(caplog):
    clock = SetBack()
    found = []
    async with asyncio.timeout(DEADLINE_SECONDS):
        async for moment in ticks(clock, 0.05):
            found.append(moment)
            clock.back_seconds = 0.2 if len(found) == 3 else 0
            if len(found) == 6:
                break
    assert found == sorted(set(found))
    assert all(moment % 50 == 0 for moment in found)


class SetBack:
    """The time, a while of it set back."""

    back_seconds = 0.0

    def now(self):
        return time.time() - self.back_seconds
