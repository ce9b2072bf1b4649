"""Compressed bodies, opened no further than is allowed."""

from __future__ import annotations

import zlib

from andon.kernel.errors import UsageError

MOST_BYTES = 32 << 20
_FORMATS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""By what ``Content-Encoding`` says, zlib's word for it."""


def unpacked(data: bytes, encoding: str, most_bytes: int = MOST_BYTES) -> bytes:
    """Return a body as it was before it was compressed.

    Args:
        data: The body.
        encoding: Header ``Content-Encoding``; empty or ``identity``: it is not compressed.
        most_bytes: What would be larger is refused before it is.

    Raises:
        UsageError: It is too large, broken, or compressed in another way.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return data
    if encoding not in _FORMATS:
        raise UsageError(f"a body in {encoding[:40]!r} is not taken", hint="gzip, deflate or none")
    opener = zlib.decompressobj(_FORMATS[encoding])
    try:
        opened = opener.decompress(data, most_bytes + 1)
    except zlib.error as error:
        raise UsageError(f"the body is no {encoding}: {error}") from None
    if len(opened) > most_bytes:
        raise UsageError(
            f"the body is larger than {most_bytes} bytes once it is decompressed",
            hint="smaller batches: OTEL_BSP_MAX_EXPORT_BATCH_SIZE and its like",
        )
    if not opener.eof:
        raise UsageError(f"the body is {encoding} that ends too early")
    return opened
