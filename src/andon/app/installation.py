"""What outlives a change of the database within one process: who waits for it, and long errands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from andon.api.v1 import answers
from andon.kernel.errors import AndonError, Conflict, InternalError, TimedOut

Json = dict[str, Any]
Say = Callable[[str], None]

SWITCH_SECONDS = 60.0


class Errand:
    """Something that takes longer than one answer.

    Args:
        name: What it does.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.progress = "begins"
        self.result: Json | None = None
        self.error: AndonError | None = None

    def say(self, text: str) -> None:
        """Tell how far it is; from any thread."""
        self.progress = text

    def json(self) -> answers.Errand:
        """Show it."""
        answer: answers.Errand = {
            "name": self.name,
            "state": "failed" if self.error else "running" if self.result is None else "done",
            "progress": self.progress,
            "result": self.result,
        }
        if self.error:
            error = self.error
            answer["error"] = {"code": error.code, "detail": error.message, "hint": error.hint}
        return answer


class Installation:
    """One process and its generations, each on one database."""

    def __init__(self) -> None:
        self.errand: Errand | None = None
        self._task: asyncio.Task[None] | None = None
        self._end = asyncio.Event()
        self._settled = asyncio.Event()

    # --- errands ---------------------------------------------------------------------------------

    def begin(self, name: str, work: Callable[[Say], Awaitable[Json]]) -> answers.Errand:
        """Begin an errand.

        Raises:
            Conflict: Another is under way.
        """
        if self._task is not None and not self._task.done():
            assert self.errand is not None
            raise Conflict(
                f"{self.errand.name} is under way: {self.errand.progress}",
                hint="wait until it has ended",
            )
        self.errand = Errand(name)
        self._task = asyncio.create_task(self._run(self.errand, work))
        return self.errand.json()

    async def _run(self, errand: Errand, work: Callable[[Say], Awaitable[Json]]) -> None:
        try:
            errand.result = await work(errand.say)
        except AndonError as error:
            errand.error = error
        except Exception as error:
            errand.error = InternalError(f"{errand.name} failed: {error!r}")

    async def close(self) -> None:
        """End what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # --- generations -----------------------------------------------------------------------------

    @property
    def switching(self) -> bool:
        """Whether another generation follows this one."""
        return self._end.is_set()

    async def switch(self) -> None:
        """End this generation, and wait until the next one works."""
        self._settled.clear()
        self._end.set()
        try:
            async with asyncio.timeout(SWITCH_SECONDS):
                await self._settled.wait()
        except TimeoutError:
            raise TimedOut(
                "the new database was chosen, but is not in use yet", hint="andon status"
            ) from None

    async def end_of_generation(self) -> None:
        """Wait until this generation is to end."""
        await self._end.wait()

    def new_generation(self) -> None:
        """Say that another generation begins."""
        self._end.clear()

    def settled(self) -> None:
        """Say that it works."""
        self._settled.set()
