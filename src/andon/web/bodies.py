"""What is sent: read whole, bounded, and decoded into what the operation takes."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from starlette.requests import Request

from andon.kernel.errors import UsageError

Body = TypeVar("Body", bound=msgspec.Struct)

LARGEST_BODY_BYTES = 1 << 20
_NUL = b"\\u0000"


def read_query(request: Request, kind: type[Body]) -> Body:
    """Read the query.

    Raises:
        UsageError: It does not have the shape of ``kind``.
    """
    given = dict(request.query_params)
    refuse_nul(given, f"the query of {request.scope['path']}")
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"the query of {request.scope['path']}: {error}") from None


def decode(data: bytes, kind: type[Body], path: str) -> Body:
    """Read a JSON body.

    Raises:
        UsageError: It does not have the shape of ``kind``.
    """
    try:
        decoded = msgspec.json.decode(data, type=kind)
        if _NUL in data:
            refuse_nul(msgspec.json.decode(data), f"the request to {path}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"the request to {path} cannot be read: {error}") from None
    return decoded


def refuse_nul(value: Any, what: str) -> None:
    """Refuse a character that no database, file name or argument can hold.

    Raises:
        UsageError: There is one.
    """
    if isinstance(value, str) and "\0" in value:
        raise UsageError(f"{what} has a text with a NUL in it")
    if isinstance(value, dict):
        for name, one in value.items():
            refuse_nul(name, what)
            refuse_nul(one, what)
    if isinstance(value, list):
        for one in value:
            refuse_nul(one, what)


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
