"""The ASGI application."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount, Route

from andon.ports.line import LineService
from andon.web import api, page
from andon.web.answers import endpoint, refused_route
from andon.web.stream import open_stream


def create_app(line: LineService) -> Starlette:
    """Build the web application over a line.

    Args:
        line: What answers. ``app.state.closing`` ends the event streams when it is set.
    """
    events = Route("/events", endpoint(line, open_stream), methods=["GET"])
    app = Starlette(
        routes=[Mount("/api/v1", routes=[events, *api.routes(line)]), *page.routes()],
        exception_handlers={HTTPException: refused_route},
    )
    app.state.closing = asyncio.Event()
    return app
