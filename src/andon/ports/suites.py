"""Tests as data, as people and programs ask for them."""

from __future__ import annotations

from typing import Protocol

from andon.api.v1 import answers


class SuitesService(Protocol):
    """What past Runs say of tests."""

    async def report(
        self, *, repository: str, pipeline: str, runs: int, limit: int, owner: str
    ) -> answers.CaseReport:
        """Say how the tests of a Pipeline do.

        Args:
            repository: Whose; empty: that of the newest Run.
            pipeline: Which; empty: that of the newest Run.
            runs: So many of the newest Runs that ended.
            limit: At most so many rows of each kind.
            owner: Who is to mend what is suggested for quarantine.

        Raises:
            NotFound: It has no Run that ended.
        """
        ...

    async def history(
        self, *, repository: str, pipeline: str, suite: str, runs: int
    ) -> answers.CaseHistory:
        """Say what splitting and selecting tests goes by.

        Args:
            repository: Whose; empty: that of the newest Run.
            pipeline: Which; empty: that of the newest Run.
            suite: Only the tests of this one; empty: of all.
            runs: So many of the newest Runs that ended.

        Raises:
            NotFound: It has no Run that ended.
        """
        ...
