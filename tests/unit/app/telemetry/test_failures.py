"""Failed requests of the gateway become lines, each once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from andon.adapters.telemetry.logs import SqliteLogStore
from andon.api.v1.requests import GatewayRequest, RecentRequests, RequestsSeen
from andon.app.telemetry.failures import Failures
from andon.app.telemetry.following import Follower
from andon.testing.log_suite import asked
from andon.testing.polling import eventually

TRACE = "0af7651916cd43dd8448eb211c80319c"


def request(number: int, *, failed: bool, status: int = 500) -> GatewayRequest:
    return GatewayRequest(
        number=number, environment="prod", service="shop", version="1a", status=status,
        failed=failed, trace=TRACE, span="b7ad6b7169203331", made=True, start_ms=number,
        duration_ms=7,
    )  # fmt: skip


class Gateway:
    """Answers as the agent does."""

    def __init__(self) -> None:
        self.requests: list[GatewayRequest] = []
        self.source = "a"

    async def ask(self, wish: RecentRequests) -> RequestsSeen:
        upto = len(self.requests)
        if wish.source != self.source:
            return RequestsSeen(source=self.source, upto=upto)
        return RequestsSeen(
            source=self.source, upto=upto, requests=tuple(self.requests[wish.after :])
        )


async def test_failed_requests_are_lines_once_over_restarts(tmp_path: Path) -> None:
    gateway, store = Gateway(), SqliteLogStore(tmp_path / "logs.db")
    failures = Failures(gateway.ask, store)
    wish = await failures.look(RecentRequests())
    gateway.requests += [request(1, failed=True), request(2, failed=False, status=200)]
    wish = await failures.look(wish)
    assert await failures.look(wish) == wish
    gateway.requests.append(request(3, failed=True, status=0))
    # Another process goes on where this one was, whatever follows files meanwhile.
    Follower(tmp_path / "logs", tmp_path / "agent.log", store, 60).find_all(0)
    running = asyncio.ensure_future(Failures(gateway.ask, store).run())
    await eventually(lambda: len(store.search(asked()).lines) == 2)
    found = store.search(asked()).lines
    running.cancel()
    assert [one.text for one in found] == [
        "no answer after 7 ms from version 1a", "status 500 after 7 ms from version 1a",
    ]  # fmt: skip
    assert found[0].trace == TRACE
    store.close()


async def test_a_new_agent_begins_anew(tmp_path: Path) -> None:
    gateway, store = Gateway(), SqliteLogStore(tmp_path / "logs.db")
    failures = Failures(gateway.ask, store)
    gateway.requests.append(request(1, failed=True))
    wish = await failures.look(RecentRequests(source="before", after=900))
    gateway.requests.append(request(2, failed=True))
    await failures.look(wish)
    assert len(store.search(asked()).lines) == 1
    store.close()
