"""Unpacks a version before the agent starts its replicas."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from andon.adapters.local.opening import opened
from andon.api.v1.actions import (
    DeployReplicas,
    Done,
    Intent,
    ObserveReplicas,
    ReplicasObserved,
    ReplicasReady,
    RetireReplicas,
)
from andon.ports.secrets import SecretReader


class ReplicaAgent(Protocol):
    """Runs replicas on this machine."""

    async def deploy_replicas(
        self, action: DeployReplicas, intent: Intent, secrets: Mapping[str, str]
    ) -> ReplicasReady:
        """Have the replicas ready, with values of secrets by environment variable."""
        ...

    async def observe_replicas(self, action: ObserveReplicas, intent: Intent) -> ReplicasObserved:
        """Look at them."""
        ...

    async def retire_replicas(self, action: RetireReplicas, intent: Intent) -> Done:
        """Stop them."""
        ...


class Unpacker(Protocol):
    """Has artifacts unpacked on this machine."""

    def ensure_unpacked(self, digest: str, artifacts: Path) -> Path:
        """Return the folder of an artifact, unpacking it first if need be."""
        ...


class LocalTarget:
    """Runs replicas through the agent of this machine.

    Args:
        agent: Runs them in ``folder/<hex digits of the digest>``.
        artifacts: Unpacks digests.
        folder: Where unpacked artifacts lie.
        secrets: Opens the secrets that a service names, when its replicas are deployed.
    """

    def __init__(
        self, agent: ReplicaAgent, artifacts: Unpacker, folder: Path, *, secrets: SecretReader
    ) -> None:
        self._agent = agent
        self._artifacts = artifacts
        self._folder = folder
        self._secrets = secrets

    async def deploy_replicas(self, action: DeployReplicas, intent: Intent) -> ReplicasReady:
        """Have the replicas ready."""
        digest = action.version.digest
        await asyncio.to_thread(self._artifacts.ensure_unpacked, digest, self._folder)
        values = await opened(action.secrets, self._secrets)
        return await self._agent.deploy_replicas(action, intent, values)

    async def observe_replicas(self, action: ObserveReplicas, intent: Intent) -> ReplicasObserved:
        """Look at them."""
        return await self._agent.observe_replicas(action, intent)

    async def retire_replicas(self, action: RetireReplicas, intent: Intent) -> Done:
        """Stop them."""
        return await self._agent.retire_replicas(action, intent)
