"""What must hold for any traffic whatever."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from andon.api.v1.definitions import BusinessMetric, JudgePolicy, LatencyObjective, ObjectiveSpec
from andon.api.v1.samples import MetricCounts
from andon.domains.delivery.evidence import harm_log
from andon.domains.delivery.judge import (
    ArmCounts,
    JudgeState,
    Sample,
    fold,
    judge,
    replay,
    start_state,
)

POLICY = JudgePolicy(
    metrics=(BusinessMetric(name="orders", gained="orders_total", of="visits_total", most=0.5),)
)
OBJECTIVE = ObjectiveSpec(
    service="shop",
    availability=0.99,
    latency=LatencyObjective(threshold_seconds=0.2, target=0.99),
)
FROZEN = (40, 55, 63)


@st.composite
def arms(draw, least: int = 0) -> ArmCounts:
    latency = draw(st.dictionaries(st.integers(0, 139), st.integers(1, 50), max_size=4))
    requests = max(least, sum(latency.values()), draw(st.integers(0, 400)))
    errors = draw(st.integers(0, requests))
    half = draw(st.integers(0, requests)), draw(st.integers(0, errors))
    return ArmCounts(
        requests=requests,
        errors=errors,
        client_errors=draw(st.integers(0, errors)),
        clients=draw(st.integers(0, 200)),
        latency=latency,
        half=(*half, draw(st.integers(0, half[1]))),
    )


gains = st.builds(MetricCounts, *[st.floats(0, 500)] * 4)


@st.composite
def samples(draw) -> Sample:
    return Sample(
        at=draw(st.floats(0, 1e9)),
        seconds=draw(st.floats(0.5, 200)),
        weight=draw(st.floats(1, 100)),
        canary=draw(arms()),
        stable=draw(st.none() | arms()),
        last_step=draw(st.booleans()),
        soak_done=draw(st.booleans()),
        restarts=draw(st.integers(0, 5)),
        consistent=draw(st.booleans()),
        metrics=draw(st.fixed_dictionaries({}, optional={"orders": gains})),
    )


def say(state: JudgeState, sample: Sample):
    return judge(
        state,
        POLICY,
        OBJECTIVE,
        last_step=sample.last_step,
        soak_done=sample.soak_done,
        restarts=sample.restarts,
        consistent=sample.consistent,
    )


def begin() -> JudgeState:
    return start_state(POLICY, OBJECTIVE, FROZEN)


@settings(max_examples=60, deadline=None)
@given(st.lists(samples(), max_size=12))
def test_replay_from_stored_samples_equals_what_was_decided_live(taken) -> None:
    state, live = begin(), []
    for sample in taken:
        stored = msgspec.json.encode(state)
        state = fold(msgspec.json.decode(stored, type=JudgeState), sample)
        live.append(say(state, sample))
    kept = msgspec.json.decode(msgspec.json.encode(taken), type=list[Sample])
    again = replay(POLICY, OBJECTIVE, FROZEN, kept)
    assert msgspec.json.encode(again) == msgspec.json.encode(live)
    json.loads(msgspec.json.encode(again), parse_constant=lambda word: 1 / 0)


@settings(max_examples=40, deadline=None)
@given(st.lists(samples(), max_size=10), st.data())
def test_last_judgement_does_not_depend_on_when_anybody_looked(taken, data) -> None:
    state = seldom = begin()
    for sample in taken:
        state = fold(state, sample)
        seldom = fold(seldom, sample)
        if data.draw(st.booleans()):
            say(state, sample)
    assert state == seldom


@settings(max_examples=60, deadline=None)
@given(st.lists(samples(), max_size=6), st.floats(0.5, 500), arms())
def test_an_interval_without_canary_requests_proves_nothing(taken, seconds, stable) -> None:
    state = begin()
    for sample in taken:
        state = fold(state, sample)
    empty = Sample(at=1, seconds=seconds, weight=10, canary=ArmCounts(), stable=stable)
    after = fold(state, empty)
    assert msgspec.structs.replace(after, idle_seconds=state.idle_seconds) == state
    assert say(after, empty).verdict != "Advance"
    if say(after, empty).verdict == "RollBack":
        assert say(msgspec.structs.replace(after, idle_seconds=0.0), empty).verdict == "RollBack"


@settings(max_examples=60, deadline=None)
@given(st.lists(samples(), min_size=1, max_size=10))
def test_an_alarm_once_raised_is_not_taken_back(taken) -> None:
    state, raised = begin(), False
    for sample in taken:
        state = fold(state, sample)
        plain = judge(state, POLICY, OBJECTIVE, last_step=False, soak_done=False)
        alarm = plain.harm_log >= plain.harm_threshold
        assert alarm or not raised
        assert plain.verdict in {"RollBack", "Untrustworthy"} or not alarm
        raised = alarm


@settings(max_examples=60, deadline=None)
@given(arms(1), arms(1), st.integers(1, 20))
def test_more_canary_errors_never_look_less_harmful(canary, stable, more) -> None:
    requests = canary.requests + more
    calm = msgspec.structs.replace(canary, requests=requests, clients=0)
    worse = msgspec.structs.replace(
        calm, errors=calm.errors + more, client_errors=calm.client_errors + more
    )
    logs = [
        harm_log(fold(begin(), Sample(at=1, seconds=5, weight=10, canary=arm, stable=stable)))
        for arm in (calm, worse)
    ]
    assert logs[0] <= logs[1] + 1e-9
