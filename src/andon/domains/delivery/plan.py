"""What promotion and rollouts will do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from andon.api.overlay import configuration, configuration_hash
from andon.api.v1.actions import AddBackend, DeployReplicas
from andon.api.v1.definitions import EnvironmentSpec, RolloutPolicy, RouteSpec, ServiceSpec
from andon.api.v1.jobs import JobPlan, SecretRef
from andon.api.v1.pipelines import DeployJob
from andon.api.v1.records import ChangeSpec, RolloutPlan, Version


def environments_in_order(environments: Mapping[str, EnvironmentSpec]) -> tuple[str, ...]:
    """Order environments so that each comes after the one it names in ``after``.

    >>> environments_in_order({"prod": EnvironmentSpec(after="dev"), "dev": EnvironmentSpec()})
    ('dev', 'prod')
    """
    return _in_order({name: (spec.after,) for name, spec in environments.items()})


def services_in_order(services: Mapping[str, ServiceSpec]) -> tuple[str, ...]:
    """Order services so that each comes after those it needs (a cycle is broken by name)."""
    return _in_order({name: spec.needs for name, spec in services.items()})


def _in_order(needs: Mapping[str, Iterable[str | None]]) -> tuple[str, ...]:
    ordered: list[str] = []
    entered: set[str] = set()

    def enter(name: str) -> None:
        if name in entered:
            return
        entered.add(name)
        for need in needs[name]:
            if need is not None and need in needs:
                enter(need)
        ordered.append(name)

    for name in sorted(needs):
        enter(name)
    return tuple(ordered)


def plan_rollout(
    change: str,
    spec: ChangeSpec,
    service: str,
    environment: str,
    digest: str,
    secrets: Mapping[str, int] | None = None,
) -> RolloutPlan:
    """Plan how a version of a service takes over in an environment.

    The version and its configuration come from the Change; steps, judge, gates and Objective come
    from the policy revision, so that no Change loosens its own gate.

    Args:
        change: The Change's name.
        spec: The Change.
        service: Which service.
        environment: Where to.
        digest: The artifact.
        secrets: Newest version of each secret that is set there.
    """
    definition = spec.services[service]
    rules = spec.environments[environment]
    resolved = configuration(definition, service, spec.overlays.get(environment, rules))
    refs = secret_refs(definition.secrets, environment, secrets or {})
    version = Version(
        digest=digest, config_hash=configuration_hash(definition, resolved, refs), change=change
    )
    return RolloutPlan(
        service=service,
        environment=environment,
        repository=spec.repository,
        sha=spec.sha,
        version=version,
        command=definition.command,
        config=resolved.config,
        replicas=resolved.replicas,
        health=definition.health,
        resources=resolved.resources,
        drain_seconds=definition.drain_seconds,
        needs=definition.needs,
        requires=required(rules),
        max_age_seconds=rules.max_age_seconds,
        approvals=rules.approvals,
        skippable=rules.skippable,
        rollout=rules.rollout if isinstance(rules.rollout, RolloutPolicy) else RolloutPolicy(),
        route=spec.routes.get(service, RouteSpec(service=service)),
        objective=spec.objectives.get(service),
        pre_deploy=tuple(plan_deploy_job(job, environment) for job in definition.pre_deploy),
        post_deploy=tuple(plan_deploy_job(job, environment) for job in definition.post_deploy),
        secrets=refs,
        metrics=definition.metrics,
        notify=tuple(dict.fromkeys((*rules.notify, *spec.notify))),
    )


def secret_refs(
    wanted: Mapping[str, str], environment: str, versions: Mapping[str, int]
) -> dict[str, SecretRef]:
    """Name the secrets that variables stand for, in the version there is now.

    Args:
        wanted: Name of the secret by variable.
        environment: Where it holds.
        versions: Newest version by name; the others are said by version 0.

    >>> secret_refs({"DB": "db"}, "prod", {"db": 3})["DB"].version
    3
    """
    return {
        variable: SecretRef(name=name, environment=environment, version=versions.get(name, 0))
        for variable, name in wanted.items()
    }


def plan_deploy_job(job: DeployJob, environment: str) -> JobPlan:
    """Turn a job around a deployment into what the executor needs.

    Args:
        job: Its definition.
        environment: Whose secrets it sees, each as it is when the job begins.
    """
    return JobPlan(
        name=job.name,
        run=job.run,
        env=job.env,
        timeout_seconds=job.timeout_seconds,
        evidence=job.evidence or job.name,
        network=job.network,
        disk_bytes=job.limits.disk_bytes or 0,
        irreversible=job.irreversible,
        always=job.always,
        concurrency=job.concurrency or "",
        secrets=secret_refs(job.secrets, environment, {}),
    )


def required(rules: EnvironmentSpec) -> tuple[str, ...]:
    """Return the checks that a version needs to enter an environment.

    >>> required(EnvironmentSpec(after="dev", requires=("unit",)))
    ('deployed/dev', 'unit')
    """
    before = (f"deployed/{rules.after}",) if rules.after else ()
    consent = ("approval",) if rules.approvals is not None else ()
    return tuple(dict.fromkeys((*before, *rules.requires, *consent)))


def rollout_labels(plan: RolloutPlan, change: str, type: str) -> dict[str, str]:
    """Return the labels that rollouts are found by."""
    return {
        "type": type,
        "change": change,
        "environment": plan.environment,
        "service": plan.service,
        "digest": plan.version.digest,
    }


def rollout_name(change: str, service: str, environment: str) -> str:
    """Name the Run that brings a Change's version of a service to an environment.

    >>> rollout_name("shop-ab12", "storefront", "prod")
    'rollout-prod-storefront-shop-ab12'
    """
    return f"rollout-{environment}-{service}-{change}"


def plan_steps(plan: RolloutPlan, *, first: bool) -> tuple[str, ...]:
    """Name a rollout's steps in order.

    Args:
        plan: The plan.
        first: No version runs there yet, so there is nothing to compare with and all traffic at once.
    """
    canary = plan.rollout.strategy == "canary"
    weights = [step.weight for step in plan.rollout.steps] if canary else []
    if canary and first:
        weights = [100.0]
    return (
        "gate",
        "desired",
        *(f"pre-{job.name}" for job in plan.pre_deploy),
        "deploy",
        *([f"canary-{weight:g}" for weight in weights] or ["switch"]),
        *(f"post-{job.name}" for job in plan.post_deploy),
        "retire",
    )


def deploy_action(plan: RolloutPlan) -> DeployReplicas:
    """Ask for a plan's replicas."""
    return DeployReplicas(
        environment=plan.environment,
        service=plan.service,
        version=plan.version,
        command=plan.command,
        config=plan.config,
        replicas=plan.replicas,
        health=plan.health,
        resources=plan.resources,
        needs=plan.needs,
        secrets=plan.secrets,
        metrics=plan.metrics,
    )


def backend_action(plan: RolloutPlan, endpoints: Iterable[str]) -> AddBackend:
    """Ask for a plan's replicas to be reachable."""
    return AddBackend(
        environment=plan.environment,
        service=plan.service,
        version=plan.version,
        endpoints=tuple(endpoints),
        route=plan.route,
        health=plan.health,
    )
