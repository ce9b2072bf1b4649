"""How the web layer answers: JSON for values, ``application/problem+json`` for errors.

This is the one place of the web layer where errors are caught.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from andon.kernel.errors import AndonError, InternalError, NotFound, UsageError
from andon.ports.line import LineService

Handler = Callable[[LineService, Request], Awaitable[Any]]
Endpoint = Callable[[Request], Awaitable[Response]]
Body = TypeVar("Body", bound=msgspec.Struct)

LARGEST_BODY_BYTES = 1 << 20
_log = logging.getLogger("andon.web")


def answer(value: Any, status: int = 200) -> Response:
    """Write a value as JSON."""
    body = msgspec.json.encode(value)
    return Response(body, status, {"Cache-Control": "no-store"}, media_type="application/json")


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
    return Response(msgspec.json.encode(body), status, media_type="application/problem+json")


def endpoint(line: LineService, handler: Handler, status: int = 200) -> Endpoint:
    """Make an endpoint of a handler: its value becomes the answer, its error a problem."""

    async def respond(request: Request) -> Response:
        try:
            value = await handler(line, request)
        except AndonError as error:
            return problem(error)
        except Exception as error:
            _log.exception("%s %s failed", request.method, request.scope["path"])
            return problem(InternalError(f"{request.scope['path']} failed: {error!r}"))
        return value if isinstance(value, Response) else answer(value, status)

    return respond


async def refused_route(request: Request, error: Exception) -> Response:
    """Answer for addresses and methods that do not exist."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    path = request.scope["path"]
    if status == 404:
        return problem(NotFound(f"there is nothing at {path}", hint="see /api/v1/health"))
    if status == 405:
        return problem(UsageError(f"{path} does not take {request.method}"), status)
    return problem(InternalError(f"{path} failed: {error}"), status)


async def read_body(request: Request, kind: type[Body]) -> Body:
    """Read a JSON body.

    Raises:
        UsageError: It is too large or does not have the shape of ``kind``.
    """
    data = await read_bytes(request)
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"the request to {request.scope['path']} cannot be read: {error}"
        ) from None


async def read_bytes(request: Request) -> bytes:
    """Read a body.

    Raises:
        UsageError: It is too large.
    """
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > LARGEST_BODY_BYTES:
            raise UsageError(f"the request is larger than {LARGEST_BODY_BYTES} bytes")
    return bytes(data)


def number(request: Request, name: str, default: int, *, least: int = 0, most: int) -> int:
    """Read a whole number from the query.

    Raises:
        UsageError: It is no number, or out of range.
    """
    text = request.query_params.get(name, str(default))
    try:
        value = int(text)
    except ValueError:
        raise UsageError(f"{name} must be a whole number, not {text!r}") from None
    if not least <= value <= most:
        raise UsageError(f"{name} must be between {least} and {most}, not {value}")
    return value


def required(request: Request, name: str) -> str:
    """Read a query parameter that must be there.

    Raises:
        UsageError: It is not.
    """
    value = request.query_params.get(name, "")
    if not value:
        raise UsageError(f"{request.scope['path']} needs the parameter {name}")
    return value
