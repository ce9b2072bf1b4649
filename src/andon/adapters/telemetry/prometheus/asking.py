"""Ask a server in the words of Prometheus's HTTP API."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import SplitResult, urlencode

from andon.adapters.outbound import LOCAL, Guard, exchange, web_address
from andon.kernel.errors import TimedOut, Unavailable, UsageError

MOST_BYTES = 256 << 20
TIMEOUT_SECONDS = 60.0
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "andon"}
_OURS = ("bad_data", "execution")

Pairs = Sequence[tuple[str, str]]


class Peer:
    """The server.

    Args:
        url: Its address, without ``/api/v1``.
        guard: Where calls may lead.
        timeout_seconds: For one question.

    Raises:
        UsageError: The address is none.
    """

    def __init__(
        self, url: str, guard: Guard = LOCAL, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self.url = web_address(url.rstrip("/"))
        self._guard = guard
        self._timeout_seconds = timeout_seconds

    def ask(self, path: str, pairs: Pairs = (), *, post: bool = False) -> dict[str, Any]:
        """Ask, and return the whole envelope: ``data``, ``warnings``, ``infos``.

        Args:
            path: Behind ``/api/v1``.
            pairs: Parameters; a name may come again.
            post: As a form, as long queries are.

        Raises:
            UsageError: It refuses the question.
            Unavailable: It does not answer, or with something else.
        """
        form = urlencode(pairs)
        url = self._at(path, "" if post else form)
        answer = exchange(
            "POST" if post else "GET",
            url,
            form.encode() if post else None,
            _FORM if post else {"User-Agent": "andon"},
            guard=self._guard,
            timeout_seconds=self._timeout_seconds,
            most_bytes=MOST_BYTES,
        )
        return self._read(answer.status, answer.body)

    def _at(self, path: str, query: str) -> SplitResult:
        return self.url._replace(path=f"{self.url.path}/api/v1{path}", query=query)

    def _read(self, status: int, body: bytes) -> dict[str, Any]:
        host = self.url.hostname
        try:
            said = json.loads(body)
            good = said["status"] == "success"
        except (ValueError, KeyError, TypeError):
            raise Unavailable(f"{host} answers with {status}, not as Prometheus does") from None
        if good:
            return dict(said)
        why = str(said.get("error", ""))[:1000]
        if said.get("errorType") in _OURS:
            raise UsageError(why)
        if said.get("errorType") in ("timeout", "canceled"):
            raise TimedOut(f"{host} did not answer in time: {why}")
        raise Unavailable(f"{host} cannot answer: {why}")
