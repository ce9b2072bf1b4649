"""Performs intents: through the port that takes them, under a token, until the outcome is durable."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from andon.api.v1.actions import Action, ActionFailed, AnyOutcome, Intent
from andon.kernel.errors import AndonError, Fenced, InternalError, InvalidDocument, StepFailed
from andon.ports.store import PendingAction, Tx
from andon.runtime.following import Following
from andon.runtime.patience import Patience

log = logging.getLogger("andon.runtime")

Perform = Callable[[Any, Intent], Awaitable[Any]]

FENCED_TRIES = 5
"""So often an applier may have seen something newer while the action is still ours."""


class Performing:
    """The intents one worker performs.

    Args:
        store: The durable store, with patience.
        performers: The port method that takes each type of action.
        following: What an outcome leads to.
    """

    def __init__(
        self, store: Patience, performers: Mapping[type[Action], Perform], following: Following
    ) -> None:
        self._store = store
        self._performers = performers
        self._following = following
        self._under_way: dict[str, asyncio.Task[None]] = {}

    @property
    def keys(self) -> frozenset[str]:
        """Keys of what is under way."""
        return frozenset(self._under_way)

    def begin(self, intents: Collection[PendingAction]) -> None:
        """Perform each of them, all at once."""
        self._following.begun(intents)
        for pending in intents:
            key = pending.row.key
            task = asyncio.create_task(self._carry_out(pending), name=key)
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._ended(done))

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._under_way.get(task.get_name()) is task:
            del self._under_way[task.get_name()]

    async def cancel(self) -> None:
        """Stop; whoever takes the intents next performs them again with the same keys."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def settle(self) -> None:
        """Wait until no intent is being performed."""
        while self._under_way:
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _carry_out(self, pending: PendingAction) -> None:
        asked: list[PendingAction] = []
        try:
            token, outcome = await self._outcome(pending)
            alone = self._following.is_alone(pending)
            asked = await self._record(pending, token, outcome, alone=alone)
        except Fenced as error:
            log.warning("dropped: %s", error.message)
        finally:
            self._following.ended(pending)
        self.begin(asked)

    async def _record(
        self, pending: PendingAction, token: int, outcome: AnyOutcome, *, alone: bool
    ) -> list[PendingAction]:
        """Make the outcome durable; the intents of the turn that was taken with it."""

        def write(tx: Tx) -> list[PendingAction]:
            what = pending, token, outcome, tx.now()
            if alone:
                return self._following.record_and_turn(tx, *what) or []
            self._following.record(tx, *what)
            return []

        try:
            return await self._store.transact(write)
        except Fenced:
            raise
        except Exception:
            if not alone:
                raise
            # The turn could not be taken: that is no reason to lose the outcome.
            return await self._record(pending, token, outcome, alone=False)

    async def _outcome(self, pending: PendingAction) -> tuple[int, AnyOutcome]:
        """Perform; when an applier has seen something newer, with a newer token if it is still ours."""
        key, token = pending.row.key, pending.token
        for _ in range(FENCED_TRIES):
            try:
                return token, await self._perform(pending, token)
            except Fenced:
                token = await self._retaken(key, token)
        return token, failure(
            InternalError(f"{key} was refused as too old {FENCED_TRIES} times, though it is ours")
        )

    async def _retaken(self, key: str, token: int) -> int:
        return await self._store.beside(lambda tx: tx.retake(key, token))

    async def _perform(self, pending: PendingAction, token: int) -> AnyOutcome:
        action = pending.row.action
        perform = self._performers[type(action)]
        try:
            outcome: AnyOutcome = await perform(action, Intent(key=pending.row.key, epoch=token))
        except Fenced:
            raise
        except AndonError as error:
            return failure(error)
        except Exception as error:
            log.exception("%s failed", pending.row.key)
            return failure(InternalError(f"{type(action).__name__}: {error!r}"))
        return outcome


CHANGES_FAULT = (StepFailed, InvalidDocument)
"""Errors that the change itself brought about; all others are the machine's."""


def failure(error: AndonError) -> ActionFailed:
    """Turn an error into an outcome.

    >>> failure(StepFailed("exit code 1")).fault
    'change'
    """
    return ActionFailed(
        code=error.code,
        message=error.message,
        hint=error.hint,
        fault="change" if isinstance(error, CHANGES_FAULT) else "machine",
        retry=error.retry,
    )
