"""How often an address may try to log in."""

from __future__ import annotations

import math
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address, ip_network

from andon.kernel.errors import TooMany

AT_ONCE = 10
PER_SECOND = AT_ONCE / 60
MOST_ADDRESSES = 10_000
"""Of more than these the one that tried longest ago is forgotten, and may try ten times again."""
NETWORK_BITS = 64
"""Of an IPv6 address these count: whoever has one of a network has all of it."""


class Tries:
    """A bucket of tries for each address, filled again at ten a minute."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str, now: float) -> None:
        """Take one try of an address.

        Raises:
            TooMany: There is none left; the hint says when there will be.
        """
        whose = _whose(address)
        left, since = self._buckets.pop(whose, (float(AT_ONCE), now))
        left = min(float(AT_ONCE), left + max(0.0, now - since) * PER_SECOND)
        self._buckets[whose] = (max(left - 1, 0.0) if left >= 1 else left, now)
        while len(self._buckets) > MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        if left < 1:
            seconds = math.ceil((1 - left) / PER_SECOND)
            raise TooMany(
                f"too many tries to log in from {address}",
                hint=f"again in {seconds} s",
                again_seconds=seconds,
            )


def _whose(address: str) -> str:
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is None:
        return str(ip_network((ip, NETWORK_BITS), strict=False))
    return str(ip.ipv4_mapped if isinstance(ip, IPv6Address) else ip)
