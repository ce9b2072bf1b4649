"""REST under ``/api/v1/subscriptions``."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct
from starlette.requests import Request

from andon.ports.line import LineService
from andon.web.answers import Handler, read_body


class Ask(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked about a subscription; every field has its place in one question only."""

    by: str = ""


class AddAsk(Ask, kw_only=True, frozen=True):
    """Tell somebody outside what happens."""

    name: str
    url: str
    types: list[str] = []
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


def _name(request: Request) -> str:
    return str(request.path_params["name"])


async def _list(line: LineService, _: Request) -> Any:
    return await line.subscriptions.list()


async def _show(line: LineService, request: Request) -> Any:
    return await line.subscriptions.show(_name(request))


async def _add(line: LineService, request: Request) -> Any:
    ask = await read_body(request, AddAsk)
    return await line.subscriptions.add(
        ask.name,
        url=ask.url,
        types=ask.types,
        stream=ask.stream,
        start=ask.start,
        mode=ask.mode,
        secret=ask.secret,
        by=ask.by,
    )


async def _pause(line: LineService, request: Request) -> Any:
    ask = await read_body(request, PauseAsk)
    return await line.subscriptions.pause(_name(request), by=ask.by, reason=ask.reason)


async def _resume(line: LineService, request: Request) -> Any:
    ask = await read_body(request, Ask)
    return await line.subscriptions.resume(_name(request), by=ask.by)


async def _replay(line: LineService, request: Request) -> Any:
    ask = await read_body(request, ReplayAsk)
    return await line.subscriptions.replay(_name(request), start=ask.start, by=ask.by)


async def _rotate(line: LineService, request: Request) -> Any:
    ask = await read_body(request, RotateAsk)
    return await line.subscriptions.rotate(
        _name(request), by=ask.by, secret=ask.secret, drop_old=ask.drop_old
    )


async def _retry(line: LineService, request: Request) -> Any:
    ask = await read_body(request, RetryAsk)
    return await line.subscriptions.retry(_name(request), event=ask.event)


async def _remove(line: LineService, request: Request) -> Any:
    ask = await read_body(request, Ask)
    return await line.subscriptions.remove(_name(request), by=ask.by)


READS: dict[str, Handler] = {
    "/subscriptions": _list,
    "/subscriptions/{name}": _show,
}
WRITES: dict[str, Handler] = {
    "/subscriptions": _add,
    "/subscriptions/{name}/pause": _pause,
    "/subscriptions/{name}/resume": _resume,
    "/subscriptions/{name}/replay": _replay,
    "/subscriptions/{name}/rotate": _rotate,
    "/subscriptions/{name}/retry": _retry,
    "/subscriptions/{name}/remove": _remove,
}
