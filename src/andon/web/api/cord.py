"""Shipping, and the cord: what people ask of the line."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from andon.api.v1.access import EVERYWHERE
from andon.api.v1.answers import Approval, Hold, Lifted, Run, Shipped
from andon.api.v1.jobs import PIPELINES
from andon.kernel.errors import Held, InvalidDocument, UsageError
from andon.web.operations import (
    SOMEWHERE,
    Ask,
    Call,
    Operation,
    Page,
    Rule,
    at_object,
    in_body,
    of_known_repository,
    somewhere,
)

Reason = Annotated[str, Meta(description="Why, for the people who will ask.")]


class ShipAsk(Ask, kw_only=True, frozen=True):
    """Take a commit onto the line."""

    repository: Annotated[str, Meta(min_length=1, description="Path or URL.")]
    ref: Annotated[str, Meta(description="Branch, tag or sha.")] = "HEAD"
    until: Annotated[
        str,
        Meta(description="Environment to stop after; empty: as far as the gates allow."),
    ] = ""


class HoldAsk(Ask, kw_only=True, frozen=True):
    """Pull the cord."""

    scope: Annotated[
        dict[str, str],
        Meta(
            description="At least one of `service`, `environment`, `digest`, `configHash`, `change`."
        ),
    ]
    reason: Reason
    expires_seconds: Annotated[float, Meta(ge=0, description="0: never.")] = 0


class LiftAsk(Ask, kw_only=True, frozen=True):
    """Lift a Hold."""

    reason: Reason


class UnlatchAsk(Ask, kw_only=True, frozen=True):
    """Let what failed be tried again."""

    environment: Annotated[str, Meta(description="Where it failed.", min_length=1)]
    subject: Annotated[str, Meta(description="Service, or the beginning of a digest.")]
    reason: Reason


class RollbackAsk(Ask, kw_only=True, frozen=True):
    """Go back to the previous version."""

    environment: Annotated[str, Meta(description="Where.", min_length=1)]
    service: Annotated[str, Meta(description="Which service.")]
    reason: Reason


class ApproveAsk(Ask, kw_only=True, frozen=True):
    """Consent to a Change in an environment, or to a job of its Pipeline that waits for it."""

    change: Annotated[str, Meta(description="Name, or the beginning of a sha.")]
    environment: Annotated[str, Meta(description="Where; empty with `job`.")] = ""
    job: Annotated[str, Meta(description="The job, instead of an environment.")] = ""
    fix: Annotated[
        Literal["", "security", "incident"],
        Meta(description="Call it a fix that a BudgetPolicy lets pass."),
    ] = ""
    reason: Reason


class Holds(Page, kw_only=True, frozen=True):
    """Which Holds."""

    all: Annotated[bool, Meta(description="Lifted and expired ones, too.")] = False


async def _ship(call: Call) -> Any:
    """Take a commit onto the line."""
    ask: ShipAsk = call.body
    return await call.line.ship(
        repository=ask.repository,
        ref=ask.ref,
        until=ask.until,
        asked=call.asked,
        may=lambda place: call.caller.may("ship", place),
    )


async def _holds(call: Call) -> Any:
    """List Holds, newest first."""
    return await call.line.holds(all=call.query.all)


async def _find(call: Call) -> Any:
    """Return a Hold."""
    return await call.line.find_hold(call.path("name"))


async def _hold(call: Call) -> Any:
    """Pull the cord: nothing of that scope goes on until it is lifted."""
    ask: HoldAsk = call.body
    return await call.line.hold(
        scope=ask.scope, reason=ask.reason, asked=call.asked, expires_seconds=ask.expires_seconds
    )


async def _held_where(call: Call) -> str:
    return call.body.scope.get("environment") or EVERYWHERE


async def _lift(call: Call) -> Any:
    """Lift a Hold."""
    return await call.line.lift(call.path("name"), asked=call.asked, reason=call.body.reason)


async def _unlatch(call: Call) -> Any:
    """Let what failed in an environment by its own fault be tried again."""
    ask: UnlatchAsk = call.body
    return await call.line.unlatch(
        environment=ask.environment, subject=ask.subject, asked=call.asked, reason=ask.reason
    )


async def _rollback(call: Call) -> Any:
    """Go back to the previous version of a service."""
    ask: RollbackAsk = call.body
    return await call.line.rollback(
        environment=ask.environment, service=ask.service, asked=call.asked, reason=ask.reason
    )


async def _approve(call: Call) -> Any:
    """Consent to a Change in an environment, or to a job of it; nobody approves their own."""
    ask: ApproveAsk = call.body
    _refuse_unclear(ask)
    return await call.line.approve(
        ask.change,
        environment=ask.environment,
        asked=call.asked,
        reason=ask.reason,
        job=ask.job,
        fix=ask.fix,
    )


def _refuse_unclear(ask: ApproveAsk) -> None:
    if bool(ask.environment) == bool(ask.job):
        raise UsageError(
            "consent is for an environment or for a job",
            hint="say one of `environment` and `job`",
        )
    if ask.fix and ask.job:
        raise UsageError("a fix is let into an environment, not into a job", hint="no `job`")


async def _consented_where(call: Call) -> str:
    ask: ApproveAsk = call.body
    return ask.environment or (PIPELINES if ask.job else EVERYWHERE)


async def _withdraw(call: Call) -> Any:
    """Take one's own consent back, while what it is for has not begun."""
    ask: ApproveAsk = call.body
    _refuse_unclear(ask)
    return await call.line.withdraw(
        ask.change,
        environment=ask.environment,
        asked=call.asked,
        reason=ask.reason,
        job=ask.job,
    )


CONSENT = Rule(
    verb="approve",
    where=_consented_where,
    place=f"in the environment of the body's `environment`; in `{PIPELINES}` for a job",
)


OPERATIONS = (
    Operation(
        name="ship",
        method="POST",
        path="/ship",
        rule=of_known_repository(in_body("ship", "until")),
        handler=_ship,
        refuses=(InvalidDocument,),
        answer=Shipped,
        body=ShipAsk,
        status=201,
        once=True,
    ),
    Operation(
        name="holds_list",
        method="GET",
        path="/holds",
        rule=somewhere("view"),
        handler=_holds,
        answer=list[Hold],
        query=Holds,
    ),
    Operation(
        name="holds_show",
        method="GET",
        path="/holds/{name}",
        rule=at_object("view", "Hold", otherwise=SOMEWHERE),
        handler=_find,
        answer=Hold,
    ),
    Operation(
        name="hold",
        method="POST",
        path="/holds",
        rule=Rule(
            verb="hold",
            where=_held_where,
            place="in the environment of the scope; everywhere without one",
        ),
        handler=_hold,
        answer=Hold,
        body=HoldAsk,
        status=201,
        once=True,
    ),
    Operation(
        name="lift",
        method="POST",
        path="/holds/{name}/lift",
        rule=at_object("hold", "Hold"),
        handler=_lift,
        answer=Hold,
        body=LiftAsk,
        status=201,
        once=True,
        revised=True,
    ),
    Operation(
        name="unlatch",
        method="POST",
        path="/unlatch",
        rule=in_body("operate"),
        handler=_unlatch,
        answer=Lifted,
        body=UnlatchAsk,
        status=201,
        once=True,
    ),
    Operation(
        name="rollback",
        method="POST",
        path="/rollback",
        rule=in_body("operate"),
        handler=_rollback,
        refuses=(Held,),
        answer=Run,
        body=RollbackAsk,
        status=201,
        once=True,
    ),
    Operation(
        name="approve",
        method="POST",
        path="/approvals",
        rule=CONSENT,
        handler=_approve,
        answer=Approval,
        body=ApproveAsk,
        status=201,
        once=True,
    ),
    Operation(
        name="withdraw",
        method="POST",
        path="/approvals/withdraw",
        rule=CONSENT,
        handler=_withdraw,
        answer=Approval,
        body=ApproveAsk,
        once=True,
    ),
)
