"""Reserving the ports that services are reached at."""

from __future__ import annotations

import errno
import hashlib
import socket

from andon.kernel.errors import Unavailable

FIRST, LAST = 18_000, 31_999
"""Below the range that Linux gives to outgoing connections, so that none squats on a saved port."""


class Reservations:
    """Ports that are ours although HAProxy does not listen there yet."""

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket] = {}

    def take(self, port: int, purpose: str, *, reuse: bool = True) -> None:
        """Reserve a port.

        Args:
            port: Of 127.0.0.1.
            purpose: Whom it is for, for the message.
            reuse: Take it even if ended connections of it still linger.

        Raises:
            Unavailable: Another program has it.
        """
        if port in self._sockets:
            return
        probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            probe.close()
            raise _taken(port, purpose, error) from error
        self._sockets[port] = probe

    def take_any(self, seed: str, purpose: str, avoid: set[int]) -> int:
        """Reserve a free port; the seed says where to begin to look."""
        count = LAST - FIRST + 1
        start = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big")
        for offset in range(count):
            port = FIRST + (start + offset) % count
            if port in avoid:
                continue
            try:
                self.take(port, purpose, reuse=False)
            except Unavailable:
                continue
            return port
        raise Unavailable(f"No port between {FIRST} and {LAST} is free for {purpose}.")

    def release(self) -> None:
        """Give all up, for HAProxy to take them."""
        for held in self._sockets.values():
            held.close()
        self._sockets.clear()


def _taken(port: int, purpose: str, error: OSError) -> Unavailable:
    if error.errno == errno.EADDRINUSE:
        why, hint = "another program listens there", f"ss -ltnp 'sport = :{port}'   shows which one"
    elif error.errno == errno.EACCES:
        why, hint = "it needs privileges", "choose a port above 1023 in the Route's listen"
    else:
        why, hint = error.strerror or str(error), ""
    return Unavailable(f"Port {port} of 127.0.0.1 cannot be used for {purpose}: {why}.", hint=hint)
