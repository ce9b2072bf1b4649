"""How one operation is asked: tried again where that is safe, its answer checked against its shape."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import msgspec

from andon.client.wire import Client
from andon.client.wire import part as part
from andon.kernel.errors import AndonError, InternalError

T = TypeVar("T")
TRIES = 4
FIRST_PAUSE_SECONDS = 0.25
_KEY_BYTES = 18
_NEXT = re.compile(r'<([^>]*)>; rel="next"')


def new_key() -> str:
    """Make an ``Idempotency-Key``."""
    return secrets.token_urlsafe(_KEY_BYTES)


class Asking:
    """Asks a control plane.

    What reads, and what is sent with an ``Idempotency-Key``, is tried again while the control plane is
    away; everything else is asked once, as it may have been done.

    Args:
        client: The way there.
        tries: How often to try before giving up.
        pause: Waits so many seconds.
    """

    def __init__(
        self, client: Client, *, tries: int = TRIES, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._tries = tries
        self._pause = pause

    def _ask(
        self,
        answer: type[T],
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        media: str = "application/json",
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        expect: str = "",
    ) -> T:
        sent = {**(headers or {})}
        if body is not None:
            content, sent["Content-Type"] = _encode(body), media
        if key is not None:
            sent["Idempotency-Key"] = key or new_key()
        if expect:
            sent["If-Match"] = f'"{expect}"'
        value = self._try(
            lambda: self._client.ask(method, path, query=query, body=content, headers=sent),
            again=method == "GET" or key is not None,
        )
        return decode(answer, value, f"{method} {path}")

    def _pages(self, answer: type[T], path: str, query: Mapping[str, Any]) -> Iterator[T]:
        """Go from page to page, as the answers' ``Link`` says; a page may be empty and yet not the last."""
        wanted: Mapping[str, Any] | None = query
        while wanted is not None:
            ask = partial(self._client.ask_in_full, "GET", path, query=wanted)
            rows, headers = self._try(ask, again=True)
            yield from decode(list[answer], rows, f"GET {path}")  # type: ignore[valid-type]  # known by the caller
            wanted = next_page(headers.get("link", ""))

    def _do(self, method: str, path: str, **more: Any) -> None:
        self._ask(type(None), method, path, **more)

    def _text(self, path: str, query: Mapping[str, Any] | None = None) -> str:
        return self._ask(str, "GET", path, query=query)

    def _lines(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        return self._client.lines(path, query or {})

    def _send(self, answer: type[T], path: str, lines: Iterable[bytes]) -> T:
        return decode(answer, self._client.send(path, lines), f"POST {path}")

    def _try(self, ask: Callable[[], Any], *, again: bool) -> Any:
        for number in range(self._tries if again else 1):
            if number:
                self._pause(FIRST_PAUSE_SECONDS * 2 ** (number - 1))
            try:
                return ask()
            except AndonError as error:
                if not error.retry:
                    raise
                failed = error
        raise failed


def next_page(link: str) -> dict[str, str] | None:
    """Return the query of the next page; None: this was the last.

    Source: RFC 8288.

    >>> next_page('</api/v1/changes?limit=2&after=shop-1>; rel="next"')
    {'limit': '2', 'after': 'shop-1'}
    """
    found = _NEXT.search(link)
    return dict(parse_qsl(urlsplit(found[1]).query)) if found else None


def decode(answer: type[T], value: Any, what: str) -> T:
    """Check an answer against its shape.

    Raises:
        InternalError: It has another one.
    """
    try:
        return msgspec.convert(value, answer)
    except msgspec.ValidationError as error:
        raise InternalError(
            f"the answer to {what} is not what this client knows: {error}",
            hint="use the client of the server's own version",
        ) from None


def _encode(body: Any) -> bytes:
    if isinstance(body, Mapping):
        body = {name: value for name, value in body.items() if value is not None}
    return msgspec.json.encode(body)
