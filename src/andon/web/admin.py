"""Andon itself over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.routing import Route

from andon.ports.admin import AdminService
from andon.ports.line import LineService
from andon.web.answers import Handler, endpoint, read_body


class PauseAsk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Have no work begun."""

    reason: str
    by: str = ""


class ResumeAsk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Go on."""

    choice: str = ""
    check: bool = False
    by: str = ""


class MigrateAsk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Move to Postgres."""

    to: str
    by: str = ""
    wait_seconds: float = 30


class BackupAsk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Write a backup."""

    path: str
    artifacts: bool = True


Asked = Callable[[AdminService, Request], Awaitable[Any]]


async def _state(admin: AdminService, _: Request) -> Any:
    return await admin.state()


async def _errand(admin: AdminService, _: Request) -> Any:
    return admin.errand()


async def _pause(admin: AdminService, request: Request) -> Any:
    ask = await read_body(request, PauseAsk)
    return await admin.pause(reason=ask.reason, by=ask.by)


async def _resume(admin: AdminService, request: Request) -> Any:
    ask = await read_body(request, ResumeAsk)
    return await admin.resume(choice=ask.choice, check=ask.check, by=ask.by)


async def _migrate(admin: AdminService, request: Request) -> Any:
    ask = await read_body(request, MigrateAsk)
    return admin.migrate(to=ask.to, by=ask.by, wait_seconds=ask.wait_seconds)


async def _backup(admin: AdminService, request: Request) -> Any:
    ask = await read_body(request, BackupAsk)
    return admin.back_up(path=ask.path, artifacts=ask.artifacts)


_READS: dict[str, Asked] = {"/admin": _state, "/admin/errand": _errand}
_WRITES: dict[str, Asked] = {
    "/admin/pause": _pause,
    "/admin/resume": _resume,
    "/admin/migrate": _migrate,
    "/admin/backup": _backup,
}


def routes(line: LineService, admin: AdminService) -> list[Route]:
    """Return the routes about Andon itself."""

    def of(asked: Asked) -> Handler:
        async def handle(_: LineService, request: Request) -> Any:
            return await asked(admin, request)

        return handle

    reads = [
        Route(path, endpoint(line, of(asked)), methods=["GET"]) for path, asked in _READS.items()
    ]
    writes = [
        Route(path, endpoint(line, of(asked), 201), methods=["POST"])
        for path, asked in _WRITES.items()
    ]
    return [*reads, *writes]
