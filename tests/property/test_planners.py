"""Planners and gates, for any pipeline, any environments and any Evidence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from andon.api.v1.definitions import EnvironmentSpec, RolloutPolicy, RolloutStep, ServiceSpec
from andon.api.v1.jobs import JobPlan
from andon.api.v1.pipelines import DeployJob
from andon.api.v1.records import EvidenceSpec, HoldSpec, HoldStatus, Object, StepState, Subject
from andon.domains.delivery.plan import environments_in_order, services_in_order
from andon.domains.line.gate import judge_gate
from andon.domains.pipelines.plan import may_begin

NAMES = ["a", "b", "c", "d", "e", "f", "g"]
CHECKS = ["unit", "acceptance", "audit", "lint"]
NOW = 1_000_000.0
AGE = 3600.0


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """Draw a graph without cycles: each node needs some of those before it, in a shuffled order."""
    names = draw(st.permutations(NAMES))[: draw(st.integers(1, len(NAMES)))]
    return {
        name: tuple(draw(st.lists(st.sampled_from(names[:number]), unique=True)) if number else ())
        for number, name in enumerate(names)
    }


subjects = st.builds(
    Subject,
    service=st.sampled_from(["", "web", "cart"]),
    environment=st.sampled_from(["", "dev", "prod"]),
    digest=st.sampled_from(["", "sha256:1", "sha256:2"]),
    config_hash=st.sampled_from(["", "x"]),
)
claims = st.builds(
    EvidenceSpec,
    subject=subjects,
    check=st.sampled_from(CHECKS),
    verdict=st.sampled_from(["Pass", "Fail", "Inconclusive"]),
    source=st.just("run:x"),
    observed_at=st.floats(NOW - 2 * AGE, NOW),
)
holds = st.builds(
    HoldSpec,
    scope=subjects,
    reason=st.just("r"),
    source=st.sampled_from(["latch", "person:ann"]),
    expires_at=st.sampled_from([0.0, NOW - 1, NOW + 1]),
)
ASKING = Subject(service="web", environment="prod", digest="sha256:1", config_hash="x", change="c")


def objects(kind: str, specs: list, status=None) -> list[Object]:
    return [
        Object(kind=kind, name=str(n), uid=str(n), spec=spec, status=status)
        for n, spec in enumerate(specs)
    ]


def gate_for(requires: list[str], evidence: list[EvidenceSpec], held: list[HoldSpec]):
    return judge_gate(
        ASKING,
        requires,
        objects("Evidence", evidence),
        objects("Hold", held, HoldStatus()),
        NOW,
        AGE,
    )


@given(graphs())
def test_services_come_after_what_they_need(graph: dict[str, tuple[str, ...]]):
    services = {name: ServiceSpec(command=("x",), needs=needs) for name, needs in graph.items()}
    order = services_in_order(services)
    assert sorted(order) == sorted(graph)
    assert all(order.index(need) < order.index(name) for name in graph for need in graph[name])


@given(graphs())
def test_environments_come_after_the_one_they_name(graph: dict[str, tuple[str, ...]]):
    specs = {
        name: EnvironmentSpec(after=needs[0] if needs else None) for name, needs in graph.items()
    }
    order = environments_in_order(specs)
    assert sorted(order) == sorted(graph)
    assert all(
        order.index(one.after) < order.index(name) for name, one in specs.items() if one.after
    )


@given(
    st.dictionaries(
        st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3), min_size=1
    )
)
def test_a_cycle_of_needs_still_names_every_service_once(graph: dict[str, list[str]]):
    services = {
        name: ServiceSpec(command=("x",), needs=tuple(needs)) for name, needs in graph.items()
    }
    assert sorted(services_in_order(services)) == sorted(graph)


@given(graphs())
def test_ready_jobs_run_every_job_once_and_never_before_its_needs(
    graph: dict[str, tuple[str, ...]],
):
    jobs = [JobPlan(name=name, run=":", needs=needs) for name, needs in graph.items()]
    states: dict[str, StepState] = dict.fromkeys(graph, "waiting")
    while ready := [
        job.name
        for job in jobs
        if states[job.name] == "waiting" and may_begin(job, set(graph), states.__getitem__)
    ]:
        assert all(states[need] == "passed" for name in ready for need in graph[name])
        states |= dict.fromkeys(ready, "passed")
    assert set(states.values()) == {"passed"}


@given(st.lists(st.sampled_from(CHECKS), unique=True), st.lists(claims), st.lists(holds))
def test_a_gate_is_closed_by_missing_evidence_or_a_matching_hold_and_nothing_else(
    requires: list[str], evidence: list[EvidenceSpec], held: list[HoldSpec]
):
    gate = gate_for(requires, evidence, held)
    about = [claim for claim in evidence if claim.subject.matches(ASKING)]
    good = set()
    for check in requires:
        mine = [claim for claim in about if claim.check == check]
        newest = max((claim.observed_at for claim in mine), default=None)
        last = [claim for claim in mine if claim.observed_at == newest]
        if last and last[-1].verdict == "Pass" and NOW - newest <= AGE:
            good.add(check)
    holding = [
        hold for hold in held if hold.scope.matches(ASKING) and not 0 < hold.expires_at <= NOW
    ]
    assert {lack.check for lack in gate.missing} == set(requires) - good
    assert [one.spec for one in gate.holds] == holding
    assert gate.open == (good == set(requires) and not holding)
    assert gate.open == (gate.explain() == "")


@given(st.lists(st.sampled_from(CHECKS), unique=True), st.lists(claims), st.sampled_from(CHECKS))
def test_fresh_passing_evidence_never_closes_a_gate(
    requires: list[str], evidence: list[EvidenceSpec], check: str
):
    more = EvidenceSpec(subject=ASKING, check=check, verdict="Pass", source="x", observed_at=NOW)
    before = {lack.check for lack in gate_for(requires, evidence, []).missing}
    after = {lack.check for lack in gate_for(requires, [*evidence, more], []).missing}
    assert after == before - {check}


@given(st.lists(st.sampled_from(CHECKS), unique=True), st.lists(claims), st.lists(holds), holds)
def test_one_more_hold_never_opens_a_gate(
    requires: list[str], evidence: list[EvidenceSpec], held: list[HoldSpec], more: HoldSpec
):
    before, after = (gate_for(requires, evidence, some) for some in (held, [*held, more]))
    assert after.missing == before.missing
    assert len(after.holds) >= len(before.holds)


@given(subjects, subjects)
def test_a_subject_matches_itself_and_whatever_says_more(one: Subject, other: Subject):
    assert one.matches(one)
    assert Subject().matches(one)
    if one.matches(other) and other.matches(one):
        assert one == other
    told = {
        field: getattr(other, field) for field in other.__struct_fields__ if getattr(other, field)
    }
    assert one.matches(replace(one, **{k: v for k, v in told.items() if not getattr(one, k)}))


@pytest.mark.parametrize("first", [True, False])
@given(
    st.lists(st.integers(1, 100), min_size=1, max_size=5, unique=True),
    st.sampled_from(["canary", "rolling"]),
    st.integers(0, 2),
)
def test_steps_of_a_rollout_keep_their_order(
    first: bool, weights: list[int], strategy: str, jobs: int
):
    from andon.api.v1.definitions import Health, Resources, RouteSpec
    from andon.api.v1.records import RolloutPlan, Version
    from andon.domains.delivery.plan import plan_deploy_job, plan_steps

    job = tuple(plan_deploy_job(DeployJob(name=f"j{n}", run=":"), "prod") for n in range(jobs))
    plan = RolloutPlan(
        service="web",
        environment="prod",
        repository="r",
        sha="s",
        version=Version(digest="d", config_hash="c"),
        command=("x",),
        config={},
        replicas=1,
        health=Health(),
        resources=Resources(),
        drain_seconds=1,
        needs=(),
        requires=(),
        max_age_seconds=1,
        rollout=RolloutPolicy(
            strategy=strategy, steps=tuple(RolloutStep(weight=one) for one in sorted(weights))
        ),
        route=RouteSpec(service="web"),
        pre_deploy=job,
        post_deploy=job,
    )
    steps = plan_steps(plan, first=first)
    assert len(set(steps)) == len(steps)
    assert (steps[0], steps[1], steps[-1]) == ("gate", "desired", "retire")
    kinds = [step.split("-")[0] for step in steps]
    order = ["gate", "desired", "pre", "deploy", "canary", "switch", "post", "retire"]
    assert kinds == sorted(kinds, key=order.index)
    canary = [step for step in steps if step.startswith("canary-")]
    wanted = [] if strategy == "rolling" else ["canary-100"] if first else None
    assert wanted is None or canary == wanted
    assert ("switch" in steps) == (strategy == "rolling")
