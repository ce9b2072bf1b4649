"""The load generator against servers that misbehave in the ways that servers do."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from andon.cli.demo.load import Load, Planned, plan_requests
from andon.cli.demo.tally import Report
from andon.cli.demo.wire import Reply, Unanswered, Wire

DEADLINE_SECONDS = 60.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BROKEN = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

Answer = Callable[[int, int], Awaitable[bytes | None]]
"""Given the number of the connection and of the request on it: the answer, or None to close."""


class Server:
    """Answers as a test says, and notes what was asked on which connection."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[tuple[int, str]] = []
        self.connections = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection, request = self.connections, 0
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                _, _, length = head.lower().partition(b"content-length:")
                await reader.readexactly(int(length.split(b"\r\n")[0] or 0))
                self.asked.append((connection, head.decode().split(" ")[0]))
                answer = await self.answer(connection, request)
                if answer is None:
                    break
                request += 1
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Server]:
    server = Server(answer)
    listener = await asyncio.start_server(server.converse, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield server


async def always_ok(connection: int, request: int) -> bytes:
    return OK


async def once_per_connection(connection: int, request: int) -> bytes | None:
    return OK if request == 0 else None


async def test_connection_is_reused() -> None:
    async with serving(always_ok) as server:
        wire = Wire(server.url)
        assert [await wire.send("GET", "/", "a") for _ in range(3)] == [Reply(200)] * 3
        assert server.asked == [(0, "GET")] * 3
        wire.close()


async def test_get_on_a_stale_connection_is_sent_once_more_on_a_new_one() -> None:
    async with serving(once_per_connection) as server:
        wire = Wire(server.url)
        await wire.send("GET", "/", "a")
        assert await wire.send("GET", "/", "a") == Reply(200, retried=True)
        assert server.asked == [(0, "GET"), (0, "GET"), (1, "GET")]
        wire.close()


async def test_post_goes_out_on_a_connection_of_its_own() -> None:
    async with serving(once_per_connection) as server:
        wire = Wire(server.url)
        await wire.send("GET", "/", "a")
        assert await wire.send("POST", "/orders", "a", b"{}") == Reply(200)
        assert server.asked == [(0, "GET"), (1, "POST")]
        wire.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_request_on_a_new_connection_is_never_repeated(method: str) -> None:
    async def close(connection: int, request: int) -> None:
        return None

    async with serving(close) as server:
        with pytest.raises(Unanswered, match="without an answer"):
            await Wire(server.url).send(method, "/", "a", b"{}" if method == "POST" else b"")
        assert server.asked == [(0, method)]


async def test_half_an_answer_is_a_failure_and_not_repeated() -> None:
    async def half(connection: int, request: int) -> bytes:
        return OK if request == 0 else b"HTTP/1.1 200 OK\r\nConnection: close\r\n"

    async with serving(half) as server:
        wire = Wire(server.url, timeout_seconds=1)
        await wire.send("GET", "/", "a")
        with pytest.raises(Unanswered):
            await wire.send("GET", "/", "a")
        assert server.asked == [(0, "GET")] * 2


async def test_server_that_never_answers_is_given_up() -> None:
    async def never(connection: int, request: int) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError("an event that nobody sets was set")

    async with serving(never) as server:
        with pytest.raises(Unanswered, match=r"no answer within 0\.1 s"):
            await Wire(server.url, timeout_seconds=0.1).send("GET", "/", "a")


async def test_connection_that_the_server_closes_is_not_kept() -> None:
    async def broken(connection: int, request: int) -> bytes:
        return BROKEN

    async with serving(broken) as server:
        wire = Wire(server.url)
        assert [await wire.send("GET", "/", "a") for _ in range(2)] == [Reply(503)] * 2
        assert server.connections == 2


def quick_requests() -> Iterator[Planned]:
    return plan_requests(Random(1), rate=2000, clients=50)


async def run_load(
    server: Server,
    enough: Callable[[], bool],
    publish: Callable[[Report], None] = lambda _: None,
    plan: Iterator[Planned] | None = None,
) -> Report:
    """Send until ``enough``."""
    stop = asyncio.Event()
    load = Load(Wire(server.url), plan or quick_requests(), wall=lambda: 1e9, publish=publish)
    running = asyncio.create_task(load.run(stop))
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not enough():
            await asyncio.sleep(0)
        stop.set()
        return await running


async def test_every_request_is_accounted_for() -> None:
    published: list[Report] = []
    async with serving(always_ok) as server:
        report = await run_load(server, lambda: len(server.asked) >= 200, published.append)
        assert report.final
        assert report.sent == report.completed == len(server.asked)
        assert (report.failed, report.in_flight) == (0, 0)
        assert published[-1] == report


async def test_who_is_behind_with_the_plan_still_answers_for_it_and_stops() -> None:
    late = itertools.repeat(Planned(0.0, "GET", "/", "a", b""), 5000)
    async with serving(always_ok) as server:
        report = await run_load(server, lambda: len(server.asked) >= 20, plan=late)
    assert report.sent < 5000


async def test_errors_of_the_server_are_failures_with_their_status() -> None:
    async def broken(connection: int, request: int) -> bytes:
        return BROKEN

    async with serving(broken) as server:
        report = await run_load(server, lambda: len(server.asked) >= 50)
        assert (report.completed, report.failed) == (0, len(server.asked))
        assert report.reasons == {"503": report.failed}
        assert report.failures[0].at >= 1e9
        assert report.p50_ms is not None


async def test_nobody_listening_is_a_failure() -> None:
    async with serving(always_ok) as server:
        pass
    told: list[Report] = []
    report = await run_load(server, lambda: bool(told), told.append)
    assert report.sent == report.failed
    assert set(report.reasons) <= {"ConnectionRefusedError"}


async def test_requests_go_on_leaving_while_none_is_answered() -> None:
    go = asyncio.Event()

    async def held(connection: int, request: int) -> bytes:
        await go.wait()
        return OK

    async with serving(held) as server:

        def enough() -> bool:
            if len(server.asked) >= 200:
                go.set()
            return go.is_set()

        report = await run_load(server, enough)
        assert server.connections >= 200
        assert report.sent == report.completed >= 200


async def test_load_process_reports_every_second_and_once_more_when_told_to_stop(
    tmp_path: Path,
) -> None:
    file = tmp_path / "load.json"
    async with serving(always_ok) as server:
        command = [sys.executable, "-m", "andon.cli.demo.load", "--url", server.url]
        process = await asyncio.create_subprocess_exec(
            *command, "--rate", "200", "--seed", "7", "--report", str(file)
        )
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while not file.exists() or not json.loads(file.read_bytes())["completed"]:
                    await asyncio.sleep(0.01)
                assert not json.loads(file.read_bytes())["final"]
                process.terminate()
                assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        report = json.loads(file.read_bytes())
        assert report["final"]
        assert report["sent"] == report["completed"] == len(server.asked)


def test_load_without_an_address_says_so_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "andon.cli.demo.load", "--url", "nowhere"]
    done = subprocess.run(
        [*command, "--report", str(tmp_path / "r")],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("'nowhere' is not an http:// address.")


def test_receiver_process_tells_its_port_and_ends_when_told(tmp_path: Path) -> None:
    port = tmp_path / "port"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "andon.cli.demo.receiver"),
            *("--file", tmp_path / "told.json", "--port-file", port),
        ]
    )
    try:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not port.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert int(port.read_text()) > 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
