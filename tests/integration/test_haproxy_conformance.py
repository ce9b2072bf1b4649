"""The conformance suite of data planes, on HAProxy."""

import asyncio
import contextlib
import time

import pytest

from andon.adapters.haproxy import HAProxyGateway
from andon.testing.dataplane_suite import DataPlaneSuite


class WallClock:
    def now(self):
        return time.time()


class TestHAProxy(DataPlaneSuite):
    @pytest.fixture
    async def plane(self, tmp_path):
        gateway = HAProxyGateway(tmp_path, WallClock())
        await gateway.open()
        yield gateway
        await gateway.close(stop=True)

    @pytest.fixture
    async def serve(self):
        async with contextlib.AsyncExitStack() as stack:

            async def start(text):
                async def answer(reader, writer):
                    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                        await reader.readuntil(b"\r\n\r\n")
                        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n"
                        writer.write(f"{head}Connection: close\r\n\r\n{text}".encode())
                        await writer.drain()
                    writer.close()

                server = await asyncio.start_server(answer, "127.0.0.1", 0)
                await stack.enter_async_context(server)
                return f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

            yield start
