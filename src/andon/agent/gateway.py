"""The gateway as the agent sees it, and what happens while it cannot be had."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

from andon.api.v1.actions import (
    AddBackend,
    BackendAdded,
    Done,
    Intent,
    ObserveTraffic,
    RemoveBackend,
    SetWeights,
    TrafficObserved,
)
from andon.api.v1.requests import RecentRequests, RequestsSeen
from andon.kernel.errors import AndonError, Unavailable
from andon.ports import DataPlane

_TRY_AGAIN_SECONDS = 1.0

_log = logging.getLogger("andon.agent")


class Gateway(DataPlane, Protocol):
    """A data plane that the agent owns."""

    async def open(self) -> None:
        """Start it, or take over the one that runs."""
        ...

    async def close(self, stop: bool) -> None:
        """Let go of it; end it if told so."""
        ...

    def port_of(self, environment: str, service: str, wanted: int | None = None) -> int:
        """Return a service's port, for ever the same."""
        ...

    def status(self) -> dict[str, Any]:
        """Say how it is."""
        ...

    async def recent_requests(self, asked: RecentRequests, intent: Intent) -> RequestsSeen:
        """Return requests that came since the last answer."""
        ...


class PatientGateway:
    """Opens a gateway when it can be had: a host without one still runs jobs and says why.

    Args:
        gateway: The real one.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._trouble: AndonError | None = None
        self._opened = False
        self._opening = asyncio.Lock()
        self._trying: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Try to open it, again and again; trouble is kept for those who need it meanwhile."""
        if not await self._try():
            self._trying = asyncio.create_task(self._keep_trying())

    async def _keep_trying(self) -> None:
        while not await self._try():
            await asyncio.sleep(_TRY_AGAIN_SECONDS)

    async def _try(self) -> bool:
        try:
            await self._ready()
        except AndonError as error:
            if str(error) != str(self._trouble):
                _log.error("the gateway does not open: %s", error)
            self._trouble = error
        return self._opened

    async def close(self, *, stop: bool) -> None:
        """Let go of it; end it if told so."""
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.gather(self._trying, return_exceptions=True)
        if self._opened:
            self._opened = False
            await self._gateway.close(stop=stop)

    def port_of(self, environment: str, service: str) -> int:
        """Return a service's port.

        Raises:
            AndonError: The gateway cannot be had now.
        """
        if not self._opened:
            raise self._trouble or Unavailable("the gateway is not open yet", hint="andon status")
        return self._gateway.port_of(environment, service)

    def status(self) -> dict[str, Any]:
        """Say how it is."""
        if self._opened:
            return self._gateway.status()
        return {"state": "unavailable", "message": str(self._trouble or "")}

    async def add_backend(self, action: AddBackend, intent: Intent) -> BackendAdded:
        """Make a version reachable."""
        return await (await self._ready()).add_backend(action, intent)

    async def set_weights(self, action: SetWeights, intent: Intent) -> Done:
        """Share the traffic."""
        return await (await self._ready()).set_weights(action, intent)

    async def remove_backend(self, action: RemoveBackend, intent: Intent) -> Done:
        """Drain and forget a version."""
        return await (await self._ready()).remove_backend(action, intent)

    async def observe_traffic(self, action: ObserveTraffic, intent: Intent) -> TrafficObserved:
        """Read the counts."""
        return await (await self._ready()).observe_traffic(action, intent)

    async def recent_requests(self, asked: RecentRequests, intent: Intent) -> RequestsSeen:
        """Return requests that came lately."""
        return await (await self._ready()).recent_requests(asked, intent)

    async def _ready(self) -> Gateway:
        async with self._opening:
            if not self._opened:
                await self._gateway.open()
                self._opened, self._trouble = True, None
        return self._gateway
