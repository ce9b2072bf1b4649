"""The ASGI application."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Mount, Route

from andon.ports.access import AccessService
from andon.ports.admin import AdminService
from andon.ports.line import LineService
from andon.ports.secrets import SecretService
from andon.web import page
from andon.web.answers import endpoint, refused_route
from andon.web.api import OPERATIONS
from andon.web.headers import SecurityHeaders
from andon.web.operations import Services

API = "/api/v1"


def create_app(
    line: LineService,
    access: AccessService,
    *,
    admin: AdminService | None = None,
    secrets: SecretService | None = None,
) -> Starlette:
    """Build the web application over a line.

    Args:
        line: What answers. ``app.state.closing`` ends the event streams when it is set.
        access: Who may come in.
        admin: What answers for Andon itself.
        secrets: The vault.
    """
    services = Services(line=line, access=access, admin=admin, secrets=secrets)
    routes = [Route(one.path, endpoint(one, services), methods=[one.method]) for one in OPERATIONS]
    app = Starlette(
        routes=[Mount(API, routes=routes), *page.routes()],
        middleware=[Middleware(SecurityHeaders)],
        exception_handlers={HTTPException: refused_route},
    )
    app.state.closing = asyncio.Event()
    return app
