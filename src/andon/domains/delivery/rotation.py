"""Secrets in the line: which are missing, and the rollout that takes a newer one to what runs."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping

from msgspec.structs import replace

from andon.api.overlay import Resolved, configuration_hash
from andon.api.v1.access import SecretSpec
from andon.api.v1.control import Event, NewObject
from andon.api.v1.definitions import EnvironmentSpec, RolloutPolicy, ServiceSpec
from andon.api.v1.jobs import PIPELINES, SecretRef
from andon.api.v1.records import (
    TERMINAL,
    ChangeSpec,
    EnvironmentRecordStatus,
    Object,
    RolloutPlan,
    RunSpec,
    RunStatus,
)
from andon.domains.delivery.plan import required, rollout_labels, rollout_name
from andon.domains.line import events

ANY_AGE_SECONDS = 100 * 365 * 86400.0
"""What runs already has passed the gate: its Evidence is not too old for another secret."""


# --- what is missing ------------------------------------------------------------------------------


def versions(secrets: Iterable[Object]) -> dict[str, int]:
    """Return the newest version of each secret, by name."""
    return {one.spec.name: one.spec.version for one in secrets}


def build_secrets(spec: ChangeSpec) -> frozenset[str]:
    """Return the names of the secrets that jobs of a Change's build see."""
    return frozenset(name for job in spec.pipeline.jobs.values() for name in job.secrets.values())


def service_secrets(service: ServiceSpec) -> frozenset[str]:
    """Return the names of the secrets that a service and the jobs around its deployment see."""
    jobs = (*service.pre_deploy, *service.post_deploy)
    wanted = [service.secrets, *(job.secrets for job in jobs)]
    return frozenset(name for secrets in wanted for name in secrets.values())


def awaited_secrets(change: Object, runs: Collection[str]) -> dict[str, frozenset[str]]:
    """Return the secrets that a Change needs next, by environment, set or not.

    Args:
        change: The Change.
        runs: Names of its Runs.
    """
    spec: ChangeSpec = change.spec
    if f"build-{change.name}" not in runs:
        return {PIPELINES: build_secrets(spec)}
    reached = [name for name in change.status.environments if name in spec.environments][-1:]
    return {
        environment: frozenset().union(
            *(
                service_secrets(service)
                for name, service in spec.services.items()
                if rollout_name(change.name, name, environment) not in runs
            )
        )
        for environment in reached
    }


def names_secrets(spec: ChangeSpec) -> bool:
    """Say whether a Change names any secret."""
    return bool(build_secrets(spec)) or any(map(service_secrets, spec.services.values()))


def tell_missing(names: Iterable[str], environment: str) -> str:
    """Say which secrets nobody has set.

    >>> tell_missing(["db-password"], "prod")
    'secret db-password is not set in prod'
    """
    where = "for pipelines" if environment == PIPELINES else f"in {environment}"
    return "; ".join(f"secret {name} is not set {where}" for name in sorted(names))


def opens_missing(name: str, environment: str) -> str:
    """Return the command that sets a secret.

    >>> opens_missing("db-password", "prod")
    'andon secret set db-password --environment prod'
    """
    where = "--pipelines" if environment == PIPELINES else f"--environment {environment}"
    return f"andon secret set {name} {where}"


# --- rotation -------------------------------------------------------------------------------------


def uses(plan: RolloutPlan, secret: SecretSpec) -> bool:
    """Say whether replicas of a plan see a secret, in whichever version."""
    return any(
        (ref.environment, ref.name) == (secret.environment, secret.name)
        for ref in plan.secrets.values()
    )


def refreshed(plan: RolloutPlan, newest: Mapping[str, int]) -> RolloutPlan:
    """Return a plan with the newest versions of its secrets.

    Args:
        plan: As it was made.
        newest: Version by name, of the secrets of its environment.
    """
    refs = {
        variable: replace(ref, version=newest.get(ref.name, ref.version))
        for variable, ref in plan.secrets.items()
    }
    if refs == plan.secrets:
        return plan
    version = replace(plan.version, config_hash=_hash(plan, refs))
    return replace(plan, secrets=refs, version=version)


def _hash(plan: RolloutPlan, refs: Mapping[str, SecretRef]) -> str:
    service = ServiceSpec(
        command=plan.command,
        health=plan.health,
        needs=plan.needs,
        drain_seconds=plan.drain_seconds,
    )
    resolved = Resolved(config=plan.config, replicas=plan.replicas, resources=plan.resources)
    return configuration_hash(service, resolved, refs)


def plan_rotation(
    running: Object, rules: EnvironmentSpec, secret: SecretSpec, newest: Mapping[str, int]
) -> NewObject:
    """Plan the rollout that takes newer secrets to what runs, by the rules it came in by.

    Same artifact and configuration. Jobs that cannot be undone are left out: they have run for this
    artifact, and there must be a way back.

    Args:
        running: The Run that brought what runs.
        rules: The environment's; they count where that Run was a rollback, which had none of its own.
        secret: The one that was rotated.
        newest: Version of every secret there, by name.
    """
    plan: RolloutPlan = running.spec.rollout
    if running.spec.type == "rollback":
        plan = _with_rules(plan, rules)
    plan = replace(
        refreshed(plan, newest),
        base=plan.version.key,
        reason=f"secret {secret.name} was rotated by {secret.by}",
        max_age_seconds=ANY_AGE_SECONDS,
        pre_deploy=tuple(job for job in plan.pre_deploy if not job.irreversible),
        post_deploy=tuple(job for job in plan.post_deploy if not job.irreversible),
    )
    change = running.spec.change
    return NewObject(
        kind="Run",
        name=_name(running, plan, secret),
        spec=RunSpec(type="rollout", change=change, rollout=plan, sequence=running.spec.sequence),
        status=RunStatus(),
        labels=rollout_labels(plan, change, "rollout"),
    )


def _with_rules(plan: RolloutPlan, rules: EnvironmentSpec) -> RolloutPlan:
    rollout = rules.rollout if isinstance(rules.rollout, RolloutPolicy) else RolloutPolicy()
    return replace(
        plan,
        rollout=rollout,
        requires=required(rules),
        approvals=rules.approvals,
        skippable=rules.skippable,
    )


def _name(running: Object, plan: RolloutPlan, secret: SecretSpec) -> str:
    base = hashlib.sha256(running.name.encode()).hexdigest()[:6]
    return f"rotation-{plan.environment}-{plan.service}-{secret.name}-{secret.version}-{base}"


def catch_up(
    environment: Object,
    status: EnvironmentRecordStatus,
    running: Mapping[str, Object],
    secrets: Iterable[Object],
) -> list[NewObject]:
    """Plan rollouts for versions that were on their way in while a secret was rotated.

    Only for those: what a person has gone back to since keeps the secret it had.

    Args:
        environment: The Environment.
        status: What it has noted.
        running: The Run that brought what runs, by service.
        secrets: Those of the environment.
    """
    known = list(secrets)
    newest = versions(known)
    found = []
    for service, run in running.items():
        late = [
            one.spec
            for one in known
            if uses(run.spec.rollout, one.spec)
            and run.created_at <= one.spec.at <= status.since.get(service, 0.0)
            and refreshed(run.spec.rollout, newest) != run.spec.rollout
        ]
        if late:
            last = max(late, key=lambda spec: spec.at)
            found.append(plan_rotation(run, environment.spec, last, newest))
    return found


def rotated_id(secret: SecretSpec) -> str:
    """Id of the event that a version of a secret was set.

    >>> rotated_id(SecretSpec(name="db", environment="prod", version=2, by="person:ann", at=0))
    'secret/prod/db/2'
    """
    return f"secret/{secret.environment}/{secret.name}/{secret.version}"


def rotation_asked(new: NewObject) -> Event:
    """Say in the story of a Change that its version is rolled out again with newer secrets."""
    plan: RolloutPlan = new.spec.rollout
    return events.extension(
        "secret",
        "released",
        id=f"run/{new.name}/asked",
        stream=events.environment_stream(plan.environment),
        about=new.name,
        chain=new.spec.change,
        content={"service": plan.service, "reason": plan.reason},
    )


def is_rotation(run: Object) -> bool:
    """Say whether a rollout takes newer secrets to what runs, and nothing else."""
    plan: RolloutPlan | None = run.spec.rollout
    return plan is not None and bool(plan.base)


def waits_at_gate(run: Object) -> bool:
    """Say whether a rollout of a Change has not begun, so that it may take newer secrets along."""
    return (
        run.spec.type == "rollout"
        and not is_rotation(run)
        and not run.status.started_at
        and run.status.phase not in TERMINAL
    )
