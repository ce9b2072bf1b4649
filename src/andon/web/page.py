"""The page at ``/``: a shell and its static parts, served from the package."""

from __future__ import annotations

from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "andon.css": "text/css; charset=utf-8",
    "door.js": "text/javascript; charset=utf-8",
    "andon.js": "text/javascript; charset=utf-8",
    "run.js": "text/javascript; charset=utf-8",
    "log.js": "text/javascript; charset=utf-8",
    "run.css": "text/css; charset=utf-8",
    "alerts.js": "text/javascript; charset=utf-8",
    "alerts.css": "text/css; charset=utf-8",
    "slo.js": "text/javascript; charset=utf-8",
    "slo.css": "text/css; charset=utf-8",
    "logs.js": "text/javascript; charset=utf-8",
    "logs.css": "text/css; charset=utf-8",
    "traces.js": "text/javascript; charset=utf-8",
    "traces.css": "text/css; charset=utf-8",
    "dashboards.js": "text/javascript; charset=utf-8",
    "dashboards.css": "text/css; charset=utf-8",
    "judged.js": "text/javascript; charset=utf-8",
    "judged.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


async def _static(request: Request) -> Response:
    name = request.path_params.get("name", "index.html")
    if name not in _TYPES:
        raise HTTPException(404)
    content = files("andon.web").joinpath("static", name).read_bytes()
    return Response(content, headers=_HEADERS | {"Content-Type": _TYPES[name]})


def routes() -> list[Route]:
    """Return the routes of the page."""
    return [Route("/", _static), Route("/static/{name}", _static)]
