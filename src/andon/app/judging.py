"""The judge, asked beside a rollout: what it decided, decided again; and what it will be able to see."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from andon.api.v1 import answers
from andon.api.v1.records import Object, RolloutPlan
from andon.api.v1.samples import Sample
from andon.app import queries
from andon.app.foresight import Coming, Foresight, coming, coming_of, forecast, last_plan
from andon.app.simulation import OWN, judges_named
from andon.domains.delivery.judge import Judgement, JudgeState, fold, judge_sample, start_state
from andon.domains.reliability.power import Load
from andon.kernel.clock import Clock
from andon.kernel.errors import NotFound, UsageError
from andon.ports.store import Store, Tx
from andon.ports.telemetry import Matcher, MetricStore

RECENT_SECONDS = 3600.0
MOST_FORESEEN = 6
MOST_ROUNDS = 600
"""A picture shows no more; of more looks those stay that said something new."""
REQUESTS = "andon_gateway_requests_total"
FAILED = frozenset({"5xx", "failed"})
ERROR_FREE = 0.0001
"""What an error share counts as where none was seen: nobody is free of errors for ever."""


class Judging:
    """Answers for the judge.

    Args:
        store: The durable store.
        metrics: Where traffic was counted.
        clock: The time.
    """

    def __init__(self, store: Store, metrics: MetricStore, clock: Clock) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._foresight = Foresight()

    async def replay(self, name: str, judges: Sequence[str]) -> answers.JudgeReplay:
        """Decide a rollout again from its stored counts, and have other rules look at them, too."""
        others = tuple(one for one in judges if one != OWN)
        judges_named(others)
        run, samples, claims = await self._store.read(lambda tx: _stored(tx, name))
        return await asyncio.to_thread(_replay, run, samples, claims, others)

    async def forecast(
        self,
        service: str,
        environment: str,
        *,
        requests_per_second: float | None = None,
        error_share: float | None = None,
    ) -> answers.JudgeForecast:
        """Say which rise of errors the next rollout of a service would see, and when."""
        policy, objective = await self._store.read(lambda tx: last_plan(tx, service, environment))
        load = await self._load(service, environment, requests_per_second, error_share)
        told = await asyncio.to_thread(forecast, policy, objective, load)
        return {"service": service, "environment": environment, **told}

    async def foresee(self, change: str) -> answers.ChangeForecast:
        """Say what the judge would see in the rollouts that are still before a Change."""
        name, found = await self._store.read(lambda tx: coming(tx, change))
        return {"change": name, "rollouts": await self._foreseen_all(found)}

    async def foresee_diff(self, diff: answers.Diff) -> list[answers.RolloutForecast]:
        """Say what the judge would see in the rollouts that a ship would bring."""
        return await self._foreseen_all(coming_of(diff))

    async def _foreseen_all(self, found: list[Coming]) -> list[answers.RolloutForecast]:
        return [await self._foreseen(one, at) for at, one in enumerate(found)]

    async def _foreseen(self, one: Coming, at: int) -> answers.RolloutForecast:
        place: answers.JudgedPlace = {"service": one.service, "environment": one.environment}
        try:
            if at >= MOST_FORESEEN:
                raise NotFound(f"only {MOST_FORESEEN} rollouts are looked ahead at once")
            load = await self._load(one.service, one.environment, None, None)
        except NotFound as error:
            return {**place, "forecast": None, "unknown": error.message}
        told = await asyncio.to_thread(self._foresight.forecast, one.policy, one.objective, load)
        return {**place, "forecast": {**place, **told}, "unknown": ""}

    async def rounds(self, name: str) -> answers.JudgeRounds:
        """Say what the judge saw and said of a rollout, look by look, so far or to its end."""
        run, samples, _ = await self._store.read(lambda tx: _stored(tx, name))
        return await asyncio.to_thread(_rounds, run, samples)

    async def _load(
        self, service: str, environment: str, rate: float | None, share: float | None
    ) -> Load:
        if rate is None or share is None:
            counted = await asyncio.to_thread(self._counted, service, environment)
            if counted is None and rate is None:
                raise NotFound(
                    f"no traffic of {service} in {environment} was counted in the last hour",
                    hint="say what you expect: --requests-per-second 50 --errors 0.001",
                )
            rate = counted[0] if rate is None and counted else rate
            share = counted[1] if share is None and counted else share
        return Load(requests_per_second=rate or 0.0, error_share=max(share or 0.0, ERROR_FREE))

    def _counted(self, service: str, environment: str) -> tuple[float, float] | None:
        """Return requests per second and error share of the last hour, as far as it was observed."""
        now_ms = int(self._clock.now() * 1000)
        named = {"__name__": REQUESTS, "service": service, "environment": environment}
        found = self._metrics.increase(
            [Matcher(name, "=", value) for name, value in named.items()],
            now_ms - int(RECENT_SECONDS * 1000),
            now_ms,
        )
        covered = max((one.covered_seconds for one in found.values()), default=0.0)
        requests = sum(one.increase for one in found.values())
        if not covered or not requests:
            return None
        failed = sum(
            one.increase for labels, one in found.items() if dict(labels).get("class") in FAILED
        )
        return requests / covered, failed / requests


# --- Deciding again -----------------------------------------------------------------------------


def _stored(tx: Tx, name: str) -> tuple[Object, list[Sample], dict[str, Object]]:
    """Return a Run, what was seen during it, and what was claimed of its steps then."""
    run = queries.run(tx, name)
    plan: RolloutPlan | None = run.spec.rollout
    if plan is None or "judge" not in run.status.memory:
        raise UsageError(
            f"nothing was judged in {run.name}", hint="`andon runs list --type rollout`"
        )
    samples = msgspec.convert(tx.samples(run.uid), list[Sample], str_keys=True, strict=False)
    rows = [row.name for row in tx.steps(run.uid) if row.name.startswith("canary-")]
    found = {row: tx.get("Evidence", f"{run.name}-{row}") for row in rows}
    return run, samples, {row: one for row, one in found.items() if one is not None}


def _replay(
    run: Object, samples: list[Sample], claims: dict[str, Object], judges: Sequence[str]
) -> answers.JudgeReplay:
    plan: RolloutPlan = run.spec.rollout
    memory = run.status.memory
    state, again = _again(run, samples)
    same_state = _same_state(state, memory["judge"])
    decisions = [_decision(step, claim, samples, again) for step, claim in claims.items()]
    return {
        "run": run.name,
        "service": plan.service,
        "environment": plan.environment,
        "samples": len(samples),
        "rules": _edition(memory),
        "same": same_state and all(one["same"] for one in decisions),
        "sameState": same_state,
        "decisions": decisions,
        "judges": [_own(samples, again), *(_other(name, plan, samples) for name in judges)],
    }


def _edition(memory: dict[str, Any]) -> int:
    return int(memory["judge"].get("version", 1))


def _again(run: Object, samples: Sequence[Sample]) -> tuple[JudgeState, list[Judgement]]:
    """Judge once more what was seen, by the rules of then."""
    plan: RolloutPlan = run.spec.rollout
    memory = run.status.memory
    policy, objective = plan.rollout.judge, plan.objective
    state = start_state(policy, objective, tuple(memory["frozen"]), _edition(memory))
    again: list[Judgement] = []
    for sample in samples:
        state = fold(state, sample)
        again.append(judge_sample(state, sample, policy, objective))
    return state, again


def _rounds(run: Object, samples: Sequence[Sample]) -> answers.JudgeRounds:
    plan: RolloutPlan = run.spec.rollout
    _, said = _again(run, samples)
    rounds = [_round(sample, one) for sample, one in zip(samples, said, strict=True)]
    return {
        "run": run.name,
        "service": plan.service,
        "environment": plan.environment,
        "harmThreshold": said[0].harm_threshold if said else 0.0,
        "fitThreshold": said[0].fit_threshold if said else 0.0,
        "looks": len(rounds),
        "rounds": _thinned(rounds),
    }


def _round(sample: Sample, said: Judgement) -> answers.JudgeRound:
    return {
        "at": sample.at,
        "weight": sample.weight,
        "verdict": said.verdict,
        "reason": said.reason,
        "harmLog": said.harm_log,
        "fitLog": said.fit_log,
        "canaryRequests": said.canary_requests,
        "canaryErrors": said.canary_errors,
        "stableRequests": said.stable_requests,
        "stableErrors": said.stable_errors,
    }


def _thinned(rounds: list[answers.JudgeRound]) -> list[answers.JudgeRound]:
    """Leave out looks that said what the one before did, as evenly as can be."""
    stride = -(-len(rounds) // MOST_ROUNDS)

    def stays(at: int) -> bool:
        if at % max(1, stride) == 0 or at == len(rounds) - 1:
            return True
        before, now = rounds[at - 1], rounds[at]
        return (before["verdict"], before["weight"]) != (now["verdict"], now["weight"])

    return [one for at, one in enumerate(rounds) if stays(at)]


def _same_state(state: JudgeState, stored: dict[str, Any]) -> bool:
    """Say whether both are the same to the last digit."""
    kept = msgspec.convert(stored, JudgeState)
    again = msgspec.json.decode(msgspec.json.encode(state), type=JudgeState)
    return msgspec.json.encode(again) == msgspec.json.encode(kept)


def _decision(
    step: str, claim: Object, samples: Sequence[Sample], again: Sequence[Judgement]
) -> answers.JudgeDecision:
    """Compare what was claimed of a step with what comes out now."""
    live = dict(claim.spec.value)
    counted = int(live.pop("sample", 0)) or sum(
        sample.at <= claim.spec.observed_at for sample in samples
    )
    now = msgspec.to_builtins(again[counted - 1]) if 0 < counted <= len(again) else {}
    return {
        "step": step,
        "sample": counted,
        "at": claim.spec.observed_at,
        "verdict": str(live.get("verdict", "")),
        "reason": str(live.get("reason", "")),
        "verdictNow": str(now.get("verdict", "")),
        "reasonNow": str(now.get("reason", "")),
        "same": _bytes(live) == _bytes(now),
    }


def _bytes(value: dict[str, Any]) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def _own(samples: Sequence[Sample], again: Sequence[Judgement]) -> answers.JudgeBeside:
    said = [one.verdict for one in again]
    return _told(OWN, samples, [one if one == "RollBack" else "" for one in said], said)


def _other(name: str, plan: RolloutPlan, samples: Sequence[Sample]) -> answers.JudgeBeside:
    made = judges_named([name])[name](plan.rollout.judge, plan.objective, {})
    said = [made.look(sample) for sample in samples]
    return _told(name, samples, said, said)


def _told(
    name: str, samples: Sequence[Sample], said: Sequence[str], last: Sequence[str]
) -> answers.JudgeBeside:
    stops = [sample for sample, verdict in zip(samples, said, strict=True) if verdict == "RollBack"]
    began = samples[0].at - samples[0].seconds if samples else 0.0
    until = [sample for sample in samples if not stops or sample.at <= stops[0].at]
    return {
        "judge": name,
        "verdict": "RollBack" if stops else (last[-1] if last else "Wait"),
        "rollbackAfterSeconds": stops[0].at - began if stops else None,
        "failedRequests": sum(sample.canary.errors for sample in until),
    }
