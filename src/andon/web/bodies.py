"""What is sent: read whole, bounded, and decoded into what the operation takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any, TypeVar, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec
from msgspec.structs import fields
from starlette.requests import Request

from andon.kernel.errors import TimedOut, UsageError

Body = TypeVar("Body", bound=msgspec.Struct)

LARGEST_BODY_BYTES = 1 << 20
FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 1000
_NUL = b"\\u0000"


def read_query(request: Request, kind: type[Body]) -> Body:
    """Read the query.

    Raises:
        UsageError: It does not have the shape of ``kind``.
    """
    return _read_pairs(request.query_params.multi_items(), kind, request.scope["path"])


def read_form(data: bytes, request: Request, kind: type[Body]) -> Body:
    """Read a form, whose fields may as well be in the query.

    Raises:
        UsageError: It does not have the shape of ``kind``.
    """
    path = request.scope["path"]
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if data and media != FORM:
        raise UsageError(f"{path} takes {FORM}, not {media or 'a body of no media type'}")
    try:
        sent = parse_qsl(data.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise UsageError(f"the form sent to {path} cannot be read: {error}") from None
    return _read_pairs([*sent, *request.query_params.multi_items()], kind, path)


def _read_pairs(pairs: Sequence[tuple[str, str]], kind: type[Body], path: str) -> Body:
    """Make fields of pairs; of several of one name the last counts, unless the field takes many."""
    lists = {one.encode_name for one in fields(kind) if _takes_many(one.type)}
    given: dict[str, Any] = {}
    for name, value in pairs:
        if name in lists:
            given.setdefault(name, []).append(value)
        else:
            given[name] = value
    refuse_nul(given, f"the query of {path}")
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"the query of {path}: {error}") from None


def _takes_many(kind: Any) -> bool:
    return get_origin(get_args(kind)[0] if get_origin(kind) is Annotated else kind) is tuple


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
