"""``python -m andon.agent --state DIR [--daemon]``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
import zlib
from pathlib import Path

from andon.adapters.haproxy import HAProxyGateway
from andon.adapters.process import cgroups, sandbox
from andon.adapters.process.layout import Layout
from andon.agent import lock
from andon.agent.host import Host
from andon.agent.server import Server
from andon.kernel.errors import AndonError


class WallClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return seconds since the Unix epoch."""
        return time.time()


def main(arguments: list[str] | None = None) -> int:
    """Run the agent until it is told to end."""
    parser = argparse.ArgumentParser(prog="andon.agent", description="The host agent of Andon.")
    parser.add_argument("--state", type=Path, required=True, help="state folder")
    parser.add_argument("--daemon", action="store_true", help="leave the terminal and the caller")
    options = parser.parse_args(arguments)
    layout = Layout(options.state)
    try:
        layout.make()
        held = lock.hold(layout.agent / "lock")
    except AndonError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the caller reads it
        return error.exit_code
    except OSError as error:
        print(f"cannot use {layout.state}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 7
    if options.daemon and _daemonise(layout.agent / "agent.log"):
        return 0
    lock.sign(held, WallClock().now())
    _log_to(layout.agent / "agent.log")
    asyncio.run(_run(layout))
    return 0


def _daemonise(log: Path) -> bool:
    """Leave the caller's session for ever; return True in the process that shall just exit.

    The lock goes along, as it belongs to the open file and not to the process.
    """
    if os.fork():
        return True
    os.setsid()
    if os.fork():
        os._exit(0)
    os.umask(0o022)
    null = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, target)
    return False


def _log_to(file: Path) -> None:
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(filename=file, level=logging.INFO, format=form)


async def _run(layout: Layout) -> None:
    clock = WallClock()
    groups = cgroups.detect(f"andon-{zlib.crc32(bytes(layout.state)):08x}")
    gateway = HAProxyGateway(layout.state, clock)
    host = Host(layout, clock, gateway, groups, sandboxed=sandbox.works())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, host.ended.set)
    await host.open()
    logging.getLogger("andon.agent").info("ready, pid %d", os.getpid())
    await Server(host).serve(layout)
    await host.detach()


if __name__ == "__main__":
    sys.exit(main())
