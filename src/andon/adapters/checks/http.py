"""Asks over HTTP: one request, or several that belong together."""

from __future__ import annotations

import http.client
import http.cookies
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import SplitResult

from msgspec import Struct

from andon.adapters.checks.place import Answered, Place
from andon.adapters.outbound import LOCAL, Guard, GuardedConnection, web_address
from andon.api.v1.checks import CheckSpec, Expected, HttpRequest, Step
from andon.kernel.errors import NotFound, Unavailable, UsageError

MOST_BYTES = 1 << 20
"""Of a body: what comes after is not looked at."""
AGENT = "andon-check/1"
_CAPTURED = re.compile(r"\{\{ ?([A-Za-z_][A-Za-z0-9_]*) ?\}\}")


class Reply(Struct, frozen=True):
    """What was answered."""

    status: int
    headers: dict[str, str]
    body: str
    seconds: float


def ask_http(check: CheckSpec, place: Place) -> Answered:
    """Send the request, or all of the steps until one is answered wrongly."""
    deadline = time.monotonic() + check.timeout_seconds
    if check.http is not None:
        phases: dict[str, float] = {}
        reply = _send(check.http, check, place, deadline, {}, {}, phases)
        return Answered(message=_wrong(reply, check.http.expect), phases=phases)
    return _walk(check, place, deadline)


def _walk(check: CheckSpec, place: Place, deadline: float) -> Answered:
    known: dict[str, str] = {}
    cookies: dict[str, str] = {}
    phases: dict[str, float] = {}
    for step in check.steps:
        began = time.monotonic()
        try:
            reply = _send(step, check, place, deadline, known, cookies, {})
        except (Unavailable, UsageError, NotFound) as error:
            return Answered(message=f"{step.name}: {error}", phases=phases)
        phases[step.name] = time.monotonic() - began
        wrong = _wrong(reply, step.expect) or _capture(step, reply, known)
        if wrong:
            return Answered(message=f"{step.name}: {wrong}", phases=phases)
    return Answered(phases=phases)


# --- sending --------------------------------------------------------------------------------------


def _send(
    request: HttpRequest,
    check: CheckSpec,
    place: Place,
    deadline: float,
    known: Mapping[str, str],
    cookies: dict[str, str],
    phases: dict[str, float],
) -> Reply:
    url, guard = _address(_filled(request.url, known), check, place)
    left = deadline - time.monotonic()
    if left <= 0:
        raise Unavailable("no time is left for it")
    headers = {"User-Agent": AGENT, "Connection": "close"}
    headers |= {name: _filled(value, known) for name, value in request.headers.items()}
    if cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    if any("\r" in value or "\n" in value for value in headers.values()):
        raise UsageError("a header cannot have several lines")
    body = _filled(request.body, known).encode() or None
    connection = GuardedConnection(url, guard, left)
    timer = threading.Timer(left, connection.abort)
    timer.daemon = True
    timer.start()
    try:
        reply = _exchange(connection, request.method, url, body, headers, phases)
    except (OSError, http.client.HTTPException) as error:
        late = isinstance(error, TimeoutError) or time.monotonic() >= deadline
        raise Unavailable("timed out" if late else f"no answer: {_reason(error)}") from error
    finally:
        timer.cancel()
        connection.close()
    _keep_cookies(reply, cookies)
    return reply


def _address(text: str, check: CheckSpec, place: Place) -> tuple[SplitResult, Guard]:
    """Return where to ask; this machine's own gateway may be asked whatever the guard says."""
    if not text.startswith("/"):
        return web_address(text, "a Check asks http(s)://host[:port]/path, or a path"), place.guard
    base = place.address_of(check.environment or "", check.service or "")
    return web_address(base.rstrip("/") + text), LOCAL


def _exchange(
    connection: GuardedConnection,
    method: str,
    url: SplitResult,
    body: bytes | None,
    headers: dict[str, str],
    phases: dict[str, float],
) -> Reply:
    began = time.monotonic()
    connection.connect()
    phases["connect"] = time.monotonic() - began
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    connection.request(method, path, body, headers)
    with connection.getresponse() as response:
        phases["first"] = time.monotonic() - began
        text = response.read(MOST_BYTES).decode(errors="replace")
        connection.check_time()
        phases["whole"] = time.monotonic() - began
        told: dict[str, str] = {}
        for name, value in response.getheaders():
            key = name.lower()
            told[key] = f"{told[key]}\n{value}" if key in told else value
        return Reply(response.status, told, text, phases["whole"])


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]


def _keep_cookies(reply: Reply, cookies: dict[str, str]) -> None:
    for line in reply.headers.get("set-cookie", "").split("\n"):
        try:
            found = http.cookies.SimpleCookie(line)
        except http.cookies.CookieError:
            continue
        for name, morsel in found.items():
            cookies[name] = morsel.value
            if morsel["max-age"] == "0":
                del cookies[name]


# --- looking at the answer ------------------------------------------------------------------------


def _filled(text: str, known: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in known:
            raise UsageError(f"no step before captured {match[1]}")
        return known[match[1]]

    return _CAPTURED.sub(value, text)


def _wrong(reply: Reply, expected: Expected) -> str:
    """Say all that is not as expected; empty: it is."""
    return "; ".join(_differences(reply, expected))


def _differences(reply: Reply, expected: Expected) -> Iterator[str]:
    if not any(_is_status(reply.status, one) for one in expected.status):
        where = reply.headers.get("location", "")
        to = f" to {where[:200]}" if where else ""
        yield f"HTTP {reply.status}{to}, expected {' or '.join(expected.status)}"
    for text in expected.contains:
        if text not in reply.body:
            yield f"the body does not contain {text[:80]!r}"
    for text in expected.lacks:
        if text in reply.body:
            yield f"the body contains {text[:80]!r}"
    for name, text in expected.headers.items():
        if text not in reply.headers.get(name.lower(), ""):
            yield f"{name} is {reply.headers.get(name.lower(), '')[:80]!r}, expected {text[:80]!r}"
    yield from _json_differences(reply, expected)
    if expected.within_seconds is not None and reply.seconds > expected.within_seconds:
        yield f"took {reply.seconds:.3f} s, expected at most {expected.within_seconds:g} s"


def _is_status(status: int, wanted: str) -> bool:
    return wanted == str(status) or wanted == f"{status // 100}xx"


def _json_differences(reply: Reply, expected: Expected) -> Iterator[str]:
    for path, wanted in expected.json.items():
        try:
            found = at_path(reply.body, path)
        except LookupError as error:
            yield str(error.args[0])
            continue
        if found != wanted:
            yield f"{path} is {json.dumps(found)[:80]}, expected {json.dumps(wanted)[:80]}"


def _capture(step: Step, reply: Reply, known: dict[str, str]) -> str:
    for name, path in step.capture.items():
        try:
            found = at_path(reply.body, path)
        except LookupError as error:
            return str(error.args[0])
        known[name] = found if isinstance(found, str) else json.dumps(found)
    return ""


def at_path(text: str, path: str) -> Any:
    """Return what a JSON text has at a path such as ``items.0.name``.

    Raises:
        LookupError: It is no JSON, or has nothing there.

    >>> at_path('{"items": [{"name": "tea"}]}', "items.0.name")
    'tea'
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise LookupError("the body is no JSON") from None
    for part in path.split("."):
        try:
            found = found[int(part)] if isinstance(found, list) else found[part]
        except (KeyError, IndexError, ValueError, TypeError):
            raise LookupError(f"the body has nothing at {path}") from None
    return found
