"""An open-loop load generator for the example shop: ``python -m andon.cli.demo.load``.

Users do not wait for one another. Requests leave at the moments a Poisson process sets, however slow the
answers are, and latency counts from the intended moment, so that a stall shows in full.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec

from andon.cli.demo.tally import Failure, Report, Tally, write_file
from andon.cli.demo.wire import Unanswered, Wire
from andon.kernel.errors import AndonError, UsageError

PRODUCTS = 20
REPORT_SECONDS = 1.0
FINISH_SECONDS = 5.0
REQUEST_TIMEOUT_SECONDS = 10.0

MIX = (
    ("GET", "/", 30),
    ("GET", "/products", 15),
    ("GET", "/products/{product}", 35),
    ("GET", "/orders/count", 15),
    ("POST", "/orders", 5),
)
"""What users ask, in percent. The catalogue takes part in 85 % of it, orders in 85 %."""


class Planned(NamedTuple):
    """A request to come.

    Args:
        gap_seconds: After the one before.
        method: HTTP method.
        path: What is asked.
        client: Who asks.
        body: JSON; none if empty.
    """

    gap_seconds: float
    method: str
    path: str
    client: str
    body: bytes = b""


def plan_requests(randomness: Random, *, rate: float, clients: int) -> Iterator[Planned]:
    """Yield requests without end, the same ones for the same randomness.

    Args:
        randomness: Decides when, who and what.
        rate: Requests a second.
        clients: Number of distinct clients; each is as likely as the others.
    """
    names = [f"{randomness.getrandbits(48):012x}" for _ in range(clients)]
    weights = [weight for _, _, weight in MIX]
    while True:
        gap = randomness.expovariate(rate)
        (method, path, _), client = randomness.choices(MIX, weights)[0], randomness.choice(names)
        product = str(randomness.randint(1, PRODUCTS))
        order = {"product": product, "quantity": randomness.randint(1, 3)}
        body = json.dumps(order).encode() if method == "POST" else b""
        yield Planned(gap, method, path.replace("{product}", product), client, body)


class Load:
    """Sends requests until stopped.

    Args:
        wire: Where to.
        requests: What, and when.
        wall: Seconds since the Unix epoch, for the record.
        publish: Told how things stand, every second and at the end.
    """

    def __init__(
        self,
        wire: Wire,
        requests: Iterator[Planned],
        *,
        wall: Callable[[], float],
        publish: Callable[[Report], None],
    ) -> None:
        self._wire = wire
        self._requests = requests
        self._wall = wall
        self._publish = publish
        self._tally = Tally()
        self._flying: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> Report:
        """Send until ``stop`` is set; then wait a while for the last answers and report."""
        background = [asyncio.create_task(work) for work in (self._send_all(), self._tell())]
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([*background, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in (*background, stopping):
            task.cancel()
        ends = await asyncio.gather(*background, return_exceptions=True)
        if self._flying:
            await asyncio.wait(self._flying, timeout=FINISH_SECONDS)
        self._wire.close()
        report = self._tally.report(final=True)
        for task in self._flying:
            task.cancel()
        self._publish(report)
        for end in ends:
            if isinstance(end, Exception):
                raise end
        return report

    async def _send_all(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        offset = self._wall() - due
        for planned in self._requests:
            due += planned.gap_seconds
            # Also when it is late: otherwise nobody else would ever have a turn.
            await asyncio.sleep(max(0.0, due - loop.time()))
            self._tally.sent += 1
            task = asyncio.create_task(self._send(planned, due, offset))
            self._flying.add(task)
            task.add_done_callback(self._flying.discard)

    async def _send(self, planned: Planned, due: float, offset: float) -> None:
        _, method, path, client, body = planned
        at = due + offset
        try:
            reply = await self._wire.send(method, path, client, body)
        except Unanswered as error:
            reason = str(error)
        else:
            self._tally.retried += reply.retried
            self._tally.answer(at, asyncio.get_running_loop().time() - due)
            if reply.status < 500:
                self._tally.complete(at)
                return
            reason = str(reply.status)
        ended_at = asyncio.get_running_loop().time() + offset
        self._tally.fail(
            Failure(
                at=at, ended_at=ended_at, method=method, path=path, client=client, reason=reason
            )
        )

    async def _tell(self) -> None:
        while True:
            self._publish(self._tally.report())
            await asyncio.sleep(REPORT_SECONDS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the load until SIGTERM or SIGINT."""
    options = _parse(arguments)
    _allow_many_connections()
    try:
        asyncio.run(_run(options))
    except AndonError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


async def _run(options: argparse.Namespace) -> None:
    if options.rate <= 0 or options.clients < 1:
        raise UsageError("The rate and the number of clients must be above 0.")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    load = Load(
        Wire(options.url, timeout_seconds=REQUEST_TIMEOUT_SECONDS),
        plan_requests(Random(options.seed), rate=options.rate, clients=options.clients),
        wall=time.time,
        publish=lambda report: write_file(options.report, msgspec.json.encode(report)),
    )
    await load.run(stop)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m andon.cli.demo.load", description=__doc__)
    parser.add_argument("--url", required=True, help="base address of the storefront")
    parser.add_argument("--report", required=True, type=Path, help="file replaced every second")
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second")
    parser.add_argument("--seed", type=int, default=1, help="decides when, who and what")
    parser.add_argument("--clients", type=int, default=3000, help="number of distinct clients")
    return parser.parse_args(arguments)


def _allow_many_connections() -> None:
    """Raise the soft limit of open files, so that a stalled server shows as slow, not as refused."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main())
