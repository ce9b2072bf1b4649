"""What is sent is read whole or refused with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.requests import Request

from andon.kernel.errors import TimedOut, UsageError
from andon.web.api.cord import HoldAsk
from andon.web.api.reading import OfSubject
from andon.web.bodies import LARGEST_BODY_BYTES, LargeBodies, decode, read_query

HOLD = '{"scope": {"service": "%s"}, "reason": "%s"}'


@pytest.mark.parametrize(("service", "reason"), [(r"a\u0000b", "r"), ("a", r"\u0000")])
def test_no_text_has_a_nul_in_it(service: str, reason: str) -> None:
    with pytest.raises(UsageError, match="a text with a NUL"):
        decode((HOLD % (service, reason)).encode(), HoldAsk, "/holds")


def test_what_only_looks_like_a_nul_is_none() -> None:
    ask = decode((HOLD % ("a", r"say \\u0000")).encode(), HoldAsk, "/holds")
    assert ask.reason == r"say \u0000"


def test_no_query_has_a_nul_in_it() -> None:
    scope = {"type": "http", "path": "/why", "query_string": b"subject=a%00", "headers": []}
    with pytest.raises(UsageError, match="a text with a NUL"):
        read_query(Request(scope), OfSubject)


async def read(
    large: LargeBodies,
    pieces: AsyncIterator[bytes],
    done: asyncio.Event,
    begun: asyncio.Event | None = None,
) -> bytes:
    async def receive() -> dict[str, Any]:
        piece = await anext(pieces, b"")
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    request = Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)
    async with large.reading(request, 4 * LARGEST_BODY_BYTES) as body:
        if begun:
            begun.set()
        await done.wait()
        return body


async def pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size >> 16):
        yield b"x" * (1 << 16)


async def endless() -> AsyncIterator[bytes]:
    async for one in pieces(2 * LARGEST_BODY_BYTES):
        yield one
    await asyncio.Event().wait()


async def test_large_bodies_are_in_memory_few_at_a_time() -> None:
    large, size = LargeBodies(at_once=1, seconds=0.05), 2 << 20
    begun, done = asyncio.Event(), asyncio.Event()
    first = asyncio.ensure_future(read(large, pieces(size), done, begun))
    await begun.wait()
    with pytest.raises(TimedOut, match="did not arrive"):
        await read(large, pieces(size), done)
    done.set()
    assert len(await first) == size
    assert len(await read(large, pieces(size), done)) == size


async def test_usual_bodies_wait_for_no_large_one() -> None:
    large, done = LargeBodies(at_once=0), asyncio.Event()
    done.set()
    assert len(await read(large, pieces(LARGEST_BODY_BYTES), done)) == LARGEST_BODY_BYTES


async def test_a_large_body_that_never_ends_gives_its_place_back() -> None:
    large, done = LargeBodies(at_once=1, seconds=0.05), asyncio.Event()
    done.set()
    with pytest.raises(TimedOut):
        await read(large, endless(), done)
    assert len(await read(large, pieces(2 << 20), done)) == 2 << 20


async def test_a_large_body_has_a_largest_size() -> None:
    with pytest.raises(UsageError, match="larger than"):
        await read(LargeBodies(), pieces(8 << 20), asyncio.Event())
