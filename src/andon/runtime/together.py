"""Parts that live and end together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any


async def until_one_ends(*parts: Awaitable[Any]) -> None:
    """Run until one part ends or fails, then end the others; its failure is raised."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await end(*tasks)


async def end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks, and wait until they are over."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
