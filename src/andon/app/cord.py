"""What people make of the line: Holds, approvals, rollbacks and cancellations."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from andon.api.v1 import answers
from andon.api.v1.control import Selector
from andon.app import commands, queries
from andon.app.acting import Answer, act
from andon.app.shapes import approval_json, cancelled_json, hold_json, run_json
from andon.kernel.clock import Clock
from andon.ports.asking import Asked
from andon.ports.store import Store, Tx
from andon.runtime.turns import Turns


class Cord:
    """Holds, approvals, and the Runs that people begin or end.

    Args:
        store: The durable store.
        turns: The controllers, for what commands create.
        clock: The time.
    """

    def __init__(self, store: Store, turns: Turns, clock: Clock) -> None:
        self._store = store
        self._turns = turns
        self._clock = clock

    async def holds(self, *, all: bool = False) -> list[answers.Hold]:
        """List Holds, newest first."""
        now = self._clock.now()
        found = await self._store.read(
            lambda tx: (
                tx.list(Selector(kind="Hold"), newest_first=True)
                if all
                else queries.active_holds(tx, now)[::-1]
            )
        )
        return [hold_json(one) for one in found]

    async def find_hold(self, name: str) -> answers.Hold:
        """Return a Hold."""
        return hold_json(await self._store.read(lambda tx: tx.require("Hold", name)))

    async def hold(
        self,
        *,
        scope: Mapping[str, str],
        reason: str,
        asked: Asked,
        expires_seconds: float = 0,
    ) -> answers.Hold:
        """Pull the cord."""
        now = self._clock.now()
        subject = commands.scope_from(dict(scope))
        expires_at = now + expires_seconds if expires_seconds else 0

        def pull(tx: Tx) -> answers.Hold:
            return hold_json(
                commands.pull(
                    tx,
                    self._turns,
                    subject,
                    reason=reason,
                    by=asked.by,
                    expires_at=expires_at,
                    now=now,
                )
            )

        return await self._act(asked, pull)

    async def lift(self, name: str, *, asked: Asked, reason: str) -> answers.Hold:
        """Lift a Hold."""
        now = self._clock.now()

        def open_it(tx: Tx) -> answers.Hold:
            return hold_json(
                commands.lift(tx, self._turns, name, by=asked.by, reason=reason, now=now)
            )

        return await self._act(asked, open_it, ("Hold", name))

    async def unlatch(
        self, *, environment: str, subject: str, asked: Asked, reason: str
    ) -> answers.Lifted:
        """Let what failed in an environment be tried again."""
        now = self._clock.now()

        def open_them(tx: Tx) -> answers.Lifted:
            lifted = commands.unlatch(
                tx, self._turns, environment, subject, by=asked.by, reason=reason, now=now
            )
            return {"lifted": [hold_json(hold) for hold in lifted]}

        return await self._act(asked, open_them)

    async def rollback(
        self, *, environment: str, service: str, asked: Asked, reason: str
    ) -> answers.Run:
        """Go back to the previous version."""
        now = self._clock.now()

        def go_back(tx: Tx) -> answers.Run:
            return run_json(
                commands.roll_back(
                    tx, self._turns, environment, service, by=asked.by, reason=reason, now=now
                )
            )

        return await self._act(asked, go_back)

    async def cancel(self, run: str, *, asked: Asked, reason: str) -> answers.CancelledRun:
        """Have a Run end, with its clean-up."""
        now = self._clock.now()

        def end(tx: Tx) -> answers.CancelledRun:
            found, wish = commands.cancel(tx, self._turns, run, by=asked.by, reason=reason, now=now)
            return cancelled_json(found, wish, commands.outlook(found))

        return await self._act(asked, end, ("Run", run))

    async def approve(
        self,
        change: str,
        *,
        environment: str,
        asked: Asked,
        reason: str,
        job: str = "",
        fix: str = "",
    ) -> answers.Approval:
        """Record a person's consent."""
        now = self._clock.now()

        def consent(tx: Tx) -> answers.Approval:
            approval = commands.approve(
                *(tx, self._turns, change, environment),
                asked=asked,
                reason=reason,
                now=now,
                job=job,
                fix=fix,
            )
            return approval_json(approval)

        return await self._act(asked, consent)

    async def withdraw(
        self, change: str, *, environment: str, asked: Asked, reason: str, job: str = ""
    ) -> answers.Approval:
        """Take one's consent back."""
        now = self._clock.now()

        def take_back(tx: Tx) -> answers.Approval:
            approval = commands.withdraw(
                *(tx, self._turns, change, environment),
                asked=asked,
                reason=reason,
                now=now,
                job=job,
            )
            return approval_json(approval)

        return await self._act(asked, take_back)

    async def _act(
        self, asked: Asked, fn: Callable[[Tx], Answer], subject: tuple[str, str] | None = None
    ) -> Answer:
        now = self._clock.now()
        return await self._store.transact(lambda tx: act(tx, asked, now, fn, subject=subject))
