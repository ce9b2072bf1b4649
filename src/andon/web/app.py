"""The ASGI application."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Mount, Route

from andon.ports.offices import Offices
from andon.web import badges, beacon, oidc, page
from andon.web.answers import endpoint, refused_route
from andon.web.api import OPERATIONS
from andon.web.bodies import LargeBodies
from andon.web.headers import SecurityHeaders
from andon.web.moments import Moments

API = "/api/v1"


def create_app(offices: Offices) -> Starlette:
    """Build the web application.

    Args:
        offices: Who answers. ``app.state.closing`` ends the event streams when it is set.
    """
    moments = Moments(offices.line)
    routes = [
        Route(one.path, endpoint(one, offices, moments), methods=[one.method]) for one in OPERATIONS
    ]
    app = Starlette(
        routes=[
            Mount(API, routes=routes),
            *oidc.routes(offices),
            *badges.routes(offices),
            *beacon.routes(offices),
            *page.routes(),
        ],
        middleware=[Middleware(SecurityHeaders)],
        exception_handlers={HTTPException: refused_route},
    )
    app.state.closing = asyncio.Event()
    app.state.large = LargeBodies()
    return app
