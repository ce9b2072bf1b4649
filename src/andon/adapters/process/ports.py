"""Local TCP ports for replicas, outside the range the kernel takes for outgoing connections.

Inside that range a connection to a port nobody listens on can meet itself.
"""

from __future__ import annotations

import socket
import zlib
from collections.abc import Collection
from pathlib import Path

from andon.kernel.errors import Unavailable

_LOWEST = 10_000


def is_free(port: int) -> bool:
    """Say whether a program could listen on a local port now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose(name: str, taken: Collection[int]) -> int:
    """Choose a free port; the same name is likely to get the same one.

    Args:
        name: Who wants it.
        taken: Ports promised to others.

    Raises:
        Unavailable: There is none.
    """
    highest = _first_outgoing() - 1
    span = highest - _LOWEST
    start = zlib.crc32(name.encode()) % span
    for step in range(span):
        port = _LOWEST + (start + step) % span
        if port not in taken and is_free(port):
            return port
    raise Unavailable(f"no free port between {_LOWEST} and {highest}", hint="`andon doctor`")


def _first_outgoing() -> int:
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    except OSError:
        return 32768
    return max(int(text.split()[0]), _LOWEST + 1000)
