"""REST under ``/api/v1``: one small handler a question."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from andon.ports.line import LineService
from andon.web import intake, ledger, queue, subscriptions
from andon.web.answers import Handler, endpoint, number, read_body, required

_RUN_FILTERS = ("type", "phase", "change", "service", "environment")
_MOST = 1000
_LARGEST_SEQUENCE = 2**62


class Ask(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what is sent to the line; ``by`` says who asks."""

    by: str = ""


class ShipAsk(Ask, kw_only=True, frozen=True):
    """Take a commit onto the line."""

    repository: str
    ref: str = "HEAD"
    until: str = ""


class HoldAsk(Ask, kw_only=True, frozen=True):
    """Pull the cord."""

    scope: dict[str, str]
    reason: str
    expires_seconds: float = 0


class LiftAsk(Ask, kw_only=True, frozen=True):
    """Lift a Hold."""

    reason: str


class UnlatchAsk(Ask, kw_only=True, frozen=True):
    """Let what failed be tried again."""

    environment: str
    subject: str
    reason: str


class RollbackAsk(Ask, kw_only=True, frozen=True):
    """Go back to the previous version."""

    environment: str
    service: str
    reason: str


class CancelAsk(Ask, kw_only=True, frozen=True):
    """Have a Run end."""

    reason: str


class ApproveAsk(Ask, kw_only=True, frozen=True):
    """Consent to a Change in an environment."""

    change: str
    environment: str
    reason: str


class WatchAsk(Ask, kw_only=True, frozen=True):
    """Ship every new commit of a branch."""

    repository: str
    branch: str = "main"
    interval_seconds: float = 5


async def _health(line: LineService, _: Request) -> Any:
    return await line.health()


async def _metrics(line: LineService, _: Request) -> Response:
    return PlainTextResponse(await line.metrics(), media_type="text/plain; version=0.0.4")


async def _status(line: LineService, request: Request) -> Any:
    return await line.status(environment=request.query_params.get("environment", ""))


async def _why(line: LineService, request: Request) -> Any:
    return await line.why(
        required(request, "subject"), environment=request.query_params.get("environment", "")
    )


async def _diff(line: LineService, request: Request) -> Any:
    return await line.diff(
        repository=required(request, "repository"),
        ref=request.query_params.get("ref", "HEAD"),
        environment=required(request, "environment"),
    )


async def _ship(line: LineService, request: Request) -> Any:
    ask = await read_body(request, ShipAsk)
    return await line.ship(repository=ask.repository, ref=ask.ref, until=ask.until, by=ask.by)


async def _hold(line: LineService, request: Request) -> Any:
    ask = await read_body(request, HoldAsk)
    return await line.hold(
        scope=ask.scope, reason=ask.reason, by=ask.by, expires_seconds=ask.expires_seconds
    )


async def _lift(line: LineService, request: Request) -> Any:
    ask = await read_body(request, LiftAsk)
    return await line.lift(request.path_params["name"], by=ask.by, reason=ask.reason)


async def _unlatch(line: LineService, request: Request) -> Any:
    ask = await read_body(request, UnlatchAsk)
    return await line.unlatch(
        environment=ask.environment, subject=ask.subject, by=ask.by, reason=ask.reason
    )


async def _rollback(line: LineService, request: Request) -> Any:
    ask = await read_body(request, RollbackAsk)
    return await line.rollback(
        environment=ask.environment, service=ask.service, by=ask.by, reason=ask.reason
    )


async def _cancel(line: LineService, request: Request) -> Any:
    ask = await read_body(request, CancelAsk)
    return await line.cancel(request.path_params["name"], by=ask.by, reason=ask.reason)


async def _approve(line: LineService, request: Request) -> Any:
    ask = await read_body(request, ApproveAsk)
    return await line.approve(ask.change, environment=ask.environment, by=ask.by, reason=ask.reason)


async def _runs(line: LineService, request: Request) -> Any:
    query = request.query_params
    return await line.runs(
        filters={name: query[name] for name in _RUN_FILTERS if query.get(name)},
        limit=number(request, "limit", 50, least=1, most=_MOST),
        after=query.get("after", ""),
    )


async def _run(line: LineService, request: Request) -> Any:
    return await line.run(request.path_params["name"])


async def _run_log(line: LineService, request: Request) -> Any:
    return await line.log(
        request.path_params["name"],
        step=request.query_params.get("step", ""),
        offset=number(request, "offset", 0, most=_LARGEST_SEQUENCE),
        max_bytes=number(request, "max_bytes", 65536, least=1, most=1 << 20),
    )


async def _changes(line: LineService, request: Request) -> Any:
    return await line.changes(limit=number(request, "limit", 50, least=1, most=_MOST))


async def _change(line: LineService, request: Request) -> Any:
    return await line.change(request.path_params["name"])


async def _schedules(line: LineService, _: Request) -> Any:
    return await line.schedules()


async def _incidents(line: LineService, _: Request) -> Any:
    return await line.incidents()


async def _ledger(line: LineService, request: Request) -> Any:
    query = request.query_params
    return await line.ledger(
        after=number(request, "after", 0, most=_LARGEST_SEQUENCE),
        stream=query.get("stream", ""),
        chain=query.get("chain", ""),
        subject=query.get("subject", ""),
        type=query.get("type", ""),
        limit=number(request, "limit", 100, least=1, most=_MOST),
    )


async def _ledger_event(line: LineService, request: Request) -> Any:
    return await line.ledger_event(request.path_params["id"])


async def _watches(line: LineService, _: Request) -> Any:
    return await line.watches()


async def _watch(line: LineService, request: Request) -> Any:
    ask = await read_body(request, WatchAsk)
    return await line.watch(
        repository=ask.repository, branch=ask.branch, interval_seconds=ask.interval_seconds
    )


async def _unwatch(line: LineService, request: Request) -> Any:
    return await line.unwatch(
        repository=required(request, "repository"), branch=required(request, "branch")
    )


async def _objects(line: LineService, request: Request) -> Any:
    return await line.objects(request.path_params["kind"], labels=dict(request.query_params))


async def _object(line: LineService, request: Request) -> Any:
    return await line.object(request.path_params["kind"], request.path_params["name"])


_READS: dict[str, Handler] = {
    "/health": _health,
    "/metrics": _metrics,
    "/status": _status,
    "/why": _why,
    "/diff": _diff,
    "/runs": _runs,
    "/runs/{name}": _run,
    "/runs/{name}/log": _run_log,
    "/changes": _changes,
    "/changes/{name}": _change,
    "/schedules": _schedules,
    "/incidents": _incidents,
    "/ledger": _ledger,
    **ledger.READS,
    "/ledger/{id:path}": _ledger_event,
    "/watches": _watches,
    **queue.READS,
    **subscriptions.READS,
    "/objects/{kind}": _objects,
    "/objects/{kind}/{name}": _object,
}
_WRITES: dict[str, Handler] = {
    **ledger.WRITES,
    "/ship": _ship,
    "/holds": _hold,
    "/holds/{name}/lift": _lift,
    "/unlatch": _unlatch,
    "/rollback": _rollback,
    "/runs/{name}/cancel": _cancel,
    "/approvals": _approve,
    "/watches": _watch,
    **queue.WRITES,
    **subscriptions.WRITES,
    **intake.WRITES,
}


def routes(line: LineService) -> list[Route]:
    """Return the routes of the JSON API."""
    reads = [
        Route(path, endpoint(line, handler), methods=["GET"]) for path, handler in _READS.items()
    ]
    writes = [
        Route(path, endpoint(line, handler, 201), methods=["POST"])
        for path, handler in _WRITES.items()
    ]
    return [*reads, *writes, Route("/watches", endpoint(line, _unwatch), methods=["DELETE"])]
