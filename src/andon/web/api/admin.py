"""Andon itself: pausing, moving, backing up."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from andon.api.v1.answers import AdminState, Errand, Resumed
from andon.web.operations import Ask, Call, Handler, Operation, everywhere


class PauseAsk(Ask, frozen=True, kw_only=True):
    """Have no work begun."""

    reason: Annotated[str, Meta(description="Why, for the people who will ask.")]


class ResumeAsk(Ask, frozen=True, kw_only=True):
    """Go on."""

    choice: Annotated[
        str,
        Meta(
            description="Where a restored copy and the world differ: `keep-world` or `enforce-copy`."
        ),
    ] = ""
    check: Annotated[bool, Meta(description="Only compare.")] = False


class MigrateAsk(Ask, frozen=True, kw_only=True):
    """Move to Postgres."""

    to: Annotated[str, Meta(description="`postgresql://...` of an empty database.")]
    wait_seconds: Annotated[
        float, Meta(description="How long what is under way may take to end.", ge=0, le=86400)
    ] = 30


class BackupAsk(Ask, frozen=True, kw_only=True):
    """Write a backup."""

    path: Annotated[str, Meta(description="Absolute, on the host of the control plane.")]
    artifacts: Annotated[bool, Meta(description="With the artifacts.")] = True


async def _state(call: Call) -> Any:
    """Say on which database it is, and why nothing is claimed."""
    return await call.admin.state()


async def _errand(call: Call) -> Any:
    """Say how the last errand stands."""
    return call.admin.errand()


async def _pause(call: Call) -> Any:
    """Have no work begun."""
    return await call.admin.pause(reason=call.body.reason, by=call.asked.by)


async def _resume(call: Call) -> Any:
    """Go on, having compared a restored copy with the world."""
    ask: ResumeAsk = call.body
    return await call.admin.resume(choice=ask.choice, check=ask.check, by=call.asked.by)


async def _migrate(call: Call) -> Any:
    """Begin to move to Postgres."""
    ask: MigrateAsk = call.body
    return call.admin.migrate(to=ask.to, by=call.asked.by, wait_seconds=ask.wait_seconds)


async def _backup(call: Call) -> Any:
    """Begin to write a backup on the control plane's own host."""
    return call.admin.back_up(path=call.body.path, artifacts=call.body.artifacts)


def _write(name: str, handler: Handler, body: type[Struct], answer: Any) -> Operation:
    return Operation(
        name=f"admin_{name}",
        method="POST",
        path=f"/admin/{name}",
        rule=everywhere("administer"),
        handler=handler,
        body=body,
        answer=answer,
        status=201,
    )


OPERATIONS = (
    Operation(
        name="admin_state",
        method="GET",
        path="/admin",
        rule=everywhere("view"),
        handler=_state,
        answer=AdminState,
    ),
    Operation(
        name="admin_errand",
        method="GET",
        path="/admin/errand",
        rule=everywhere("administer"),
        handler=_errand,
        answer=Errand,
    ),
    _write("pause", _pause, PauseAsk, AdminState),
    _write("resume", _resume, ResumeAsk, Resumed),
    _write("migrate", _migrate, MigrateAsk, Errand),
    _write("backup", _backup, BackupAsk, Errand),
)
