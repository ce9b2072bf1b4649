"""How the web layer answers: JSON for values, ``application/problem+json`` for errors.

This is the one place of the web layer where errors are caught.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from andon.kernel.errors import AndonError, Denied, InternalError, NotFound, TooMany, UsageError
from andon.ports.asking import Asked
from andon.ports.offices import Offices
from andon.web.bodies import decode, read_bytes, read_form, read_query
from andon.web.doorkeeper import admit, identify
from andon.web.moments import Kept, Moments
from andon.web.operations import PRIVILEGED, Call, Operation
from andon.web.visible import visible

Endpoint = Callable[[Request], Awaitable[Response]]
LONGEST_KEY = 200
JSON = "application/json"
_log = logging.getLogger("andon.web")


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Write a value as JSON."""
    return Response(
        msgspec.json.encode(value), status, headers or {}, media_type="application/json"
    )


def problem(error: AndonError, status: int = 0) -> Response:
    """Write an error as a problem document.

    Args:
        error: What went wrong; its code and hint become members of their own.
        status: HTTP status, if not the error's own.

    Source: RFC 9457.
    """
    status = status or error.http_status
    body = {
        "type": f"urn:andon:error:{error.code}",
        "title": error.code,
        "status": status,
        "detail": error.message,
        "code": error.code,
        "hint": error.hint,
        "retry": error.retry,
    }
    headers: dict[str, str] = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="andon"'
    if isinstance(error, TooMany):
        headers["Retry-After"] = str(error.again_seconds)
    return Response(
        msgspec.json.encode(body), status, headers, media_type="application/problem+json"
    )


def endpoint(operation: Operation, offices: Offices, moments: Moments) -> Endpoint:
    """Make an endpoint of an operation."""
    refusal = operation.tells or problem

    async def respond(request: Request) -> Response:
        try:
            call = await _call(operation, offices, request)
            await admit(operation, call)
            if _is_the_same_for_others(operation, call):
                return await _shared(operation, call, moments)
            if operation.writes and not operation.once:
                await offices.line.note(call.asked)
            return _respond(operation, call, await _answer(operation, call))
        except AndonError as error:
            return refusal(error)
        except ClientDisconnect:
            return Response(status_code=400)  # Nobody reads it, and it is no fault of ours.
        except Exception as error:
            _log.exception("%s %s failed", request.method, request.scope["path"])
            return refusal(InternalError(f"{request.scope['path']} failed: {error!r}"))

    return respond


def _is_the_same_for_others(operation: Operation, call: Call) -> bool:
    """Say whether everybody who sees everything gets this answer now, and it can be kept."""
    who = call.identity
    reads = operation.method == "GET" and operation.media == JSON
    return reads and operation.rule.verb == "view" and who is not None and who.sees_everything


async def _shared(operation: Operation, call: Call, moments: Moments) -> Response:
    async def make() -> Kept:
        value = await _answer(operation, call)
        return Kept(msgspec.json.encode(value), _headers(operation, call, value))

    # By what was sent, not by its address: that has a name in it which the caller chooses.
    scope = call.request.scope
    kept = await moments.answer(f"{scope['path']}?{scope['query_string']!r}", make)
    return _unless_known(call.request, kept.body, operation.status, kept.headers)


async def _answer(operation: Operation, call: Call) -> Any:
    """Carry it out; what a rule of the line forbids is written down like what a role does not allow."""
    try:
        return await operation.handler(call)
    except Denied:
        if call.identity is not None:
            place = await operation.rule.where(call)
            who = call.identity
            await call.access.denied(who.name, operation.name, place, via=who.via)
        raise


async def _call(operation: Operation, offices: Offices, request: Request) -> Call:
    """Read a request; who asks comes first, so that strangers learn nothing of what is wrong."""
    call = Call(offices=offices, request=request, identity=None)
    call.identity = await identify(
        offices.access, request, operation.name, call.address, basic=operation.basic
    )
    if operation.rule.verb is not None and call.identity is None:
        return call
    if operation.query is not None:
        call.query = read_query(request, operation.query)
    data = b""
    if operation.body is not None:
        data = await read_bytes(request)
        call.body = decode(data, operation.body, request.scope["path"])
    if operation.form is not None:
        call.body = read_form(await read_bytes(request), request, operation.form)
    if operation.writes:
        call.asked = _asked(operation, call, data)
    return call


def _asked(operation: Operation, call: Call, data: bytes) -> Asked:
    headers, who = call.request.headers, call.identity
    key = headers.get("idempotency-key", "") if operation.once else ""
    if len(key) > LONGEST_KEY:
        raise UsageError(f"the Idempotency-Key is longer than {LONGEST_KEY} characters")
    said = f"{key}\n{operation.method} {call.request.scope['path']}\n".encode() + data
    return Asked(
        by=who.name if who else "",
        teams=who.teams if who else (),
        emails=who.emails if who else (),
        operation=operation.name if operation.rule.verb in PRIVILEGED else "",
        via=who.via if who else "",
        key=key,
        fingerprint=hashlib.sha256(said).hexdigest() if key else "",
        expect=_expected(operation, headers.get("if-match", "")),
    )


def _expected(operation: Operation, text: str) -> str:
    if not text or text == "*":
        return ""
    if not operation.revised:
        raise UsageError("this has no revision to expect", hint="leave If-Match out")
    return text.strip().removeprefix("W/").strip('"')


def _respond(operation: Operation, call: Call, value: Any) -> Response:
    if isinstance(value, Response):
        return value
    headers = _headers(operation, call, value)
    who = call.identity
    if who is not None and not who.sees_everything:
        value = visible(value, lambda place: who.may("view", place))
        if value is None:
            raise Denied(f"{who.name} may not view this")
    return _unless_known(call.request, msgspec.json.encode(value), operation.status, headers)


def _headers(operation: Operation, call: Call, value: Any) -> dict[str, str]:
    headers = _next_page(operation, call, value)
    if operation.method == "GET" and isinstance(value, dict) and "revision" in value:
        headers["ETag"] = f'"{value["revision"]}"'
    return headers


def _unless_known(request: Request, body: bytes, status: int, headers: dict[str, str]) -> Response:
    """Answer, or say that the caller has it already."""
    etag = headers.get("ETag", "")
    if etag and request.headers.get("if-none-match", "") == etag:
        return Response(status_code=304, headers=headers)
    return Response(body, status, headers, media_type=JSON)


def _next_page(operation: Operation, call: Call, rows: Any) -> dict[str, str]:
    """Point to the next page, where there may be one.

    Source: RFC 8288 (``Link``).
    """
    if not operation.cursor or len(rows) < call.query.limit:
        return {}
    query = dict(call.request.query_params) | {"after": str(rows[-1][operation.cursor])}
    return {"Link": f'<{call.request.scope["path"]}?{urlencode(query)}>; rel="next"'}


async def refused_route(request: Request, error: Exception) -> Response:
    """Answer for addresses and methods that do not exist."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    path = request.scope["path"]
    if status == 404:
        return problem(NotFound(f"there is nothing at {path}", hint="see /api/v1/openapi.json"))
    if status == 405:
        return problem(UsageError(f"{path} does not take {request.method}"), status)
    return problem(InternalError(f"{path} failed: {error}"), status)
