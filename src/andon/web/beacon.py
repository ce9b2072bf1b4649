"""``/beacon.js`` and ``/beacon``: what browsers of real users tell of a page, if its site is named.

No cookie is set or read, no address is kept, and nobody is known: what comes from an origin that is not named
is refused, and what asks not to be counted is not.

Source: Fetch standard (CORS); Global Privacy Control (``Sec-GPC``).
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from andon.kernel.errors import AndonError, Denied, NotFound, UsageError
from andon.ports.beacon import BeaconService
from andon.ports.offices import Offices
from andon.web.answers import problem

MOST_BYTES = 8192
_SCRIPT_HEADERS = {
    # Pages of others load it, and need nothing of it.
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "public, max-age=3600",
}


def routes(offices: Offices) -> list[Route]:
    """Return the routes; without a site that may tell there is nothing behind them."""

    async def script(request: Request) -> Response:
        try:
            ratio = _there(offices, request).sample_ratio
        except AndonError as error:
            return problem(error)
        return Response(_script(ratio), headers=_SCRIPT_HEADERS, media_type="text/javascript")

    async def take(request: Request) -> Response:
        try:
            beacon = _there(offices, request)
            origin = _origin(beacon, request)
        except AndonError as error:
            return problem(error)
        try:
            if request.method == "POST":
                await _take(beacon, origin, request)
            said = Response(status_code=204)
        except AndonError as error:
            said = problem(error)
        said.headers.update(_cors(origin))
        return said

    return [
        Route("/beacon.js", script, methods=["GET"]),
        Route("/beacon", take, methods=["POST", "OPTIONS"]),
    ]


def _there(offices: Offices, request: Request) -> BeaconService:
    if offices.beacon is None:
        raise NotFound(
            f"there is nothing at {request.scope['path']}",
            hint="telemetry.beacon.origins names the sites whose pages may tell",
        )
    return offices.beacon


def _origin(beacon: BeaconService, request: Request) -> str:
    origin = request.headers.get("origin", "")
    if not beacon.hears(origin):
        raise Denied(
            f"pages of {origin[:200] or 'nobody'} may not tell here",
            hint="telemetry.beacon.origins names those that may",
        )
    return origin


async def _take(beacon: BeaconService, origin: str, request: Request) -> None:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise UsageError(f"a page may tell no more than {MOST_BYTES} bytes")
    if request.headers.get("sec-gpc") == "1" or request.headers.get("dnt") == "1":
        return
    address = request.client.host if request.client else ""
    await beacon.take(origin, bytes(body), address)


def _cors(origin: str) -> dict[str, str]:
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "content-type",
        "Access-Control-Max-Age": "86400",
        "Vary": "Origin",
    }


@cache
def _script(ratio: float) -> bytes:
    text = files("andon.web").joinpath("beacon.js").read_text()
    return text.replace("RATIO", f"{ratio:g}", 1).encode()
