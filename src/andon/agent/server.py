"""The agent's socket: JSON lines, many calls at once on one connection."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec

from andon.adapters import unixsocket
from andon.adapters.agentclient import wire
from andon.adapters.process.layout import Layout
from andon.agent.host import Host
from andon.api.v1.actions import Intent
from andon.kernel.errors import AndonError, InternalError, InvalidDocument, NotFound

_LAST_ANSWERS_SECONDS = 0.5

_log = logging.getLogger("andon.agent")


class Server:
    """Answers calls to a host.

    Args:
        host: What carries them out.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._under_way: dict[tuple[str, str], asyncio.Task[Any]] = {}
        self._calls: set[asyncio.Task[None]] = set()

    async def serve(self, layout: Layout) -> None:
        """Listen until the host has ended."""
        layout.socket.unlink(missing_ok=True)
        with unixsocket.address(layout.socket) as where:
            old_mask = os.umask(0o177)
            try:
                server = await asyncio.start_unix_server(
                    self._converse, where, limit=wire.LINE_LIMIT_BYTES
                )
            finally:
                os.umask(old_mask)
        await self._host.ended.wait()
        if self._calls:  # The last answers; whoever asked for a long job asks the next agent again.
            await asyncio.wait(self._calls, timeout=_LAST_ANSWERS_SECONDS)
        layout.socket.unlink(missing_ok=True)
        server.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                call = asyncio.create_task(self._answer(line, writer))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)
        except (OSError, ValueError) as error:
            _log.warning("a caller was cut off: %s", error)
        finally:
            writer.close()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        answer = await self._call(line)
        try:
            writer.write(msgspec.json.encode(answer) + b"\n")
            await writer.drain()
        except OSError:
            pass  # The caller has gone; the same key will find the result.

    async def _call(self, line: bytes) -> wire.Answer:
        number = 0
        try:
            request = msgspec.json.decode(line, type=wire.Request)
            number = request.id
            result = await self._perform(request)
            return wire.Answer(id=number, result=msgspec.Raw(msgspec.json.encode(result)))
        except AndonError as error:
            return _failed(number, error)
        except msgspec.MsgspecError as error:
            return _failed(number, InvalidDocument(f"not a call the agent understands: {error}"))
        except Exception as error:
            return _failed(number, _internal(error, line))

    async def _perform(self, request: wire.Request) -> Any:
        method = wire.METHODS.get(request.method)
        if method is None:
            raise NotFound(f"the agent knows no method {request.method!r}")
        params = msgspec.json.decode(request.params, type=method.params)
        intent = Intent(key=request.key, epoch=request.epoch or 0)
        call = partial(self._host.method(request.method), params, intent)
        if method.read:
            return await call()
        if method.secrets:
            call = partial(call, request.secrets)
        if request.epoch is not None:
            self._host.tokens.admit(_scope(params, request.key), request.epoch)
        return await self._once(request, call)

    async def _once(self, request: wire.Request, call: Callable[[], Awaitable[Any]]) -> Any:
        """Carry out a command; a repetition joins it, and no lost connection cuts it short."""
        name = (request.method, request.key)
        task = self._under_way.get(name)
        if task is None:
            task = asyncio.ensure_future(call())
            self._under_way[name] = task
            task.add_done_callback(lambda _: self._under_way.pop(name, None))
        return await asyncio.shield(task)


def _scope(params: Any, key: str) -> str:
    """Name what a command changes: a service in an environment, or else the object that asks."""
    environment, service = getattr(params, "environment", ""), getattr(params, "service", "")
    return f"{environment}/{service}" if environment and service else key.partition("/")[0]


def _internal(error: Exception, line: bytes) -> InternalError:
    """Say what failed; of a call with secrets only what kind of failure it was."""
    if b'"secrets":' in line:
        _log.error("a call with secrets failed: %s", type(error).__name__)
        return InternalError(f"the agent failed: {type(error).__name__}")
    _log.error("a call failed", exc_info=error)
    return InternalError(f"the agent failed: {error!r}")


def _failed(number: int, error: AndonError) -> wire.Answer:
    return wire.Answer(
        id=number,
        error=wire.Failure(code=error.code, message=error.message, hint=error.hint),
    )
