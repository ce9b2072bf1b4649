"""Who is told what happens."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from andon.api.v1.answers import (
    Retried,
    Subscription,
    SubscriptionWithLetters,
    SubscriptionWithSecret,
)
from andon.web.operations import Ask, Call, Handler, Operation, everywhere

Start = Annotated[
    str, Meta(description="`now`, `start`, or the sequence of the first event to be told.")
]


class SubscriptionAsk(Ask, kw_only=True, frozen=True):
    """Tell somebody outside what happens."""

    name: Annotated[str, Meta(description="Unique; lower-case letters, digits and dashes.")]
    url: Annotated[str, Meta(description="Webhook, AMQP or NATS address.")]
    types: Annotated[
        tuple[str, ...], Meta(description="Beginnings of event types; none: all of them.")
    ] = ()
    stream: Annotated[str, Meta(description="Only of this stream; empty: of all.")] = ""
    start: Start = "now"
    mode: Annotated[
        Literal["structured", "binary"], Meta(description="How CloudEvents are sent over HTTP.")
    ] = "structured"
    secret: Annotated[
        str, Meta(description="What webhooks are signed with; empty: one is made.")
    ] = ""


class PauseSubscriptionAsk(Ask, kw_only=True, frozen=True):
    """Send nothing for a while."""

    reason: Annotated[str, Meta(description="Why, for the people who will ask.")] = ""


class ReplayAsk(Ask, kw_only=True, frozen=True):
    """Tell it again."""

    start: Start


class RotateAsk(Ask, kw_only=True, frozen=True):
    """Sign with another secret."""

    secret: Annotated[str, Meta(description="The new one; empty: one is made.")] = ""
    drop_old: Annotated[bool, Meta(description="Instead: sign no longer with the one before.")] = (
        False
    )


class RetryAsk(Ask, kw_only=True, frozen=True):
    """Try dead letters again."""

    event: Annotated[str, Meta(description="Id of one; empty: all of them.")] = ""


class NothingAsk(Ask, kw_only=True, frozen=True):
    """Nothing more is to be said."""


async def _list(call: Call) -> Any:
    """List subscriptions, with how telling goes."""
    return await call.line.subscriptions.list()


async def _show(call: Call) -> Any:
    """Return a subscription and its dead letters."""
    return await call.line.subscriptions.show(call.path("name"))


async def _add(call: Call) -> Any:
    """Tell somebody outside what happens; a secret made here is in this answer only."""
    ask: SubscriptionAsk = call.body
    return await call.line.subscriptions.add(
        ask.name,
        url=ask.url,
        types=ask.types,
        stream=ask.stream,
        start=ask.start,
        mode=ask.mode,
        secret=ask.secret,
        asked=call.asked,
    )


async def _pause(call: Call) -> Any:
    """Send nothing until it is resumed."""
    return await call.line.subscriptions.pause(
        call.path("name"), asked=call.asked, reason=call.body.reason
    )


async def _resume(call: Call) -> Any:
    """Go on, at once."""
    return await call.line.subscriptions.resume(call.path("name"), asked=call.asked)


async def _replay(call: Call) -> Any:
    """Tell everything again from a sequence on."""
    return await call.line.subscriptions.replay(
        call.path("name"), start=call.body.start, asked=call.asked
    )


async def _rotate(call: Call) -> Any:
    """Sign with a new secret, and with the one before as well until it is dropped."""
    ask: RotateAsk = call.body
    return await call.line.subscriptions.rotate(
        call.path("name"), asked=call.asked, secret=ask.secret, drop_old=ask.drop_old
    )


async def _retry(call: Call) -> Any:
    """Try dead letters once more."""
    return await call.line.subscriptions.retry(call.path("name"), event=call.body.event)


async def _remove(call: Call) -> Any:
    """Forget a subscription."""
    return await call.line.subscriptions.remove(call.path("name"), asked=call.asked)


def _write(
    name: str,
    path: str,
    handler: Handler,
    body: type[Struct],
    answer: Any = Subscription,
    *,
    once: bool = True,
) -> Operation:
    return Operation(
        name=f"subscriptions_{name}",
        method="POST",
        path=f"/subscriptions{path}",
        rule=everywhere("administer"),
        handler=handler,
        body=body,
        answer=answer,
        status=201,
        once=once,
    )


OPERATIONS = (
    Operation(
        name="subscriptions_list",
        method="GET",
        path="/subscriptions",
        rule=everywhere("view"),
        handler=_list,
        answer=list[Subscription],
    ),
    Operation(
        name="subscriptions_show",
        method="GET",
        path="/subscriptions/{name}",
        rule=everywhere("view"),
        handler=_show,
        answer=SubscriptionWithLetters,
    ),
    _write("add", "", _add, SubscriptionAsk, SubscriptionWithSecret),
    _write("pause", "/{name}/pause", _pause, PauseSubscriptionAsk),
    _write("resume", "/{name}/resume", _resume, NothingAsk),
    _write("replay", "/{name}/replay", _replay, ReplayAsk),
    _write("rotate", "/{name}/rotate", _rotate, RotateAsk, SubscriptionWithSecret),
    _write("retry", "/{name}/retry", _retry, RetryAsk, Retried, once=False),
    _write("remove", "/{name}/remove", _remove, NothingAsk),
)
