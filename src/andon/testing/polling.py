"""Waiting in tests: for a condition and with a deadline, never for a time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeVar

DEADLINE_SECONDS = float(os.environ.get("ANDON_TEST_PATIENCE_SECONDS", "60"))
"""Long, for machines that are slow; shorter where what is waited for is expected not to come."""
PAUSE_SECONDS = 0.01

T = TypeVar("T")


def until(
    look: Callable[[], T], what: str = "the condition", seconds: float = DEADLINE_SECONDS
) -> T:
    """Look until there is something, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(PAUSE_SECONDS)
    return found


async def eventually(
    look: Callable[[], T | Awaitable[T]],
    what: str = "the condition",
    seconds: float = DEADLINE_SECONDS,
) -> T:
    """Look until there is something, while the loop goes on, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := await _seen(look)):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        await asyncio.sleep(PAUSE_SECONDS)
    return found


async def _seen(look: Callable[[], T | Awaitable[T]]) -> T:
    found = look()
    return await found if isawaitable(found) else found
