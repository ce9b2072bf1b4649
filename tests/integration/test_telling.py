"""Services tell what they see without a line of configuration, over restarts of whoever takes it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_world import AgentProcess, until
from otlp_world import Seen

from andon.adapters.process import environment
from andon.api.v1.actions import Intent
from andon.api.v1.spans import Span
from andon.testing.serving import served
from andon.testing.target_suite import deployment, get

DIGEST = "sha256:" + "d" * 64
SHOP = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=20))
tracer = provider.get_tracer("shop")

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/":
            with tracer.start_as_current_span(self.path):
                pass
        self.send_response(200)
        self.end_headers()

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
ASK = "/v1/traces"


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[Seen]:
    (tmp_path / "stores").mkdir()
    seen = Seen(tmp_path / "stores")
    yield seen
    seen.close()


@pytest.fixture
async def agent(tmp_path: Path):
    agent = AgentProcess(tmp_path)
    agent.start()
    yield agent
    await agent.end()


async def until_told(seen: Seen, operation: str) -> None:
    """Wait for a span; see that it says whose it is."""

    def told() -> list[Span]:
        ripe = seen.traces.ripe(2**62).traces.values()
        return [span for one in ripe for span in one.spans if span.name == operation]

    await until(told)
    (span,) = told()
    assert span.service == "shop"
    assert span.attributes["deployment.environment.name"] == "prod"
    assert span.attributes["service.version"].startswith("d" * 12)


async def test_a_service_of_the_sdk_tells_spans_over_restarts(
    agent: AgentProcess, seen: Seen
) -> None:
    agent.provide(DIGEST, {"server.py": SHOP})
    shop = deployment(DIGEST, command=(sys.executable, "server.py"))
    async with served(seen.offices(), agent.state):
        ready = await agent.client.deploy_replicas(shop, Intent(key="d", epoch=1))
        assert await get(ready.endpoints[0], "/first") is not None
        await until_told(seen, "/first")
    agent.kill()
    agent.start()
    async with served(seen.offices(), agent.state):  # At another port.
        assert await get(ready.endpoints[0], "/second") is not None
        await until_told(seen, "/second")


async def test_a_job_with_the_network_is_told_where_and_one_without_is_not(
    agent: AgentProcess,
) -> None:
    done = await agent.run("env | grep ^OTEL_ | cut -d= -f1 | sort", network=True)
    assert (await agent.client.tail_log(done.log)).data.decode().split() == [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_SERVICE_NAME",
    ]
    done = await agent.run("! env | grep ^OTEL_", key="r1/1/other/0")
    assert done.state == "passed"


# --- the door itself ------------------------------------------------------------------------------


class Door:
    """What processes know of the door of an agent."""

    def __init__(self, agent: AgentProcess) -> None:
        told = json.loads((agent.state / "agent" / "telling.json").read_text())
        self.port, self.token = told["port"], told["token"]

    def ask(
        self, path: str = ASK, body: Any = b"{}", method: str = "POST", **headers: str
    ) -> tuple[int, str]:
        """Send one request; ``_`` in names of headers stands for ``-``."""
        given = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, 20)) as line:
            line.request(method, path, body, given, encode_chunked="Transfer-Encoding" in given)
            answer = line.getresponse()
            answer.read()
            return answer.status, answer.headers.get("Retry-After", "")

    async def raw(self, text: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(text)
        answer = await reader.read()
        writer.close()
        return answer


async def test_only_telemetry_and_only_with_the_token_comes_in(
    agent: AgentProcess, seen: Seen
) -> None:
    door = Door(agent)
    ask = door.ask
    assert await asyncio.to_thread(ask) == (503, "5")
    async with served(seen.offices(), agent.state):
        assert await asyncio.to_thread(ask) == (200, "")
        chunks = {"Transfer_Encoding": "chunked"}
        assert await asyncio.to_thread(lambda: ask(body=[b"{", b"}"], **chunks)) == (200, "")
        assert await asyncio.to_thread(lambda: ask(body=b"{")) == (400, "")
        for headers in ({"Authorization": "Bearer other"}, {"Authorization": ""}):
            assert (await asyncio.to_thread(lambda given=headers: ask(**given)))[0] == 401
        for path in ("/api/v1/status", "/v1/traces/../../../status", "/v1/traces?a=b", "/"):
            assert (await asyncio.to_thread(lambda asked=path: ask(asked)))[0] == 404
        assert (await asyncio.to_thread(lambda: ask(method="GET", body=None)))[0] == 404
        assert (await asyncio.to_thread(lambda: ask(Content_Length=str(9 << 20))))[0] == 413
        await expect_no_smuggling(door)


async def expect_no_smuggling(door: Door) -> None:
    """Send what two servers could read differently; the second request would be an administrator's."""
    more = b"GET /api/v1/status HTTP/1.1\r\nHost: a\r\n\r\n"
    head = f"POST {ASK} HTTP/1.1\r\nAuthorization: Bearer {door.token}\r\n".encode()
    length = b"Content-Length: 2\r\n"
    for lines in (
        length + b"Content-Length: 44\r\n\r\n{}",
        length + b"Transfer-Encoding: chunked\r\n\r\n{}",
        b"Transfer-Encoding: identity\r\n\r\n{}",
        length + b"X: a\nTransfer-Encoding: chunked\r\n\r\n{}",
        length + b"Content-Type: a\rX: b\r\n\r\n{}",
        b"Content-Length: +2\r\n\r\n{}",
        b" Content-Length: 2\r\n\r\n{}",
    ):
        answer = await door.raw(head + lines + more)
        assert answer.startswith(b"HTTP/1.1 400 "), (lines, answer)
        assert answer.count(b"HTTP/1.1") == 1
    pipelined = await door.raw(head + length + b"\r\n{}" + more)
    assert pipelined.startswith(b"HTTP/1.1 ")
    assert pipelined.count(b"HTTP/1.1 404") == 1


def test_processes_get_none_of_the_agents_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20mine")
    assert "OTEL_EXPORTER_OTLP_HEADERS" not in environment.base()
