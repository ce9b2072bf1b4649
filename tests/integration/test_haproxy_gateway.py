"""The gateway with a real HAProxy and real servers."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from andon.adapters.haproxy import HAProxyGateway, find_haproxy
from andon.adapters.haproxy.binary import probe
from andon.api.v1.actions import ObserveTraffic, RemoveBackend
from andon.api.v1.definitions import ClientKey
from andon.api.v1.requests import RecentRequests
from andon.calc.paths import LONGEST_PATH
from andon.kernel.errors import NotFound, Unavailable, UsageError


def _load_world():
    path = Path(__file__).with_name("haproxy_world.py")
    spec = importlib.util.spec_from_file_location("haproxy_world", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["haproxy_world"] = module
    spec.loader.exec_module(module)
    return module


w = _load_world()
SYSTEM = probe(Path("/usr/sbin/haproxy"))
NEWEST = find_haproxy()
BINARIES = {binary.version: binary for binary in (NEWEST, SYSTEM) if binary}


@pytest.fixture
async def gateway(tmp_path):
    gateway = HAProxyGateway(tmp_path, w.WallClock())
    await gateway.open()
    yield gateway
    await gateway.close(stop=True)


@pytest.fixture
async def server():
    servers = []

    async def make(name):
        servers.append(w.Server(name))
        return servers[-1], await servers[-1].start()

    yield make
    for each in servers:
        await each.stop()


async def two_versions(gateway, server):
    a, at_a = await server("a")
    b, at_b = await server("b")
    await gateway.add_backend(w.backend("a", at_a), w.INTENT)
    await gateway.add_backend(w.backend("b", at_b), w.INTENT)
    return a, b, gateway.port_of("prod", "shop")


async def observe(gateway, service="shop"):
    return await gateway.observe_traffic(
        ObserveTraffic(environment="prod", service=service), w.INTENT
    )


async def test_first_version_takes_everything_and_second_nothing(gateway, server):
    _, _, port = await two_versions(gateway, server)
    assert await w.names(port, 50) == {"a": 50}


async def test_shares_follow_the_weights_and_clients_stay(gateway, server):
    _, _, port = await two_versions(gateway, server)
    users = [f"u{i}" for i in range(1000)]
    before: set[str] = set()
    keep = w.Client(port)
    for percent in (10, 25, 50):
        await gateway.set_weights(w.weights(a=100 - percent, b=percent), w.INTENT)
        now = {u for u in users if (await keep.get(x_user=u))[1] == "b"}
        expected, deviation = 10 * percent, (1000 * percent / 100 * (1 - percent / 100)) ** 0.5
        assert abs(len(now) - expected) < 4.5 * deviation
        assert before <= now
        before = now
    keep.close()


async def test_cohorts_of_two_services_are_independent(gateway, server):
    _, at_a = await server("a")
    _, at_b = await server("b")
    chosen = {}
    for service in ("shop", "orders"):
        await gateway.add_backend(w.backend("a", at_a, service=service), w.INTENT)
        await gateway.add_backend(w.backend("b", at_b, service=service), w.INTENT)
        await gateway.set_weights(w.weights(service, a=50, b=50), w.INTENT)
        keep = w.Client(gateway.port_of("prod", service))
        chosen[service] = [(await keep.get(x_user=f"u{i}"))[1] for i in range(400)]
        keep.close()
    both = sum(x == y for x, y in zip(*chosen.values(), strict=True))
    assert 150 < both < 250


async def test_client_is_known_by_header_then_cookie_then_address(gateway, server):
    key = ClientKey(header="x-user", cookie="uid")
    for letter in "ab":
        _, at = await server(letter)
        await gateway.add_backend(w.backend(letter, at, key=key), w.INTENT)
    await gateway.set_weights(w.weights(a=50, b=50), w.INTENT)
    port = gateway.port_of("prod", "shop")
    by_header = [(await w.get(port, x_user=f"u{i}", cookie="uid=z"))[1] for i in range(30)]
    by_cookie = [(await w.get(port, cookie=f"q=1; uid=u{i}"))[1] for i in range(30)]
    by_address = {(await w.get(port))[1] for _ in range(30)}
    assert by_header == by_cookie
    assert set(by_header) == {"a", "b"}
    assert len(by_address) == 1


async def test_weight_takes_effect_on_the_next_request_of_an_open_connection(gateway, server):
    _, _, port = await two_versions(gateway, server)
    keep = w.Client(port)
    assert (await keep.get())[1] == "a"
    await gateway.set_weights(w.weights(b=100), w.INTENT)
    assert (await keep.get())[1] == "b"
    keep.close()


async def test_traceparent_is_made_continued_and_mended(gateway, server):
    a, _, port = await two_versions(gateway, server)
    valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for given in (valid, "00-" + "0" * 32 + "-b7ad6b7169203331-01", 'x"},{"b":"'):
        await w.get(port, traceparent=given)
    await w.get(port)
    traces = [seen["traceparent"] for seen in a.seen]
    assert traces[0] == valid
    assert len(set(traces)) == 4
    for trace in traces:
        first, identity, span, flags = trace.split("-")
        assert (first, len(identity), len(span), flags) == ("00", 32, 16, "01")
        assert int(identity + span, 16)


async def test_each_request_can_be_traced_from_the_span_it_was_passed_on_with(gateway, server):
    a, _, port = await two_versions(gateway, server)
    begun = await gateway.recent_requests(RecentRequests(), w.INTENT)
    valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await w.get(port)
    await w.get(port, traceparent=valid)
    await w.counts(gateway, "a")
    asked = RecentRequests(source=begun.source, after=begun.upto)
    seen = (await gateway.recent_requests(asked, w.INTENT)).requests
    given = [f"00-{one.trace}-{one.span}-01" for one in seen]
    assert given == [one["traceparent"] for one in a.seen]
    assert [one.made for one in seen] == [True, False]
    assert {(one.environment, one.service, one.status, one.failed) for one in seen} == {
        ("prod", "shop", 200, False)
    }


async def test_endpoints_are_told_without_queries_and_hostile_ones_cannot_write_into_the_counts(
    gateway, server
):
    _, _, port = await two_versions(gateway, server)
    begun = await gateway.recent_requests(RecentRequests(), w.INTENT)
    asked = ("/.env?card=4111", '/"},{"b":"prod.shop.x","s":"500', "/" + "a/" * 2000, "/ann%40b.c")
    for path in asked:
        assert (await w.get(port, path))[0] == 200
    seen = await w.counts(gateway, "a")
    assert (seen.requests, seen.errors, seen.table_requests) == (4, 0, 4)
    asked = RecentRequests(source=begun.source, after=begun.upto)
    requests = (await gateway.recent_requests(asked, w.INTENT)).requests
    env, forged, long, person = (one.path for one in requests)
    assert (env, forged, person) == ("/.env", '/"},{"b":"prod.shop.x","s":"500', "/*")
    assert long.startswith("/a/a/")
    assert len(long) <= LONGEST_PATH


async def test_hostile_headers_cannot_write_into_the_counts(gateway, server):
    _, _, port = await two_versions(gateway, server)
    evil = '"},{"b":"prod.shop.x","s":"500'
    for i in range(20):
        assert (await w.get(port, x_user=evil + str(i), traceparent=evil))[0] == 200
    seen = await w.counts(gateway, "a")
    assert (seen.requests, seen.errors, seen.table_requests) == (20, 0, 20)


LINE = b'{"b":"%s","s":"500","t":"1","c":"1","i":"","e":"--","p":"1","d":"1"}'


def saved(tmp_path):
    return json.loads((tmp_path / "gateway" / "model.json").read_bytes())


async def test_forged_datagrams_are_not_counted(gateway, server, tmp_path):
    _, _, port = await two_versions(gateway, server)
    await w.get(port)
    target = ("127.0.0.1", saved(tmp_path)["logPort"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
        name = f"prod.shop.{w.version('a').key}".encode()
        forger.sendto(b"0" * 32 + b" " + LINE % name, target)
        forger.sendto(b"\xff" * 100, target)
    assert (await w.counts(gateway, "a")).requests == 1


async def test_counts_that_disagree_for_a_while_are_not_consistent(tmp_path, server):
    clock = w.SetClock()
    gateway = HAProxyGateway(tmp_path, clock)
    await gateway.open()
    await two_versions(gateway, server)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as insider:
        model, name = saved(tmp_path), f"prod.shop.{w.version('a').key}".encode()
        line = model["token"].encode() + b" " + LINE % name
        insider.sendto(line, ("127.0.0.1", model["logPort"]))
    assert (await observe(gateway)).consistent
    clock.at += 3
    seen = await observe(gateway)
    assert not seen.consistent
    assert "1 requests and 1 errors in log lines, 0 and 0 counted by HAProxy" in seen.message
    await gateway.close(stop=True)


async def test_dead_version_books_503_on_itself_in_both_counts(gateway, server):
    _, b, port = await two_versions(gateway, server)
    await b.stop()
    await gateway.set_weights(w.weights(b=100), w.INTENT)

    async def refused():
        return (await w.get(port))[0] == 503

    await w.until(refused)
    for i in range(10):
        assert (await w.get(port, x_user=f"u{i}"))[0] == 503
    seen = await w.counts(gateway, "b")
    assert seen.errors == seen.table_errors >= 11
    assert seen.requests == seen.table_requests
    assert (await w.counts(gateway, "a")).errors == 0


async def test_an_error_counts_once_per_client(gateway, server):
    a, _, port = await two_versions(gateway, server)

    async def fail(path, headers):
        return 500, "no"

    a.behave = fail
    for _ in range(30):
        await w.get(port, x_user="one")
    seen = await w.counts(gateway, "a")
    assert seen.errors == 30
    assert 1 <= seen.client_errors <= 3


async def test_slow_version_books_504_and_its_latency(gateway, server):
    a, at_a = await server("a")
    await gateway.add_backend(w.backend("a", at_a, timeout=0.2), w.INTENT)
    forever = asyncio.Event()

    async def hang(path, headers):
        await forever.wait()
        return 200, "late"

    a.behave = hang
    assert (await w.get(gateway.port_of("prod", "shop")))[0] == 504
    forever.set()
    seen = await w.counts(gateway, "a")
    assert (seen.requests, seen.errors, seen.table_errors) == (1, 1, 1)
    assert sum(seen.latency.values()) == 1
    assert min(seen.latency) > 60


async def test_client_that_leaves_is_not_the_versions_error(gateway, server):
    a, _, port = await two_versions(gateway, server)
    asked, answer = asyncio.Event(), asyncio.Event()

    async def hang(path, headers):
        asked.set()
        await answer.wait()
        return 200, "late"

    a.behave = hang
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await asked.wait()
    writer.close()
    answer.set()
    a.behave = None
    await w.get(port)
    assert (await w.counts(gateway, "a")).errors == 0


async def test_errors_of_a_front_service_are_charged_to_the_version_behind_it(gateway, server):
    front, at_front = await server("front")
    _, at_good = await server("good")
    bad, at_bad = await server("bad")
    await gateway.add_backend(w.backend("f", at_front), w.INTENT)
    await gateway.add_backend(w.backend("a", at_good, service="orders"), w.INTENT)
    await gateway.add_backend(w.backend("b", at_bad, service="orders"), w.INTENT)
    inner = gateway.port_of("prod", "orders")
    await gateway.set_weights(w.weights("orders", b=100), w.INTENT)

    async def call_behind(path, headers):
        _, body = await w.get(inner, traceparent=headers["traceparent"], x_user="front")
        return (500, "no") if body == "wrong" else (200, "fine")

    async def wrong_but_200(path, headers):
        return 200, "wrong"

    front.behave, bad.behave = call_behind, wrong_but_200
    for i in range(6):
        assert (await w.get(gateway.port_of("prod", "shop"), x_user=f"u{i}"))[0] == 500
    behind = await w.counts(gateway, "b", "orders")
    assert (behind.errors, behind.attributed_errors) == (0, 6)
    assert (await w.counts(gateway, "a", "orders")).attributed_errors == 0
    assert (await w.counts(gateway, "f")).client_errors == 6


async def _load(port, stop, failures, done, number, *, fresh):
    client = w.Client(port)
    while not stop.is_set():
        try:
            status, _ = await client.get(x_user=f"{number}-{done[0]}")
            if status != 200:
                failures.append(status)
        except (OSError, EOFError) as error:
            failures.append(repr(error))
            client.close()
        done[0] += 1
        if fresh:
            client.close()
    client.close()


@pytest.mark.parametrize("binary", BINARIES.values(), ids=lambda b: ".".join(map(str, b.version)))
async def test_no_request_is_lost_while_weights_change_and_versions_come_and_go(
    tmp_path, server, binary
):
    gateway = HAProxyGateway(tmp_path, w.WallClock(), lambda: binary)
    await gateway.open()
    _, _, port = await two_versions(gateway, server)
    source = (await observe(gateway)).source
    stop, failures, done = asyncio.Event(), [], [0]
    async with asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(_load(port, stop, failures, done, number, fresh=number >= 4))
        for turn in range(200):
            share = (turn * 37) % 101
            await gateway.set_weights(w.weights(a=100 - share, b=share), w.INTENT)
        for _ in range(5):
            c, at_c = await server("c")
            await gateway.add_backend(w.backend("c", at_c), w.INTENT)
            await gateway.set_weights(w.weights(a=50, c=50), w.INTENT)
            remove = RemoveBackend(environment="prod", service="shop", version=w.version("c"))
            await gateway.remove_backend(remove, w.INTENT)
            await c.stop()
        stop.set()
    assert failures == []
    assert done[0] > 300
    seen = await observe(gateway)
    assert seen.source == source
    assert seen.consistent, seen.message
    for counts in seen.versions.values():
        assert (counts.requests, counts.errors) == (counts.table_requests, counts.table_errors)
    await gateway.close(stop=True)


async def test_killed_haproxy_is_restarted_with_its_weights_and_counts_begin_anew(gateway, server):
    _, _, port = await two_versions(gateway, server)
    await gateway.set_weights(w.weights(b=100), w.INTENT)
    assert (await w.get(port))[1] == "b"
    source, pid = (await observe(gateway)).source, gateway.status()["pid"]
    os.kill(pid, signal.SIGKILL)

    async def healed():
        return gateway.status()["pid"] not in (None, pid) and not gateway.status()["message"]

    await w.until(healed)
    assert (await w.get(port))[1] == "b"
    seen = await observe(gateway)
    assert seen.source != source
    assert (await w.counts(gateway, "b")).requests == 1


async def test_haproxy_outlives_the_agent_and_is_adopted_again(tmp_path, server):
    first = HAProxyGateway(tmp_path, w.WallClock())
    await first.open()
    _, _, port = await two_versions(first, server)
    await first.set_weights(w.weights(b=100), w.INTENT)
    source, pid = (await observe(first)).source, first.status()["pid"]
    await first.close(stop=False)
    assert (await w.get(port))[1] == "b"
    second = HAProxyGateway(tmp_path, w.WallClock())
    await second.open()
    assert second.status()["pid"] == pid
    assert second.port_of("prod", "shop") == port
    assert (await w.get(port))[1] == "b"
    assert (await observe(second)).source != source
    seen = await w.counts(second, "b")
    assert (seen.requests, seen.table_requests) == (1, 1)
    await second.close(stop=True)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_change_goes_on_when_whoever_asked_for_it_goes_away(gateway, server):
    await two_versions(gateway, server)
    _, at_c = await server("c")
    asking = asyncio.create_task(gateway.add_backend(w.backend("c", at_c), w.INTENT))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await gateway.set_weights(w.weights(c=100), w.INTENT)
    assert (await w.get(gateway.port_of("prod", "shop")))[1] == "c"


async def test_adding_the_same_version_again_changes_nothing(gateway, server):
    _, at_a = await server("a")
    added = await gateway.add_backend(w.backend("a", at_a), w.INTENT)
    generation = gateway.status()["generation"]
    assert await gateway.add_backend(w.backend("a", at_a), w.INTENT) == added
    assert gateway.status()["generation"] == generation


async def test_taken_port_is_named_with_its_service(gateway):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Unavailable, match=f"Port {port}.*service shop.*prod") as raised:
            gateway.port_of("prod", "shop", port)
        assert "ss -ltnp" in raised.value.hint
        with pytest.raises(Unavailable):
            await gateway.add_backend(w.backend("a", "127.0.0.1:9", listen=port), w.INTENT)


async def test_port_of_another_service_is_refused(gateway):
    port = gateway.port_of("prod", "shop")
    with pytest.raises(Unavailable, match="belongs to service shop"):
        gateway.port_of("prod", "orders", port)


async def test_last_version_removed_leaves_a_clear_503(gateway, server):
    _, at_a = await server("a")
    await gateway.add_backend(w.backend("a", at_a), w.INTENT)
    remove = RemoveBackend(environment="prod", service="shop", version=w.version("a"))
    await gateway.remove_backend(remove, w.INTENT)
    await gateway.remove_backend(remove, w.INTENT)
    status, body = await w.get(gateway.port_of("prod", "shop"))
    assert status == 503
    assert "No version" in body


async def test_weights_of_unknown_versions_and_of_nobody_are_refused(gateway, server):
    await two_versions(gateway, server)
    with pytest.raises(NotFound, match="not behind the gateway"):
        await gateway.set_weights(w.weights(z=100), w.INTENT)
    with pytest.raises(UsageError, match="no version any traffic"):
        await gateway.set_weights(w.weights(a=0, b=0), w.INTENT)


async def test_killed_worker_heals_too(gateway, server):
    _, _, port = await two_versions(gateway, server)
    pid = gateway.status()["pid"]
    worker = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[-1])
    os.kill(worker, signal.SIGKILL)

    async def healed():
        return gateway.status()["pid"] not in (None, pid) and not gateway.status()["message"]

    await w.until(healed)
    assert (await w.get(port))[0] == 200
