"""What is said to the provider: one call at a time, guarded, bounded, and never redirected."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib.metadata import version
from typing import TypeVar
from urllib.parse import SplitResult, urlencode, urlsplit

import msgspec

from andon.adapters.outbound import Answer, Guard, exchange, web_address
from andon.kernel.errors import Denied, Unavailable, UsageError

TIMEOUT_SECONDS = 10.0
MOST_BYTES = 256 * 1024
"""Of one answer; a set of keys takes some kilobytes."""
MEANWHILE = "try again in a while; meanwhile log in by password or with a token"
_LATER = (408, 425, 429)
_HERE = ("localhost", "127.0.0.1", "::1")

T = TypeVar("T")


def address(url: str, field: str) -> SplitResult:
    """Read the address of the provider or of a part of it.

    Args:
        url: As configured, or as its discovery document says.
        field: Where it says so, for messages.

    Raises:
        UsageError: It is none, or what is said there could be overheard.
    """
    try:
        parts = web_address(url)
    except UsageError:
        raise UsageError(f"{field} is no address", hint="https://host[:port]/path") from None
    if parts.scheme != "https" and parts.hostname not in _HERE:
        raise UsageError(f"{field} has to begin with https:// unless it is on this machine")
    return parts


class Wire:
    """Calls to the provider.

    Args:
        guard: Where they may lead.
        timeout_seconds: For each.
    """

    def __init__(self, guard: Guard, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._guard = guard
        self._timeout_seconds = timeout_seconds

    async def get(self, url: str, field: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for something.

        Args:
            url: Where.
            field: What has to be put right if nothing is there.
            headers: Sent along.

        Raises:
            Unavailable: The provider is down, or says so.
            UsageError: It is no address, or one that may not be called.
        """
        return await self._call("GET", address(url, field), None, headers or {})

    async def post(
        self, url: str, field: str, form: Mapping[str, str], headers: Mapping[str, str]
    ) -> Answer:
        """Send a form; see ``get``."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(form).encode()
        return await self._call("POST", address(url, field), body, {**kind, **headers})

    async def _call(
        self, method: str, url: SplitResult, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        told = {
            "Accept": "application/json",
            "User-Agent": f"andon/{version('andon')}",
            **headers,
        }
        try:
            answer = await asyncio.to_thread(
                exchange,
                *(method, url, body, told),
                guard=self._guard,
                timeout_seconds=self._timeout_seconds,
                most_bytes=MOST_BYTES,
            )
        except Unavailable as error:
            raise Unavailable(f"the OpenID provider: {error.message}", hint=MEANWHILE) from error
        except Denied as error:
            raise UsageError(
                f"the OpenID provider: {error.message}",
                hint=f"if it should be: name {url.hostname} in oidc.allowInternal",
            ) from error
        if answer.status >= 500 or answer.status in _LATER:
            said = f"the OpenID provider at {url.hostname} answered {answer.status}"
            raise Unavailable(said, hint=MEANWHILE)
        return answer


def found(answer: Answer, kind: type[T], url: str, field: str) -> T:
    """Read a document of the provider.

    Args:
        answer: What came.
        kind: What it has to be.
        url: Whence, for messages.
        field: What has to be put right if it is not there or is something else.

    Raises:
        UsageError: There is no such document.
    """
    if answer.status != 200:
        redirected = "; redirects are not followed" if 300 <= answer.status < 400 else ""
        raise UsageError(
            f"{_short(url)} answered {answer.status}{redirected}", hint=f"is {field} right?"
        )
    try:
        return read(answer.body, kind)
    except ValueError as error:
        raise UsageError(
            f"{_short(url)} is not what OpenID Connect asks for: {error}", hint=f"is {field} right?"
        ) from None


def read(body: bytes, kind: type[T]) -> T:
    """Read JSON of somebody else.

    Raises:
        ValueError: It is none, or another kind.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _short(url: str) -> str:
    return urlsplit(url)._replace(query="", fragment="").geturl()
