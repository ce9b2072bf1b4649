"""The network of a job, and containers beside it: started there, and awaited."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from andon.adapters.container.engine import Engine
from andon.adapters.container.plan import KEY, Bounds, container_name, of_service
from andon.api.v1.jobs import BesidePlan
from andon.kernel.errors import StepFailed

_POLL_SECONDS = 0.1
_ANSWER_SECONDS = 5.0
_TAIL_BYTES = 1500


class Services:
    """The network of one job, which no other job is on, and the containers beside it.

    Args:
        engine: The container engine.
        key: Of the job's intent.
        state: The state folder.
        plans: What they are.
        bounds: What each may use.
    """

    def __init__(
        self,
        engine: Engine,
        key: str,
        state: Path,
        plans: Sequence[BesidePlan],
        bounds: Bounds,
    ) -> None:
        self._engine = engine
        self._key = key
        self._state = state
        self._plans = plans
        self._bounds = bounds
        self._addresses: dict[str, str] = {}
        self.network = container_name(key, state)

    @property
    def env(self) -> dict[str, str]:
        """What the job is told of them."""
        told: dict[str, str] = {}
        for plan in self._plans:
            prefix = plan.name.upper().replace("-", "_")
            told |= {f"{prefix}_HOST": plan.name, f"{prefix}_PORT": str(plan.port)}
        return told

    @property
    def hosts(self) -> list[str]:
        """Where each is found by its name, which not every engine's network tells."""
        return [f"{name}:{address}" for name, address in self._addresses.items()]

    def start(self, ensure_image: Callable[[str], None], *, internal: bool) -> None:
        """Start them all, and wait until they are there.

        Raises:
            StepFailed: One ended, or was not ready in time, or nobody could tell.
        """
        if self._plans and internal and not self._engine.reaches_internal():
            raise StepFailed(
                "podman lets its machine not into a network that leads nowhere, so that nobody could "
                "tell when the services are ready",
                hint="say `network: true`, or use Docker's engine",
            )
        self._engine.ensure_network(self.network, {KEY: self._key}, internal=internal)
        for plan in self._plans:
            ensure_image(plan.image)
            config = of_service(plan, self._key, self.network, self._bounds)
            try:
                self._engine.start(self._engine.create(self._name(plan), config))
            except StepFailed as error:
                raise StepFailed(f"the service {plan.name}: {error.message}") from None
        for plan in self._plans:
            self._await(plan)

    def remove(self) -> None:
        """Remove them, and their network."""
        for plan in self._plans:
            self._engine.remove(self._name(plan))
        self._engine.remove_network(self.network)

    def _name(self, plan: BesidePlan) -> str:
        return container_name(self._key, self._state, plan.name)

    def _await(self, plan: BesidePlan) -> None:
        deadline = time.monotonic() + plan.ready_within_seconds
        while True:
            found = self._engine.inspect(self._name(plan))
            if found["State"]["Status"] in ("exited", "dead", "stopped"):
                code = found["State"]["ExitCode"]
                self._give_up(plan, f"ended with exit code {code} before it was ready")
            address = found["NetworkSettings"]["Networks"][self.network]["IPAddress"]
            if self._is_ready(plan, address):
                self._addresses[plan.name] = address
                return
            if time.monotonic() >= deadline:
                self._give_up(plan, f"was not ready within {plan.ready_within_seconds:g} s")
            time.sleep(_POLL_SECONDS)

    def _is_ready(self, plan: BesidePlan, address: str) -> bool:
        if plan.ready_command:
            env = [f"{name}={value}" for name, value in plan.env.items()]
            command = ["/bin/sh", "-euc", plan.ready_command]
            return self._engine.execute(self._name(plan), command, env) == 0
        try:
            if not plan.ready_path:
                socket.create_connection((address, plan.port), _ANSWER_SECONDS).close()
                return True
            asked = http.client.HTTPConnection(address, plan.port, timeout=_ANSWER_SECONDS)
            asked.request("GET", plan.ready_path)
            return 200 <= asked.getresponse().status < 400
        except (OSError, http.client.HTTPException):
            return False

    def _give_up(self, plan: BesidePlan, why: str) -> None:
        name = self._name(plan)
        self._engine.stop(name, 0)
        said = b"".join(self._engine.output(name))[-_TAIL_BYTES:].decode(errors="replace")
        raise StepFailed(f"the service {plan.name} {why}\n{said}".rstrip())
