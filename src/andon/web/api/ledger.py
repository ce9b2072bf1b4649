"""The ledger: reading, proving, erasing, archiving, taking out and in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from andon.api.v1.answers import (
    Archival,
    Checkpoint,
    Comparison,
    Erasure,
    Event,
    EventInFull,
    Imported,
    Key,
    Verification,
)
from andon.kernel.errors import InvalidDocument, Untrusted
from andon.store.transfer import LONGEST_LINE_BYTES
from andon.web.api.reading import Limit
from andon.web.operations import SOMEWHERE, Ask, Call, Operation, Page, Rule, everywhere, somewhere
from andon.web.visible import environment_of

Sequence = Annotated[int, Meta(ge=0, le=2**62, description="Sequence of the ledger.")]
NDJSON = "application/x-ndjson"
_FILTERS = ("stream", "chain", "subject", "type")


class Filters(Page, kw_only=True, frozen=True):
    """Which events."""

    after: Sequence = 0
    stream: Annotated[str, Meta(description="Only of this stream: `env/prod`, `org`.")] = ""
    chain: Annotated[str, Meta(description="Only of this Change.")] = ""
    subject: Annotated[str, Meta(description="Only about this subject.")] = ""
    type: Annotated[str, Meta(description="Only of types that begin so.")] = ""


class Events(Filters, kw_only=True, frozen=True):
    """A page of events."""

    limit: Limit = 100


class Verify(Page, kw_only=True, frozen=True):
    """How far to look."""

    deep: Annotated[bool, Meta(description="Recompute archived segments, too.")] = False


class EraseAsk(Ask, kw_only=True, frozen=True):
    """Take out an event's body."""

    id: Annotated[str, Meta(description="Of the event.")]
    reason: Annotated[str, Meta(description="Why it must go; stays in the ledger.")]


class CompareAsk(Ask, kw_only=True, frozen=True):
    """Is this a beginning of the ledger?"""

    heads: Annotated[
        dict[str, tuple[Annotated[int, Meta(ge=0, le=2**62)], str]],
        Meta(description="Number and hash of the last event, by stream."),
    ]


class ArchiveAsk(Ask, kw_only=True, frozen=True):
    """Move what is older than a moment into the blob store."""

    before: Annotated[float, Meta(description="Seconds since the Unix epoch.")]


async def _list(call: Call) -> Any:
    """List events in order of their sequence."""
    query = call.query
    return await call.line.ledger(
        after=query.after,
        stream=query.stream,
        chain=query.chain,
        subject=query.subject,
        type=query.type,
        limit=query.limit,
    )


async def _event(call: Call) -> Any:
    """Return an event with its body, what led to it and what it led to."""
    return await call.line.ledger_event(call.path("id"))


async def _happened_where(call: Call) -> str:
    """Return the environment of the event: its body is for those who may see that one."""
    found = await call.line.ledger_event(call.path("id"))
    return environment_of({**found["event"]}) or SOMEWHERE


async def _verify(call: Call) -> Any:
    """Recompute every chain and check every checkpoint."""
    return await call.line.book.verify(deep=call.query.deep)


async def _key(call: Call) -> Any:
    """Return the public key that checkpoints are signed with."""
    return call.line.book.key()


async def _checkpoint(call: Call) -> Any:
    """Sign the ends of all chains now."""
    return await call.line.book.checkpoint()


async def _erase(call: Call) -> Any:
    """Take out an event's body, provably and visibly."""
    return await call.line.book.erase(call.body.id, by=call.asked.by, reason=call.body.reason)


async def _archive(call: Call) -> Any:
    """Move events older than a moment into the blob store."""
    return await call.line.book.archive(before=call.body.before, by=call.asked.by)


async def _compare(call: Call) -> Any:
    """Say whether streams ended like this once."""
    return await call.line.book.compare(call.body.heads)


async def _export(call: Call) -> Response:
    """Return events as lines of CloudEvents, and a summary in the end."""
    filters = {name: getattr(call.query, name) for name in _FILTERS}
    return StreamingResponse(
        call.line.book.export(after=call.query.after, filters=filters), media_type=NDJSON
    )


async def _import(call: Call) -> Any:
    """Restore exported events behind those that are there."""
    return await call.line.book.take_in(_lines(call.request))


async def _lines(request: Request) -> AsyncIterator[bytes]:
    rest, number = b"", 0
    async for chunk in request.stream():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            number += 1
            yield line
        if len(rest) > LONGEST_LINE_BYTES:
            raise InvalidDocument(f"line {number + 1}: longer than {LONGEST_LINE_BYTES} bytes")
    if rest:
        yield rest


OPERATIONS = (
    Operation(
        name="ledger_list",
        method="GET",
        path="/ledger",
        rule=somewhere("view"),
        handler=_list,
        answer=list[Event],
        query=Events,
        cursor="seq",
    ),
    Operation(
        name="ledger_verify",
        method="GET",
        path="/ledger/verify",
        rule=everywhere("view"),
        handler=_verify,
        answer=Verification,
        query=Verify,
    ),
    Operation(
        name="ledger_key",
        method="GET",
        path="/ledger/key",
        rule=somewhere("view"),
        handler=_key,
        answer=Key,
    ),
    Operation(
        name="ledger_export",
        method="GET",
        path="/ledger/export",
        rule=everywhere("view"),
        handler=_export,
        query=Filters,
        answer=str,
        media=NDJSON,
    ),
    Operation(
        name="ledger_show",
        method="GET",
        path="/ledger/{id:path}",
        rule=Rule(
            verb="view",
            where=_happened_where,
            place="in the environment of the event; anywhere if it is of none",
        ),
        handler=_event,
        answer=EventInFull,
    ),
    Operation(
        name="ledger_checkpoint",
        method="POST",
        path="/ledger/checkpoint",
        rule=everywhere("operate"),
        handler=_checkpoint,
        answer=Checkpoint,
        status=201,
    ),
    Operation(
        name="ledger_erase",
        method="POST",
        path="/ledger/erase",
        rule=everywhere("administer"),
        handler=_erase,
        answer=Erasure,
        body=EraseAsk,
        status=201,
    ),
    Operation(
        name="ledger_archive",
        method="POST",
        path="/ledger/archive",
        rule=everywhere("administer"),
        handler=_archive,
        answer=Archival,
        body=ArchiveAsk,
        status=201,
    ),
    Operation(
        name="ledger_import",
        method="POST",
        path="/ledger/import",
        rule=everywhere("administer"),
        handler=_import,
        refuses=(InvalidDocument, Untrusted),
        answer=Imported,
        takes=(NDJSON,),
        status=201,
    ),
    Operation(
        name="ledger_compare",
        method="POST",
        path="/ledger/compare",
        rule=everywhere("view"),
        handler=_compare,
        answer=Comparison,
        body=CompareAsk,
        status=201,
    ),
)
