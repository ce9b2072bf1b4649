"""Workers on other machines: what people see of them, and what they themselves ask."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from msgspec import Meta
from starlette.responses import Response

from andon.api.v1.answers import Beat, Ended, Kit, Offer, RemoteWorker, Written
from andon.api.v1.words import Name
from andon.kernel.errors import Fenced, Untrusted, UsageError
from andon.ports.workers import Hand
from andon.web.bodies import read_bytes
from andon.web.doorkeeper import is_encrypted
from andon.web.openapi import OCTETS
from andon.web.operations import Ask, Call, Operation, Page, encode, everywhere

_Lease = Annotated[int, Meta(ge=0, le=2**31, description="Number of the lease.")]
_Offset = Annotated[int, Meta(ge=0, le=2**50, description="Bytes from the beginning.")]


class TakeAsk(Ask, kw_only=True, frozen=True):
    """Ask for a job."""

    worker: Annotated[Name, Meta(description="Name of the worker.")]
    labels: Annotated[
        tuple[Name, ...], Meta(max_length=64, description="What it has, such as `gpu`.")
    ] = ()
    at_once: Annotated[int, Meta(ge=1, le=256, description="So many jobs at a time.")] = 1
    version: Annotated[str, Meta(max_length=100, description="Its Andon.")] = ""
    holding: Annotated[
        tuple[str, ...], Meta(max_length=1000, description="Jobs that it knows to be its own.")
    ] = ()
    wait_seconds: Annotated[float, Meta(ge=0, le=60, description="Longest wait for a job.")] = 0


class LeaseAsk(Ask, kw_only=True, frozen=True):
    """Speak of a leased job."""

    lease: _Lease


class BeatAsk(Ask, kw_only=True, frozen=True):
    """Keep a lease."""

    lease: _Lease
    wait_seconds: Annotated[
        float, Meta(ge=0, le=60, description="Longest wait for the word that the job is to end.")
    ] = 0


class EndAsk(Ask, kw_only=True, frozen=True):
    """Answer a job."""

    lease: _Lease
    outcome: Annotated[str, Meta(description="A `JobDone` or `ActionFailed` as JSON.")]


class WhichBytes(Page, kw_only=True, frozen=True):
    """A place in a log or blob."""

    lease: _Lease
    offset: _Offset = 0


class WhichLog(WhichBytes, kw_only=True, frozen=True):
    """A place in a log."""

    left_out_bytes: Annotated[
        int,
        Meta(ge=0, le=2**50, description="So many before it are missing, as the log is too long."),
    ] = 0


class WhichBlob(WhichBytes, kw_only=True, frozen=True):
    """A place in a blob of known size."""

    size_bytes: Annotated[int, Meta(ge=0, le=2**50, description="Of the whole blob.")] = 0


async def _list(call: Call) -> Any:
    """List workers on other machines, and what they do."""
    return await call.workers.list()


async def _drain(call: Call) -> Any:
    """Have a worker take nothing new; what it runs goes on."""
    return await call.workers.drain(call.path("name"), asked=call.asked)


async def _resume(call: Call) -> Any:
    """Have a worker take jobs again."""
    return await call.workers.resume(call.path("name"), asked=call.asked)


async def _take(call: Call) -> Any:
    """Wait for a job that a worker can run, and lease it."""
    ask: TakeAsk = call.body
    offer = await call.workers.take(
        call.caller,
        ask.worker,
        labels=ask.labels,
        at_once=ask.at_once,
        version=ask.version,
        holding=ask.holding,
        wait_seconds=ask.wait_seconds,
        gone=_gone(call),
    )
    return _whole(offer)


async def _begin(call: Call) -> Any:
    """Return what a leased job needs, its secrets over TLS or loopback only."""
    return _whole(await call.workers.begin(_hand(call, call.body.lease), private=_private(call)))


async def _piece(call: Call) -> Response:
    """Read a piece of what a leased job needs; a short one is the last."""
    hand = _hand(call, call.query.lease)
    data = await call.workers.piece(hand, call.path("digest"), call.query.offset)
    return Response(data, media_type=OCTETS)


async def _beat(call: Call) -> Any:
    """Keep a lease, and hear whether the job is to end."""
    ask: BeatAsk = call.body
    return await call.workers.beat(
        _hand(call, ask.lease), wait_seconds=ask.wait_seconds, gone=_gone(call)
    )


async def _log(call: Call) -> Any:
    """Add to the log of a leased job; secrets are masked already."""
    data = await read_bytes(call.request)
    query: WhichLog = call.query
    return await call.workers.write_log(
        _hand(call, query.lease), query.offset, data, left_out_bytes=query.left_out_bytes
    )


async def _blob(call: Call) -> Any:
    """Add to a file that a leased job leaves; it counts once all of it has its digest."""
    query: WhichBlob = call.query
    data = await read_bytes(call.request)
    if not data and query.size_bytes:
        raise UsageError("a piece of a blob has at least one byte")
    return await call.workers.write_blob(
        _hand(call, query.lease), call.path("digest"), query.offset, query.size_bytes, data
    )


async def _end(call: Call) -> Any:
    """Answer a leased job, once."""
    ask: EndAsk = call.body
    return await call.workers.end(_hand(call, ask.lease), ask.outcome.encode())


def _hand(call: Call, lease: int) -> Hand:
    return Hand(who=call.caller, job=call.path("name"), lease=lease)


def _whole(value: Any) -> Response:
    """Answer whole: who works may not view, and what is leased to it is its business nonetheless."""
    return Response(encode(value), media_type="application/json")


def _gone(call: Call) -> Callable[[], Awaitable[bool]]:
    """Return what says whether nobody hears the answer, or this server is closing."""

    async def gone() -> bool:
        return call.request.app.state.closing.is_set() or await call.request.is_disconnected()

    return gone


def _private(call: Call) -> bool:
    """Say whether nobody else can hear the answer."""
    if is_encrypted(call.request) or call.request.client is None:
        return True
    try:
        return ipaddress.ip_address(call.address).is_loopback
    except ValueError:
        return False


_WORK = everywhere("work")

OPERATIONS = (
    Operation(
        name="workers_list",
        method="GET",
        path="/workers",
        rule=everywhere("view"),
        handler=_list,
        answer=list[RemoteWorker],
    ),
    Operation(
        name="workers_drain",
        method="POST",
        path="/workers/{name}/drain",
        rule=everywhere("operate"),
        handler=_drain,
        answer=RemoteWorker,
        status=201,
        once=True,
    ),
    Operation(
        name="workers_resume",
        method="POST",
        path="/workers/{name}/resume",
        rule=everywhere("operate"),
        handler=_resume,
        answer=RemoteWorker,
        status=201,
        once=True,
    ),
    Operation(
        name="work_take",
        method="POST",
        path="/work/take",
        rule=_WORK,
        handler=_take,
        answer=Offer,
        body=TakeAsk,
    ),
    Operation(
        name="work_begin",
        method="POST",
        path="/work/{name}/begin",
        rule=_WORK,
        handler=_begin,
        answer=Kit,
        body=LeaseAsk,
        refuses=(Fenced,),
    ),
    Operation(
        name="work_piece",
        method="GET",
        path="/work/{name}/blobs/{digest}",
        rule=_WORK,
        handler=_piece,
        query=WhichBytes,
        answer=str,
        media=OCTETS,
        refuses=(Fenced,),
    ),
    Operation(
        name="work_beat",
        method="POST",
        path="/work/{name}/beat",
        rule=_WORK,
        handler=_beat,
        answer=Beat,
        body=BeatAsk,
        refuses=(Fenced,),
    ),
    Operation(
        name="work_log",
        method="POST",
        path="/work/{name}/log",
        rule=_WORK,
        handler=_log,
        answer=Written,
        query=WhichLog,
        takes=(OCTETS,),
        refuses=(Fenced,),
    ),
    Operation(
        name="work_blob",
        method="POST",
        path="/work/{name}/blobs/{digest}",
        rule=_WORK,
        handler=_blob,
        answer=Written,
        query=WhichBlob,
        takes=(OCTETS,),
        refuses=(Fenced, Untrusted),
    ),
    Operation(
        name="work_end",
        method="POST",
        path="/work/{name}/end",
        rule=_WORK,
        handler=_end,
        answer=Ended,
        body=EndAsk,
        refuses=(Fenced,),
    ),
)
