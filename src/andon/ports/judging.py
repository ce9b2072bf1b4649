"""The judge, as people and programs ask it beside a rollout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from andon.api.v1 import answers


class JudgingService(Protocol):
    """What was judged, and what could be."""

    async def replay(self, name: str, judges: Sequence[str]) -> answers.JudgeReplay:
        """Decide a rollout again from its stored counts.

        Args:
            name: The Run; an unambiguous beginning will do.
            judges: Other rules that look at the same counts.

        Raises:
            NotFound: There is no such Run or rule.
            UsageError: Nothing was judged in it.
        """
        ...

    async def rounds(self, name: str) -> answers.JudgeRounds:
        """Say what the judge saw and said of a rollout, look by look, so far or to its end.

        Raises:
            NotFound: There is no such Run.
            UsageError: Nothing was judged in it.
        """
        ...

    async def foresee(self, change: str) -> answers.ChangeForecast:
        """Say what the judge would see in the rollouts that are still before a Change.

        Raises:
            NotFound: There is no such Change.
        """
        ...

    async def foresee_diff(self, diff: answers.Diff) -> list[answers.RolloutForecast]:
        """Say what the judge would see in the rollouts that a ship would bring."""
        ...

    async def forecast(
        self,
        service: str,
        environment: str,
        *,
        requests_per_second: float | None = None,
        error_share: float | None = None,
    ) -> answers.JudgeForecast:
        """Say which rise of errors the next rollout of a service would see, and when.

        Args:
            service: Which.
            environment: Where.
            requests_per_second: None: what was counted in the last hour.
            error_share: None: what was counted in the last hour.

        Raises:
            NotFound: It was never rolled out there, or nothing was counted.
            UsageError: Its rollouts are not judged.
        """
        ...
