"""Those who call the API in ``bench.api``, in a process of their own: ``python -m bench.callers ...``.

Plain sockets, so that the callers need less of the machine than the server that is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

HOST = "127.0.0.1"


def request(path: str, token: str) -> bytes:
    known = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET /api/v1{path} HTTP/1.1\r\nHost: {HOST}\r\n{known}\r\n".encode()


# --- asking, again and again ---------------------------------------------------------------------


async def ask(
    port: int, token: str, paths: list[str], rate: int, seconds: float, connections: int
) -> dict[str, float]:
    """Ask at a fixed rate, over connections that are kept; each waits for its answer.

    A connection that is late does not leave out what it should have asked meanwhile.
    """
    requests = [request(path, token) for path in paths]
    began = time.perf_counter() + 0.05
    count = int(rate * seconds)
    late: list[float] = []

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        for n in range(number, count, connections):
            due = began + n / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            writer.write(requests[n % len(requests)])
            await _answer(reader)
            late.append(time.perf_counter() - due)
        writer.close()

    await asyncio.gather(*(one(number) for number in range(connections)))
    took = time.perf_counter() - began
    return {"answered": len(late), "rate": len(late) / took, "p99": sorted(late)[-len(late) // 100]}


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))


# --- listening -----------------------------------------------------------------------------------


class Ear(asyncio.Protocol):
    """Counts the ledger events of one stream, each of which must follow the one before."""

    def __init__(self, ask: bytes) -> None:
        self._ask = ask
        self.heard: list[int] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self._ask)

    def data_received(self, data: bytes) -> None:
        self.heard += [int(line[4:]) for line in data.split(b"\n") if line.startswith(b"id: ")]


async def listen(port: int, token: str, streams: int) -> dict[str, int]:
    """Open streams, say so, and listen until told to end by a line on the standard input."""
    loop = asyncio.get_running_loop()
    ears = []
    for _ in range(streams):
        made = await loop.create_connection(lambda: Ear(request("/events", token)), HOST, port)
        ears.append(made[1])
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    assert all(ear.heard == sorted(set(ear.heard)) for ear in ears), "out of order, or twice"
    counts = [len(ear.heard) for ear in ears]
    return {"least": min(counts), "most": max(counts)}


if __name__ == "__main__":
    what, arguments = sys.argv[1], json.loads(sys.argv[2])
    print(json.dumps(asyncio.run({"ask": ask, "listen": listen}[what](**arguments))), flush=True)
