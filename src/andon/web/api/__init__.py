"""Every operation, a module a noun."""

from __future__ import annotations

from functools import cache

from starlette.responses import Response

from andon.web.api import (
    admin,
    alerts,
    builds,
    checks,
    cord,
    hooks,
    intake,
    judging,
    ledger,
    objectives,
    otlp,
    people,
    prometheus,
    queue,
    reading,
    runs,
    secrets,
    session,
    subscriptions,
    suites,
    telelogs,
    traces,
    watches,
    workers,
)
from andon.web.openapi import document
from andon.web.operations import Call, Operation, encode, everybody


async def _openapi(call: Call) -> Response:
    """Describe every operation, as an OpenAPI 3.1 document."""
    return Response(_written(), media_type="application/json")


@cache
def _written() -> bytes:
    return encode(document(OPERATIONS))


OPERATIONS: tuple[Operation, ...] = (
    *reading.OPERATIONS,
    *runs.OPERATIONS,
    *judging.OPERATIONS,
    *builds.OPERATIONS,
    *checks.OPERATIONS,
    *alerts.OPERATIONS,
    *objectives.OPERATIONS,
    *telelogs.OPERATIONS,
    *traces.OPERATIONS,
    *otlp.OPERATIONS,
    *prometheus.OPERATIONS,
    *cord.OPERATIONS,
    *ledger.OPERATIONS,
    *watches.OPERATIONS,
    *queue.OPERATIONS,
    *suites.OPERATIONS,
    *workers.OPERATIONS,
    *subscriptions.OPERATIONS,
    *intake.OPERATIONS,
    *hooks.OPERATIONS,
    *secrets.OPERATIONS,
    *session.OPERATIONS,
    *people.OPERATIONS,
    *admin.OPERATIONS,
    Operation(
        name="openapi",
        method="GET",
        path="/openapi.json",
        rule=everybody(),
        handler=_openapi,
    ),
)
