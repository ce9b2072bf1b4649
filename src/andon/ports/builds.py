"""Builds as people look at them: a Run's jobs, its logs, a repository's state, the speed of feedback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from andon.api.v1 import answers


class BuildService(Protocol):
    """Shows builds; changes nothing.

    Every method raises ``NotFound`` for what there is not.
    """

    async def graph(self, run: str) -> answers.RunGraph:
        """Return a build Run with its jobs, its critical path and what failed."""
        ...

    async def outline(self, run: str, *, step: str) -> answers.LogOutline:
        """Say how long a step's log is, and what folds in it."""
        ...

    async def lines(self, run: str, *, step: str, first: int, count: int) -> answers.LogLines:
        """Return a page of a step's log.

        Args:
            run: The Run.
            step: The step.
            first: Number of the first line, from 0; negative: so many before the end.
            count: At most so many lines.
        """
        ...

    async def search(self, run: str, *, step: str, text: str, first: int) -> answers.LogSearch:
        """Find a text in a step's log, from a line on."""
        ...

    async def raw(self, run: str, *, step: str, offset: int) -> AsyncIterator[bytes]:
        """Return a step's log as it is, piece by piece, from an offset on."""
        ...

    async def feedback(self, repository: str) -> answers.Feedback:
        """Say how fast the feedback of a repository is."""
        ...

    async def repositories(self) -> list[answers.RepositoryRow]:
        """List repositories and how their branches stand."""
        ...

    async def repository(self, name: str) -> answers.RepositoryRow:
        """Say how a repository's branches stand."""
        ...

    async def state_of(self, name: str) -> answers.BuildState:
        """Say how a repository stands, or a branch: ``shop`` or ``shop/main``; unknown ones, too."""
        ...
