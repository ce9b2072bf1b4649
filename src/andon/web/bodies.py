"""What is sent: read whole, bounded, and decoded into what the operation takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request

from andon.kernel.errors import TimedOut, UsageError

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
            raise _too_large(LARGEST_BODY_BYTES)
    return bytes(data)


class LargeBodies:
    """Reads bodies larger than others, few at a time.

    Each is whole in memory before its signature says who sent it, so strangers must not bring many. What
    is no larger than other requests waits for none of them.

    Args:
        at_once: So many are in memory at a time.
        seconds: Longest wait for a place and for the rest of the body.
    """

    def __init__(self, at_once: int = 4, seconds: float = 30.0) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._seconds = seconds

    @asynccontextmanager
    async def reading(self, request: Request, most_bytes: int) -> AsyncIterator[bytes]:
        """Read a body, and have its place until it is worked off.

        Raises:
            UsageError: It is too large.
            TimedOut: There was no place for it, or it did not arrive, in time.
        """
        async with AsyncExitStack() as place:
            yield await self._read(request, most_bytes, place)

    async def _read(self, request: Request, most_bytes: int, place: AsyncExitStack) -> bytes:
        data = bytearray()
        try:
            async with asyncio.timeout(None) as patience:
                async for chunk in request.stream():
                    data += chunk
                    if len(data) > most_bytes:
                        raise _too_large(most_bytes)
                    if len(data) > LARGEST_BODY_BYTES and patience.when() is None:
                        patience.reschedule(asyncio.get_running_loop().time() + self._seconds)
                        await place.enter_async_context(self._places)
        except TimeoutError:
            raise TimedOut(
                f"more than {LARGEST_BODY_BYTES} bytes did not arrive within {self._seconds:g} seconds",
                hint="others may be sending as much; send it again in a moment",
            ) from None
        return bytes(data)


def _too_large(most_bytes: int) -> UsageError:
    return UsageError(f"the request is larger than {most_bytes} bytes")
