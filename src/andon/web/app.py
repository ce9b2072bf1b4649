"""The ASGI application."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount, Route

from andon.ports.admin import AdminService
from andon.ports.line import LineService
from andon.web import admin, api, page
from andon.web.answers import endpoint, refused_route
from andon.web.stream import open_stream


def create_app(line: LineService, about: AdminService | None = None) -> Starlette:
    """Build the web application over a line.

    Args:
        line: What answers. ``app.state.closing`` ends the event streams when it is set.
        about: What answers for Andon itself.
    """
    events = Route("/events", endpoint(line, open_stream), methods=["GET"])
    own = admin.routes(line, about) if about else []
    app = Starlette(
        routes=[Mount("/api/v1", routes=[events, *own, *api.routes(line)]), *page.routes()],
        exception_handlers={HTTPException: refused_route},
    )
    app.state.closing = asyncio.Event()
    return app
