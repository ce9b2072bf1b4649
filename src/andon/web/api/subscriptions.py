"""Who is told what happens."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from andon.web.api.reading import Json
from andon.web.operations import Ask, Call, Handler, Operation, everywhere


class AddAsk(Ask, kw_only=True, frozen=True):
    """Tell somebody outside what happens."""

    name: str
    url: str
    types: tuple[str, ...] = ()
    stream: str = ""
    start: str = "now"
    mode: Literal["structured", "binary"] = "structured"
    secret: str = ""


class PauseAsk(Ask, kw_only=True, frozen=True):
    """Send nothing for a while."""

    reason: str = ""


class ReplayAsk(Ask, kw_only=True, frozen=True):
    """Tell it again."""

    start: str


class RotateAsk(Ask, kw_only=True, frozen=True):
    """Sign with another secret."""

    secret: str = ""
    drop_old: bool = False


class RetryAsk(Ask, kw_only=True, frozen=True):
    """Try dead letters again."""

    event: str = ""


async def _list(call: Call) -> Any:
    """List subscriptions, with how telling goes."""
    return await call.line.subscriptions.list()


async def _show(call: Call) -> Any:
    """Return a subscription and its dead letters."""
    return await call.line.subscriptions.show(call.path("name"))


async def _add(call: Call) -> Any:
    """Tell somebody outside what happens; a secret made here is in this answer only."""
    ask: AddAsk = call.body
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
    name: str, path: str, handler: Handler, body: type[Struct], *, once: bool = True
) -> Operation:
    return Operation(
        name=f"subscriptions_{name}",
        method="POST",
        path=f"/subscriptions{path}",
        rule=everywhere("administer"),
        handler=handler,
        body=body,
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
        answer=list[Json],
    ),
    Operation(
        name="subscriptions_show",
        method="GET",
        path="/subscriptions/{name}",
        rule=everywhere("view"),
        handler=_show,
    ),
    _write("add", "", _add, AddAsk),
    _write("pause", "/{name}/pause", _pause, PauseAsk),
    _write("resume", "/{name}/resume", _resume, Ask),
    _write("replay", "/{name}/replay", _replay, ReplayAsk),
    _write("rotate", "/{name}/rotate", _rotate, RotateAsk),
    _write("retry", "/{name}/retry", _retry, RetryAsk, once=False),
    _write("remove", "/{name}/remove", _remove, Ask),
)
