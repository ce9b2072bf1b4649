"""Asks an endpoint for its metrics."""

from __future__ import annotations

import time
import zlib
from typing import NamedTuple

from andon.adapters.outbound import Guard, exchange, web_address
from andon.kernel.errors import Unavailable

MOST_BYTES = 32 << 20
ACCEPT = (
    "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
NAMED = Guard(("0.0.0.0/0", "::/0"), loopback=True)
"""Targets are named by whoever runs this installation, and inside its networks as a rule."""
_GZIP = b"\x1f\x8b"


class Fetched(NamedTuple):
    """An answer.

    Args:
        text: What it says.
        open_metrics: Whether in the format of OpenMetrics.
        seconds: How long it took.
    """

    text: str
    open_metrics: bool
    seconds: float


def fetch(url: str, timeout_seconds: float, guard: Guard = NAMED) -> Fetched:
    """Ask once; redirects are not followed.

    Raises:
        Denied: The address may not be called.
        Unavailable: Nobody answers, or not with metrics.
    """
    began = time.monotonic()
    address = web_address(url)
    answer = exchange(
        "GET",
        address,
        None,
        {"Accept": ACCEPT, "Accept-Encoding": "gzip", "User-Agent": "andon"},
        guard=guard,
        timeout_seconds=timeout_seconds,
        most_bytes=MOST_BYTES,
    )
    if answer.status != 200:
        raise Unavailable(f"{address.netloc} answers with status {answer.status}, not with metrics")
    body = _plain(answer.body, address.netloc)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Unavailable(f"{address.netloc} answers with what is no UTF-8 text") from None
    open_metrics = answer.content_type == "application/openmetrics-text"
    return Fetched(text, open_metrics, time.monotonic() - began)


def _plain(body: bytes, host: str) -> bytes:
    if not body.startswith(_GZIP):
        return body
    unpacking = zlib.decompressobj(31)
    try:
        plain = unpacking.decompress(body, MOST_BYTES)
    except zlib.error:
        raise Unavailable(f"{host} answers with damaged gzip") from None
    if unpacking.unconsumed_tail:
        raise Unavailable(f"{host} answers with more than {MOST_BYTES} bytes")
    if not unpacking.eof:
        raise Unavailable(f"{host} breaks its answer off")
    return plain
