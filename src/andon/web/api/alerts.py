"""Alerts, silences and error budgets; and what Alertmanager and PagerDuty's clients send."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.responses import Response

from andon.api.v1 import answers
from andon.kernel.errors import Conflict, InvalidDocument, NotLoggedIn, TooMany, UsageError
from andon.web.bodies import LargeBodies, refuse_nul
from andon.web.openapi import JSON
from andon.web.operations import (
    SOMEWHERE,
    Ask,
    Call,
    Operation,
    Page,
    at_object,
    everybody,
    everywhere,
    in_body,
    somewhere,
)

_NAMED = ("severity", "service", "environment")
MOST_BYTES = 4 << 20
MOST_EVENT_BYTES = 512 << 10
"""PagerDuty itself takes as much."""
Reason = Annotated[str, Meta(min_length=1, max_length=2000, description="Why.")]


class WhichAlerts(Page, kw_only=True, frozen=True):
    """Which alerts."""

    all: Annotated[bool, Meta(description="Those that are over, too.")] = False
    limit: Annotated[int, Meta(ge=1, le=1000, description="At most so many.")] = 200


class WhichSilences(Page, kw_only=True, frozen=True):
    """Which silences."""

    all: Annotated[bool, Meta(description="Those that are over, too.")] = False


class AcknowledgeAsk(Ask, kw_only=True, frozen=True):
    """Take an alert on."""

    reason: Reason


class SilenceAsk(Ask, kw_only=True, frozen=True):
    """Have nobody told of some alerts for a while."""

    matchers: Annotated[
        tuple[Annotated[str, Meta(min_length=2, max_length=500)], ...],
        Meta(min_length=1, max_length=20, description='All must match: `service="shop"`.'),
    ]
    seconds: Annotated[float, Meta(gt=0, description="How long; there is no silence without end.")]
    reason: Reason


class OverrideAsk(Ask, kw_only=True, frozen=True):
    """Set a BudgetPolicy aside for a while."""

    environment: Annotated[str, Meta(description="Only there; empty: wherever it holds.")] = ""
    service: Annotated[str, Meta(description="Only this one; empty: all.")] = ""
    seconds: Annotated[float, Meta(gt=0, description="How long.")]
    reason: Reason


def active(told: answers.Alerts) -> list[answers.ActiveAlert]:
    """Write alerts as Prometheus does."""
    rows: list[tuple[Any, Literal["firing", "pending"], float]] = [
        *((one, "firing", one["startsAt"]) for one in told["alerts"] if one["state"] == "firing"),
        *((one, "pending", 0.0) for one in told["pending"]),
    ]
    return [_active(one, state, since) for one, state, since in rows]


def _active(
    one: dict[str, Any], state: Literal["firing", "pending"], since: float
) -> answers.ActiveAlert:
    named = {"alertname": one["name"], **{key: str(one[key]) for key in _NAMED if one[key]}}
    at = datetime.fromtimestamp(since, UTC).isoformat().replace("+00:00", "Z") if since else ""
    return {
        "labels": {**named, **one.get("labels", {})},
        "annotations": {"summary": one["summary"]},
        "state": state,
        "activeAt": at,
        "value": "1e+00",
        "environment": one["environment"],
    }


async def _list(call: Call) -> Any:
    """List alerts that fire, those that may yet, and those that were refused as they never could."""
    told = await call.alerts.list(all=call.query.all, limit=call.query.limit)
    return {"status": "success", "data": {"alerts": active(told)}, **told}


async def _show(call: Call) -> Any:
    """Return an alert with its story."""
    return await call.alerts.show(call.path("name"))


async def _acknowledge(call: Call) -> Any:
    """Take an alert on: it is not repeated any more."""
    reason = call.body.reason
    return await call.alerts.acknowledge(call.path("name"), asked=call.asked, reason=reason)


async def _silences(call: Call) -> Any:
    """List silences, newest first."""
    return await call.alerts.silences(all=call.query.all)


async def _silence(call: Call) -> Any:
    """Have nobody told of alerts that match, for a while that ends."""
    ask: SilenceAsk = call.body
    return await call.alerts.silence(
        ask.matchers, seconds=ask.seconds, asked=call.asked, reason=ask.reason
    )


async def _unsilence(call: Call) -> Any:
    """End a silence before its time."""
    return await call.alerts.unsilence(call.path("name"), asked=call.asked)


async def _alertmanager(call: Call) -> Any:
    """Take a webhook of Alertmanager, version 4; its `authorization` has a token that may tell."""
    document = await _document(call, MOST_BYTES)
    return await call.alerts.take_alertmanager(document, asked=call.asked)


async def _pagerduty(call: Call) -> Response:
    """Take an event of PagerDuty's Events API v2; its `routing_key` is a token that may tell."""
    document = await _document(call, MOST_EVENT_BYTES)
    taken = await call.alerts.take_pagerduty(document, asked=call.asked, who=call.identity)
    return Response(msgspec.json.encode(taken), 202, media_type=JSON)


async def _document(call: Call, most_bytes: int) -> Any:
    large: LargeBodies = call.request.app.state.large
    async with large.reading(call.request, most_bytes) as body:
        try:
            document = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UsageError(f"this is no JSON: {error}") from None
    refuse_nul(document, "the alert")
    return document


async def _budgets(call: Call) -> Any:
    """List error budgets as BudgetPolicies see them, worst first."""
    return await call.budgets.list()


async def _budget(call: Call) -> Any:
    """Return a BudgetPolicy, how its budgets stand, and who has set it aside."""
    return await call.budgets.show(call.path("name"))


async def _override(call: Call) -> Any:
    """Set a BudgetPolicy aside for a while; only a person may."""
    ask: OverrideAsk = call.body
    return await call.budgets.override(
        call.path("name"),
        environment=ask.environment,
        service=ask.service,
        seconds=ask.seconds,
        asked=call.asked,
        reason=ask.reason,
    )


OPERATIONS = (
    Operation(
        name="alerts_list",
        method="GET",
        path="/alerts",
        rule=somewhere("view"),
        handler=_list,
        answer=answers.AlertsForAll,
        query=WhichAlerts,
        basic=True,
    ),
    Operation(
        name="alerts_alertmanager",
        method="POST",
        path="/alerts/alertmanager",
        rule=everywhere("tell"),
        handler=_alertmanager,
        answer=answers.AlertsTaken,
        takes=(JSON,),
        refuses=(InvalidDocument, TooMany),
    ),
    Operation(
        name="alerts_pagerduty",
        method="POST",
        path="/alerts/pagerduty/v2/enqueue",
        rule=everybody(),
        handler=_pagerduty,
        answer=dict[str, str],
        status=202,
        takes=(JSON,),
        refuses=(InvalidDocument, TooMany, NotLoggedIn),
    ),
    Operation(
        name="alerts_show",
        method="GET",
        path="/alerts/{name}",
        rule=at_object("view", "Alert", SOMEWHERE),
        handler=_show,
        answer=answers.AlertInFull,
    ),
    Operation(
        name="alerts_acknowledge",
        method="POST",
        path="/alerts/{name}/acknowledge",
        rule=at_object("hold", "Alert"),
        handler=_acknowledge,
        answer=answers.Alert,
        body=AcknowledgeAsk,
        once=True,
        revised=True,
        refuses=(Conflict,),
    ),
    Operation(
        name="silences_list",
        method="GET",
        path="/silences",
        rule=everywhere("view"),
        handler=_silences,
        answer=list[answers.Silence],
        query=WhichSilences,
    ),
    Operation(
        name="silences_add",
        method="POST",
        path="/silences",
        rule=everywhere("hold"),
        handler=_silence,
        answer=answers.Silence,
        body=SilenceAsk,
        status=201,
        once=True,
    ),
    Operation(
        name="silences_end",
        method="POST",
        path="/silences/{name}/end",
        rule=everywhere("hold"),
        handler=_unsilence,
        answer=answers.Silence,
        once=True,
        revised=True,
    ),
    Operation(
        name="budgets_list",
        method="GET",
        path="/budgets",
        rule=somewhere("view"),
        handler=_budgets,
        answer=list[answers.Budget],
    ),
    Operation(
        name="budgets_show",
        method="GET",
        path="/budgets/{name}",
        rule=somewhere("view"),
        handler=_budget,
        answer=answers.BudgetPolicy,
    ),
    Operation(
        name="budgets_override",
        method="POST",
        path="/budgets/{name}/overrides",
        rule=in_body("approve"),
        handler=_override,
        answer=answers.Override,
        body=OverrideAsk,
        status=201,
        once=True,
    ),
)
