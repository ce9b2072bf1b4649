"""An outside world in memory: what the ports act on in scenario tests.

It keeps the promises of the ports (idempotent by key, weights as told, cumulative counts) and fails
as a scenario says. Traffic is a seeded draw of a binomial for every second and version.
"""

from __future__ import annotations

import random  # noqa: TID251 - the seeded source itself
from collections.abc import Callable, Collection
from typing import Any

from msgspec import Struct, field

from andon.api.v1 import actions
from andon.api.v1.latency import bucket_of
from andon.api.v1.records import Version
from andon.kernel.digest import sha256
from andon.kernel.errors import (
    Conflict,
    Fenced,
    InternalError,
    NotFound,
    StepFailed,
    Unavailable,
    UsageError,
)
from andon.testing.clock import FakeClock

ONCE = (actions.RunJob, actions.PackArtifact, actions.WriteDesired, actions.Notify)
"""Actions whose repetition under the same key finds the first one's outcome."""
UNFENCED: tuple[type[actions.Action], ...] = (
    actions.PackArtifact,
    actions.Notify,
    *actions.OBSERVATIONS,
)
"""Actions that overwrite nothing."""


class Fault(Struct, frozen=True, kw_only=True):
    """What goes wrong, and where; empty fields match anything.

    Args:
        kind: ``job``, ``deploy``, ``errors``, ``unreachable``, ``restarts``, ``disagree``, ``notify``,
            ``pack``, ``retire``, ``drain`` or ``slow``.
        name: Job, service, webhook or action it strikes.
        environment: Only there, for jobs and actions that have one.
        change: Only versions of Changes whose commit message starts with this.
        secret: Only versions that see a secret in this version, for ``errors``.
        share: Share of requests that fail, for ``errors``.
        seconds: How long the action takes, for ``slow``.
        times: Strike so often, then no more; 0: always.
        machine: The machine's fault, not the change's.
        reason: Why a job failed, as ``retry`` names it.
        tests: Ids of the tests that failed, of one more that passed.
    """

    kind: str
    name: str = ""
    environment: str = ""
    change: str = ""
    secret: int = 0
    share: float = 0.0
    seconds: float = 0.0
    times: int = 0
    machine: bool = False
    reason: str = "failure"
    tests: tuple[str, ...] = ()


class Arm(Struct, kw_only=True):
    """A version's counters and the service it belongs to."""

    service: str
    environment: str
    version: Version
    secrets: frozenset[int] = frozenset()
    requests: int = 0
    errors: int = 0
    latency: dict[int, int] = field(default_factory=dict)


class World:
    """Processes, gateway, repositories and webhooks, all in memory.

    Args:
        clock: The time.
        seed: For the traffic.
        requests_per_second: Of every service in every environment that has traffic.
        traffic_in: Environments that have traffic.
    """

    def __init__(
        self,
        clock: FakeClock,
        seed: int = 1,
        requests_per_second: int = 300,
        traffic_in: tuple[str, ...] = ("prod",),
    ) -> None:
        self.clock = clock
        self.faults: list[Fault] = []
        self.struck: dict[int, set[str]] = {}
        """Which intents a fault struck: one that is performed again is struck again, and counts once."""
        self.tokens: dict[str, int] = {}
        """The highest fencing token each resource has seen."""
        self.messages: dict[str, str] = {}
        """Commit message by sha, so that faults can name a change."""
        self.contents: dict[tuple[str, str], str] = {}
        """What a service's tree is at a commit: equal text, equal digest."""
        self.desired: dict[tuple[str, str], Version] = {}
        self.replicas: dict[tuple[str, str, str], int] = {}
        self._secrets: dict[tuple[str, str, str], frozenset[int]] = {}
        """Versions of secrets that replicas see."""
        self.arms: dict[tuple[str, str, str], Arm] = {}
        self.weights: dict[tuple[str, str], dict[str, float]] = {}
        self.told: list[dict[str, Any]] = []
        self.performed: list[tuple[str, actions.Action]] = []
        self._answered: dict[str, actions.Outcome] = {}
        """Outcomes by key of what must not happen twice."""
        self._ends: dict[str, float] = {}
        """When what is slow is done, by key."""
        self.source = "world-1"
        self._random = random.Random(seed)  # noqa: S311 - traffic, not secrets
        self._rate = requests_per_second
        self._traffic_in = traffic_in
        self._counted_at = clock.now()
        self._key = ""
        """Of the intent that is being performed."""

    # --- faults ----------------------------------------------------------------------------------

    def _fault(
        self,
        kind: str,
        name: str,
        sha: str = "",
        environment: str = "",
        secrets: Collection[int] = (),
    ) -> Fault | None:
        change = self.messages.get(sha, "")
        for number, fault in enumerate(self.faults):
            fits = fault.kind == kind and fault.name in {"", name}
            fits = fits and fault.environment in {"", environment}
            fits = fits and (not fault.secret or fault.secret in secrets)
            if not fits or (fault.change and not change.startswith(fault.change)):
                continue
            struck = self.struck.setdefault(number, set())
            if fault.times and self._key not in struck:
                if len(struck) >= fault.times:
                    continue
                struck.add(self._key)
            return fault
        return None

    def _sha_of(self, version: Version) -> str:
        sha12 = version.change.split("-")[1] if "-" in version.change else ""
        return next((sha for sha in self.messages if sha.startswith(sha12) and sha12), "")

    # --- ports -----------------------------------------------------------------------------------

    def performers(self) -> dict[type[actions.Action], Callable[[Any, str], actions.Outcome]]:
        """Return what carries out each action."""
        return {
            actions.RunJob: self._run_job,
            actions.CancelJob: self._cancel_job,
            actions.PackArtifact: self._pack,
            actions.WriteDesired: self._write_desired,
            actions.DeployReplicas: self._deploy,
            actions.ObserveReplicas: self._observe_replicas,
            actions.RetireReplicas: self._retire,
            actions.AddBackend: self._add_backend,
            actions.SetWeights: self._set_weights,
            actions.RemoveBackend: self._remove_backend,
            actions.ObserveTraffic: self._observe_traffic,
            actions.Notify: self._notify,
        }

    def perform(self, action: actions.Action, key: str, token: int) -> actions.Outcome:
        """Carry out an action as the port would.

        Raises:
            Fenced: The resource has seen a newer token.
            AndonError: As the scenario's faults say.
        """
        self._admit(action, key, token)
        self._key = key
        self.count_traffic()
        self.performed.append((key, action))
        if key in self._answered:
            return self._answered[key]
        name = type(action).__name__
        if self._fault("unreachable", name, environment=getattr(action, "environment", "")):
            raise Unavailable(f"{name}: out of reach")
        outcome = self.performers()[type(action)](action, key)
        if isinstance(action, ONCE):
            self._answered[key] = outcome
        return outcome

    def _admit(self, action: actions.Action, key: str, token: int) -> None:
        """Refuse an older token than the last: of a service's place, or of the Run whose jobs these are."""
        if isinstance(action, UNFENCED):
            return
        place = f"{getattr(action, 'environment', '')}/{getattr(action, 'service', '')}"
        if isinstance(action, (actions.RunJob, actions.CancelJob)):
            place = key.split("/")[0]
        if token < self.tokens.get(place, 0):
            raise Fenced(f"{place}: token {token} is over, it obeys {self.tokens[place]}")
        self.tokens[place] = token

    def takes_seconds(self, action: actions.Action, key: str) -> float:
        """Say how long an action is still under way: it goes on when who asked for it is killed."""
        self._key = key
        place = getattr(action, "environment", "")
        if key not in self._ends:
            fault = self._fault("slow", type(action).__name__, environment=place)
            self._ends[key] = self.clock.now() + (fault.seconds if fault else 0.0)
        return max(0.0, self._ends[key] - self.clock.now())

    def _cancel_job(self, action: actions.CancelJob, key: str) -> actions.Done:
        ended = actions.JobDone(state="cancelled", message="cancelled")
        self._answered.setdefault(action.job_key, ended)
        return actions.Done()

    def _run_job(self, action: actions.RunJob, key: str) -> actions.JobDone:
        fault = self._fault("job", action.job.name, action.sha, action.environment)
        log = f"{action.run}/{action.job.name}-0.log"
        if fault is None:
            return actions.JobDone(state="passed", exit_code=0, seconds=1.0, log=log)
        if fault.machine:
            return actions.JobDone(state="interrupted", fault="machine", message="killed", log=log)
        failures = tuple(actions.CaseDone(id=name, state="failed") for name in fault.tests)
        tests = actions.TestsDone(passed=1, failed=len(failures), failures=failures)
        return actions.JobDone(
            state="failed",
            fault="change",
            exit_code=1,
            message="exit code 1",
            log=log,
            reason=fault.reason,
            tests=tests if failures else None,
        )

    def _pack(self, action: actions.PackArtifact, key: str) -> actions.ArtifactPacked:
        fault = self._fault("pack", action.service, action.sha)
        if fault is not None:
            error = Unavailable if fault.machine else StepFailed
            raise error(f"{action.service}: there is no {action.path} to pack")
        text = self.contents.get((action.service, action.sha), action.sha)
        digest = sha256(f"{action.service}:{text}".encode())
        return actions.ArtifactPacked(
            digest=digest, size_bytes=len(text), files=1, purl=f"pkg:oci/{action.service}"
        )

    def _write_desired(self, action: actions.WriteDesired, key: str) -> actions.DesiredWritten:
        place = (action.environment, action.service)
        there = self.desired.get(place)
        key_of = there.key if there else None
        expected = action.expected.key if action.expected else None
        wanted = action.version.key if action.version else None
        if not action.force and key_of not in {expected, wanted}:
            raise Conflict(f"{action.service} in {action.environment} is {key_of} there")
        if action.version is None:
            self.desired.pop(place, None)
        else:
            self.desired[place] = action.version
        return actions.DesiredWritten(commit=sha256(key.encode())[7:47])

    def _deploy(self, action: actions.DeployReplicas, key: str) -> actions.ReplicasReady:
        sha = self._sha_of(action.version)
        if self._fault("deploy", action.service, sha, action.environment):
            raise StepFailed(
                f"{action.service}: not ready within {action.health.ready_within_seconds:g} s"
            )
        place = (action.environment, action.service, action.version.key)
        self.replicas[place] = action.replicas
        self._secrets[place] = frozenset(ref.version for ref in action.secrets.values())
        return actions.ReplicasReady(
            endpoints=tuple(f"127.0.0.1:{9000 + n}" for n in range(action.replicas))
        )

    def _observe_replicas(
        self, action: actions.ObserveReplicas, key: str
    ) -> actions.ReplicasObserved:
        place = (action.environment, action.service, action.version.key)
        count = self.replicas.get(place, 0)
        crashing = self._fault("restarts", action.service, self._sha_of(action.version))
        return actions.ReplicasObserved(wanted=count, ready=count, restarts=10 if crashing else 0)

    def _retire(self, action: actions.RetireReplicas, key: str) -> actions.Done:
        place = (action.environment, action.service, action.version.key)
        if self._fault("retire", action.service, environment=action.environment):
            raise InternalError(f"{action.service}: a process does not end")
        if place in self.arms:
            raise InternalError(f"{place}: stopped before the data plane confirmed the drain")
        self.replicas.pop(place, None)
        return actions.Done()

    def _add_backend(self, action: actions.AddBackend, key: str) -> actions.BackendAdded:
        place = (action.environment, action.service, action.version.key)
        if not self.replicas.get(place):
            raise InternalError(f"{place}: takes traffic before it is ready")
        self.arms.setdefault(
            place,
            Arm(
                service=action.service,
                environment=action.environment,
                version=action.version,
                secrets=self._secrets.get(place, frozenset()),
            ),
        )
        weights = self.weights.setdefault(place[:2], {})
        weights.setdefault(place[2], 0.0 if weights else 100.0)
        return actions.BackendAdded(address="http://127.0.0.1:8000")

    def _set_weights(self, action: actions.SetWeights, key: str) -> actions.Done:
        place = (action.environment, action.service)
        behind = {key for *where, key in self.arms if tuple(where) == place}
        if unknown := sorted(action.weights.keys() - behind):
            raise NotFound(f"weights for {place} name {', '.join(unknown)}, not behind the gateway")
        if len(behind) > 1 and not any(action.weights.values()):
            raise UsageError(f"weights for {place} leave no version any traffic")
        self.weights[place] = dict(action.weights)
        return actions.Done()

    def _remove_backend(self, action: actions.RemoveBackend, key: str) -> actions.Done:
        place = (action.environment, action.service, action.version.key)
        if self._fault("drain", action.service, environment=action.environment):
            raise InternalError(f"{action.service}: the gateway does not confirm the drain")
        self.arms.pop(place, None)
        self.weights.get(place[:2], {}).pop(place[2], None)
        return actions.Done()

    def _observe_traffic(self, action: actions.ObserveTraffic, key: str) -> actions.TrafficObserved:
        disagree = self._fault("disagree", action.service)
        versions = {
            arm.version.key: actions.Counts(
                requests=arm.requests,
                errors=arm.errors,
                client_errors=arm.errors,
                clients=2000,
                latency=dict(arm.latency),
                table_requests=arm.requests,
                table_errors=arm.errors,
            )
            for (environment, service, _), arm in self.arms.items()
            if (environment, service) == (action.environment, action.service)
        }
        return actions.TrafficObserved(
            at=self.clock.now(),
            source=self.source,
            versions=versions,
            consistent=disagree is None,
        )

    def _notify(self, action: actions.Notify, key: str) -> actions.Done:
        if self._fault("notify", action.url):
            raise Unavailable(f"{action.url} does not answer")
        self.told.append({"key": key, **action.body})
        return actions.Done()

    # --- traffic ---------------------------------------------------------------------------------

    def lose_everything(self) -> None:
        """The machine rebooted: nothing runs any more, counters begin anew."""
        self.replicas.clear()
        self.arms.clear()
        self.weights.clear()
        self.source += "+"

    def count_traffic(self) -> None:
        """Let the requests of the time that has passed happen."""
        seconds = self.clock.now() - self._counted_at
        self._counted_at = self.clock.now()
        for (environment, service, key), arm in self.arms.items():
            if environment not in self._traffic_in:
                continue
            share = self.weights.get((environment, service), {}).get(key, 0.0) / 100
            requests = round(self._rate * share * seconds)
            fault = self._fault("errors", service, self._sha_of(arm.version), secrets=arm.secrets)
            failing = fault.share if fault else 0.0
            arm.requests += requests
            arm.errors += sum(self._random.random() < failing for _ in range(requests))
            bucket = bucket_of(0.02)
            arm.latency[bucket] = arm.latency.get(bucket, 0) + requests
