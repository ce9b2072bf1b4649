"""Blocking calls that nobody waits for when the process is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar, cast

T = TypeVar("T")


async def apart(call: Callable[[], T]) -> T:
    """Call in a thread of its own, which ends with the process, whatever it is waiting for."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[T] = loop.create_future()

    def give(answer: T | None, error: BaseException | None) -> None:
        if answered.done():
            return
        if error is not None:
            answered.set_exception(error)
        else:
            answered.set_result(cast(T, answer))

    def run() -> None:
        answer: T | None = None
        failed: BaseException | None = None
        try:
            answer = call()
        except BaseException as error:
            failed = error
        with contextlib.suppress(RuntimeError):  # The loop has ended.
            loop.call_soon_threadsafe(give, answer, failed)

    threading.Thread(target=run, daemon=True).start()
    return await answered
