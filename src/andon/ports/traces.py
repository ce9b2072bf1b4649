"""Traces as people look at them."""

from __future__ import annotations

from typing import Protocol

from andon.api.v1 import answers


class TraceService(Protocol):
    """Shows traces."""

    async def list(
        self,
        *,
        service: str,
        name: str,
        min_seconds: float,
        failed: bool,
        attributes: dict[str, str],
        since_seconds: float,
        limit: int,
    ) -> list[answers.TraceRow]:
        """Return traces that began lately, newest first.

        Args:
            service: With a span of this one; empty: of any.
            name: With a span of this name; empty: of any.
            min_seconds: At least so long.
            failed: Only those with a span that failed.
            attributes: With a span that has them.
            since_seconds: How long ago they may have begun.
            limit: At most so many.
        """
        ...

    async def show(self, trace: str) -> answers.TraceShown:
        """Return a trace as a waterfall.

        Raises:
            NotFound: It is not kept, or never was.
        """
        ...

    async def services(self, *, since_seconds: float) -> answers.ServiceMap:
        """Say who called whom lately, sampled away or not."""
        ...
