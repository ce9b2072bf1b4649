"""The judge beside a rollout: reads only."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from andon.api.v1.answers import ChangeForecast, JudgeForecast, JudgeReplay, JudgeRounds
from andon.web.operations import SOMEWHERE, Call, Operation, Page, at_object, in_query, somewhere


class WhichJudges(Page, kw_only=True, frozen=True):
    """Names rules."""

    judge: Annotated[
        str, Meta(max_length=200, description="Rules to show beside, separated by commas.")
    ] = ""


class WhichLoad(Page, kw_only=True, frozen=True):
    """Names a place, and what traffic to expect there."""

    environment: Annotated[str, Meta(description="Where.")]
    requests_per_second: Annotated[
        Annotated[float, Meta(gt=0, le=1e6)] | None,
        Meta(description="Left out: as counted in the last hour."),
    ] = None
    error_share: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(description="Left out: as counted in the last hour."),
    ] = None


async def _replay(call: Call) -> Any:
    """Decide a rollout again from its stored counts, and have other rules look at them, too."""
    names = [name.strip() for name in call.query.judge.split(",") if name.strip()]
    return await call.judging.replay(call.path("name"), names)


async def _rounds(call: Call) -> Any:
    """Say what the judge saw and said of a rollout, look by look, so far or to its end."""
    return await call.judging.rounds(call.path("name"))


async def _foresee(call: Call) -> Any:
    """Say what the judge would see in the rollouts that are still before a Change."""
    return await call.judging.foresee(call.path("name"))


async def _forecast(call: Call) -> Any:
    """Say which rise of errors the next rollout of a service would see, and when."""
    query = call.query
    return await call.judging.forecast(
        call.path("name"),
        query.environment,
        requests_per_second=query.requests_per_second,
        error_share=query.error_share,
    )


OPERATIONS = (
    Operation(
        name="runs_replay",
        method="GET",
        path="/runs/{name}/replay",
        rule=at_object("view", "Run", otherwise=SOMEWHERE),
        handler=_replay,
        answer=JudgeReplay,
        query=WhichJudges,
    ),
    Operation(
        name="runs_rounds",
        method="GET",
        path="/runs/{name}/rounds",
        rule=at_object("view", "Run", otherwise=SOMEWHERE),
        handler=_rounds,
        answer=JudgeRounds,
    ),
    Operation(
        name="changes_forecast",
        method="GET",
        path="/changes/{name}/forecast",
        rule=somewhere("view"),
        handler=_foresee,
        answer=ChangeForecast,
    ),
    Operation(
        name="services_forecast",
        method="GET",
        path="/services/{name}/forecast",
        rule=in_query("view"),
        handler=_forecast,
        answer=JudgeForecast,
        query=WhichLoad,
    ),
)
