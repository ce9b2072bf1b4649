"""What a local run tells whoever looks on, once it is durable."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from andon.api.v1.actions import JobDone, RunJob
from andon.api.v1.control import Controller, Decision, Selector, View
from andon.api.v1.jobs import BuildPlan
from andon.api.v1.records import Object, RunStatus, StepRow


class Onlooker(Protocol):
    """Shows a local run to somebody."""

    def say(self, text: str) -> None:
        """Something worth a line."""
        ...

    def begun(self, run: str, plan: BuildPlan, rows: Sequence[StepRow]) -> None:
        """A Run is there, with steps that may have ended before."""
        ...

    def started(self, job: RunJob) -> None:
        """A job's command starts."""
        ...

    def done(self, job: RunJob, outcome: JobDone) -> None:
        """A job's command has ended."""
        ...

    def stepped(self, run: str, rows: Iterable[StepRow]) -> None:
        """Steps are now so."""
        ...

    def ended(self, run: str, status: RunStatus, rows: Iterable[StepRow]) -> None:
        """The Run is over; its steps come one by one, as there may be thousands."""
        ...


class Overheard:
    """A controller whose decisions are kept until they are durable.

    Args:
        controller: Who decides.
    """

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self.kind = controller.kind
        self._decided: deque[tuple[str, Decision]] = deque()

    def select(self, obj: Object) -> dict[str, Selector]:
        """Name what it must see."""
        return self._controller.select(obj)

    def wakes(self, changed: Object) -> tuple[Selector, ...]:
        """Say who cares about a change."""
        return self._controller.wakes(changed)

    def reconcile(self, view: View, now: float) -> Decision:
        """Decide, and keep it."""
        decision = self._controller.reconcile(view, now)
        self._decided.append((view.object.name, decision))
        return decision

    def taken(self) -> list[tuple[str, Decision]]:
        """Return what was decided since, and forget it."""
        return [self._decided.popleft() for _ in range(len(self._decided))]
