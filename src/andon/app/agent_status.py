"""How the agent of the host is, asked once for all who look in the same moment."""

from __future__ import annotations

import asyncio

from andon.adapters.agentclient import AgentClient
from andon.app.shapes import Json, agent_json
from andon.kernel.clock import Clock
from andon.kernel.errors import AndonError

PATIENCE_SECONDS = 2
SAME_MOMENT_SECONDS = 0.25
"""Within this time the agent is asked once, for everybody who looks."""


class AgentStatus:
    """What the agent says of itself.

    Args:
        agent: The host agent.
        clock: The time.
    """

    def __init__(self, agent: AgentClient, clock: Clock) -> None:
        self._agent = agent
        self._clock = clock
        self._said: tuple[float, asyncio.Future[Json] | None] = (0.0, None)

    async def now(self) -> Json:
        """Ask the agent; who asks in the same moment shares its answer."""
        now = self._clock.now()
        asked_at, answer = self._said
        if answer is None or not 0 <= now - asked_at < SAME_MOMENT_SECONDS:
            answer = asyncio.ensure_future(self._ask())
            self._said = (now, answer)
        return await asyncio.shield(answer)

    async def _ask(self) -> Json:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return agent_json(await self._agent.status())
        except (AndonError, TimeoutError) as error:
            return {"agent": {"error": str(error) or "the agent does not answer"}}
