"""What is sent: read whole, bounded, and decoded into what the operation takes."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from starlette.requests import Request

from andon.kernel.errors import UsageError

Body = TypeVar("Body", bound=msgspec.Struct)

LARGEST_BODY_BYTES = 1 << 20


def read_query(request: Request, kind: type[Body]) -> Body:
    """Read the query.

    Raises:
        UsageError: It does not have the shape of ``kind``.
    """
    try:
        return msgspec.convert(dict(request.query_params), kind, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"the query of {request.scope['path']}: {error}") from None


def decode(data: bytes, kind: type[Body], path: str) -> Body:
    """Read a JSON body.

    Raises:
        UsageError: It does not have the shape of ``kind``.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"the request to {path} cannot be read: {error}") from None


async def read_bytes(request: Request) -> bytes:
    """Read a body.

    Raises:
        UsageError: It is too large.
    """
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > LARGEST_BODY_BYTES:
            raise UsageError(f"the request is larger than {LARGEST_BODY_BYTES} bytes")
    return bytes(data)
