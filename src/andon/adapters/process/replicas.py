"""The target's end on this host: every version's replicas."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from andon.adapters.process import environment, ports, procfs, telling
from andon.adapters.process.cgroups import Cgroups
from andon.adapters.process.files import read_all, safe_name, write_json
from andon.adapters.process.layout import Layout
from andon.adapters.process.logs import rotate
from andon.adapters.process.masked import expect_values
from andon.adapters.process.replica import Replica, ReplicaRecord
from andon.adapters.process.spawn import Group
from andon.adapters.process.vault import Vault
from andon.api.v1.actions import (
    DeployReplicas,
    Done,
    Intent,
    ObserveReplicas,
    ReplicasObserved,
    ReplicasReady,
    RetireReplicas,
)
from andon.kernel.errors import AndonError, Conflict, StepFailed, Unavailable

_POLL_SECONDS = 0.02
_ROTATE_EVERY_SECONDS = 5.0
_FAILED_DRAIN_SECONDS = 2.0
_NO_SECRETS: Mapping[str, str] = {}

_log = logging.getLogger("andon.replicas")


class SetRecord(Struct, frozen=True, kw_only=True):
    """What is written down of one version's replicas.

    Args:
        spec: What to run.
        replicas: Each of them.
        settled: All were ready once: from then on they are kept, whatever happens.
        boot: The start of the machine they belong to.
        sealed: The values of their secrets, as the vault of this host keeps them.
    """

    spec: DeployReplicas
    replicas: tuple[ReplicaRecord, ...]
    settled: bool = False
    boot: str = ""
    sealed: bytes = b""

    def is_over(self) -> bool:
        """Say whether the machine was restarted since, and nothing of it runs."""
        if self.boot == procfs.boot_id():
            return False
        return not any(replica.group.find_leader() for replica in self.replicas)


class ReplicaSet:
    """One version's replicas.

    Args:
        spec: What to run.
        replicas: Each of them.
        file: Where the record lies.
        vault: Keeps the values of their secrets.
        settled: All were ready once.
        sealed: Those values, as the vault keeps them.
    """

    def __init__(
        self,
        spec: DeployReplicas,
        replicas: list[Replica],
        file: Path,
        vault: Vault,
        *,
        settled: bool = False,
        sealed: bytes = b"",
    ) -> None:
        self.spec = spec
        self.replicas = replicas
        self.settled = settled
        self._file = file
        self._vault = vault
        self._sealed = sealed

    def keep(self, secrets: Mapping[str, str]) -> None:
        """Keep the values of the secrets, for every start to come.

        Raises:
            Unavailable: They cannot be sealed.
        """
        self._sealed = self._vault.seal(_name(self.spec), secrets) if secrets else b""

    def secrets(self) -> dict[str, str]:
        """Return the values of the secrets.

        Raises:
            Unavailable: They cannot be opened.
        """
        return self._vault.unseal(_name(self.spec), self._sealed) if self._sealed else {}

    def save(self) -> None:
        """Write the record.

        Raises:
            Unavailable: The disk is full.
        """
        records = tuple(replica.record for replica in self.replicas)
        write_json(
            self._file,
            SetRecord(
                spec=self.spec,
                replicas=records,
                settled=self.settled,
                boot=procfs.boot_id(),
                sealed=self._sealed,
            ),
        )

    def try_save(self) -> None:
        """Write the record; a full disk stops nothing, and a new agent finds the processes itself."""
        try:
            self.save()
        except Unavailable as error:
            _log.error("%s", error)

    async def stop(self, drain_seconds: float) -> None:
        """End all replicas."""
        await asyncio.gather(*(replica.stop(drain_seconds) for replica in self.replicas))

    async def remove(self, drain_seconds: float) -> None:
        """End all replicas and forget them."""
        await self.stop(drain_seconds)
        self._file.unlink(missing_ok=True)

    async def until_ready(self) -> None:
        """Wait until all are ready.

        Raises:
            StepFailed: One ended before it was ever ready, or they were not ready in time.
            Unavailable: The machine could not start one in time.
            Conflict: They were retired meanwhile.
        """
        deadline = time.monotonic() + self.spec.health.ready_within_seconds
        while waiting := [replica for replica in self.replicas if replica.state != "ready"]:
            if any(replica.state == "stopped" for replica in waiting):
                raise Conflict(f"{self._subject(waiting[0])}: stopped while it was being deployed")
            failed = next((replica for replica in waiting if replica.failure), None)
            if failed is not None and not self.settled:
                raise self._failed(failed, failed.failure)
            if time.monotonic() > deadline:
                raise self._late(waiting[0])
            await asyncio.sleep(_POLL_SECONDS)

    def _late(self, replica: Replica) -> AndonError:
        within = f"not ready within {self.spec.health.ready_within_seconds:g} s"
        if replica.state == "waiting" and not replica.failure:
            return Unavailable(
                f"{self._subject(replica)}: {within}; {replica.message}", hint="`andon doctor`"
            )
        return self._failed(replica, f"{within}; {replica.message or 'never asked'}")

    def _failed(self, replica: Replica, why: str) -> StepFailed:
        return StepFailed(f"{self._subject(replica)}: {why}", hint=f"its log: {replica.log_file}")

    def _subject(self, replica: Replica) -> str:
        spec, index = self.spec, replica.record.index
        return f"{spec.service} {spec.version.key} in {spec.environment}, replica {index}"


class Replicas:
    """All replicas of this host.

    Args:
        layout: The state folder.
        cgroups: Groups this machine allows.
        port_of: Gateway ports for ``ANDON_URL_<NAME>``.
        tell: Where they may tell what they see.
    """

    def __init__(
        self,
        layout: Layout,
        cgroups: Cgroups,
        port_of: environment.PortOf,
        tell: telling.AddressNow = telling.nowhere,
    ) -> None:
        self._layout = layout
        self._cgroups = cgroups
        self._port_of = port_of
        self._tell = tell
        self._vault = Vault(layout.agent / "key")
        self._sets: dict[str, ReplicaSet] = {}
        self._rotation: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Take over what runs, and start again what ended while no agent looked.

        After the machine was restarted nothing comes back by itself: what should run now is for the
        control plane to say, which knows what is latched.
        """
        for record in read_all(self._layout.replicas, SetRecord):
            if record.is_over():
                self._file(record.spec).unlink(missing_ok=True)
                continue
            found = self._adopt(record)
            self._sets[_name(record.spec)] = found
            for replica in found.replicas:
                replica.start()
        self._rotation = asyncio.create_task(self._rotate_logs())

    async def close(self, drain_seconds: float) -> None:
        """End all replicas and forget them, as after a restart of the machine."""
        if self._rotation is not None:
            self._rotation.cancel()
        await asyncio.gather(*(found.remove(drain_seconds) for found in self._sets.values()))

    def all(self) -> list[Replica]:
        """Return every replica."""
        return [replica for found in self._sets.values() for replica in found.replicas]

    async def deploy_replicas(
        self, action: DeployReplicas, intent: Intent, secrets: Mapping[str, str] = _NO_SECRETS
    ) -> ReplicasReady:
        """Have the replicas ready.

        Args:
            action: What to run.
            intent: Who asks.
            secrets: Values of the secrets that the action names, by environment variable.

        Raises:
            StepFailed: They cannot be, by the change's fault; a version that never was ready before
                is stopped again.
            Unavailable: The artifact is not unpacked, or the disk is full.
        """
        expect_values(action.secrets, secrets)
        if not self._layout.artifact_complete(action.version.digest):
            raise Unavailable(
                f"{action.service}: artifact {action.version.digest} is not unpacked",
                hint=f"expected in {self._layout.artifact(action.version.digest)}",
            )
        environment.addresses(
            action.environment, action.needs, self._port_of
        )  # Or Unavailable now.
        found = await self._wanted(action, secrets)
        try:
            await found.until_ready()
        except AndonError:
            if not found.settled and self._sets.get(_name(action)) is found:
                del self._sets[_name(action)]
                await found.remove(_FAILED_DRAIN_SECONDS)
            raise
        if not found.settled:
            found.settled = True
            found.try_save()
        return ReplicasReady(
            endpoints=tuple(f"127.0.0.1:{replica.record.port}" for replica in found.replicas)
        )

    async def observe_replicas(self, action: ObserveReplicas, intent: Intent) -> ReplicasObserved:
        """Ask each replica now."""
        found = self._sets.get(_name(action))
        if found is None:
            return ReplicasObserved(wanted=0, ready=0, restarts=0, message="not deployed here")
        # Counted first: who answers below was ready after every restart that is told.
        restarts = sum(replica.record.restarts for replica in found.replicas)
        ready = await asyncio.gather(*(replica.probe() for replica in found.replicas))
        messages = (f"replica {r.record.index}: {r.message}" for r in found.replicas if r.message)
        return ReplicasObserved(
            wanted=len(found.replicas),
            ready=sum(ready),
            restarts=restarts,
            message="; ".join(messages),
        )

    async def retire_replicas(self, action: RetireReplicas, intent: Intent) -> Done:
        """Stop a version's replicas and forget them."""
        found = self._sets.get(_name(action))
        if found is not None:
            await found.remove(action.drain_seconds)
            if self._sets.get(_name(action)) is found:
                del self._sets[_name(action)]
        return Done()

    async def _wanted(self, action: DeployReplicas, secrets: Mapping[str, str]) -> ReplicaSet:
        """Return the version's set with the wanted number of replicas, starting or stopping some."""
        name = _name(action)
        found = self._sets.get(name)
        if found is None:
            found = ReplicaSet(action, [], self._file(action), self._vault)
        found.spec = action
        found.keep(secrets)
        surplus = found.replicas[action.replicas :]
        del found.replicas[action.replicas :]
        await asyncio.gather(*(replica.stop(_FAILED_DRAIN_SECONDS) for replica in surplus))
        fresh = [self._fresh(found, i) for i in range(len(found.replicas), action.replicas)]
        found.save()
        self._sets[name] = found
        for replica in fresh:
            replica.start()
        return found

    def _fresh(self, found: ReplicaSet, index: int) -> Replica:
        marker = f"{found.spec.environment}.{found.spec.service}.{found.spec.version.key}.{index}"
        taken = {replica.record.port for replica in (*self.all(), *found.replicas)}
        record = ReplicaRecord(
            index=index,
            port=ports.choose(f"{self._layout.state}/{marker}", taken),
            group=Group(marker=f"{self._layout.replicas}/{marker}"),
        )
        return self._replica(found, record)

    def _adopt(self, record: SetRecord) -> ReplicaSet:
        spec = record.spec
        found = ReplicaSet(
            spec,
            [],
            self._file(spec),
            self._vault,
            settled=record.settled,
            sealed=record.sealed,
        )
        for replica in record.replicas:
            self._replica(found, replica)
        return found

    def _replica(self, found: ReplicaSet, record: ReplicaRecord) -> Replica:
        replica = Replica(
            found.spec,
            record,
            layout=self._layout,
            cgroups=self._cgroups,
            port_of=self._port_of,
            tell=self._tell,
            secrets=found.secrets,
            on_change=found.try_save,
        )
        found.replicas.append(replica)
        return replica

    def _file(self, spec: DeployReplicas) -> Path:
        return self._layout.replicas / f"{safe_name(_name(spec))}.json"

    async def _rotate_logs(self) -> None:
        while True:
            for replica in self.all():
                rotate(replica.log_file)
            rotate(self._layout.agent / "agent.log")
            await asyncio.sleep(_ROTATE_EVERY_SECONDS)


def _name(spec: DeployReplicas | ObserveReplicas | RetireReplicas) -> str:
    return f"{spec.environment}.{spec.service}.{spec.version.key}"
