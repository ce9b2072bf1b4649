"""A Notifier over plain HTTP(S)."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections.abc import Sequence
from fnmatch import fnmatch
from importlib.metadata import version
from urllib.parse import SplitResult, urlsplit

from andon.api.v1.actions import Done, Intent, Notify
from andon.kernel.digest import canonical_json
from andon.kernel.errors import Denied, Unavailable, UsageError

_TRY_AGAIN = (408, 425, 429)


class WebhookNotifier:
    """POSTs a JSON body once; trying again is the runtime's. Redirects are not followed.

    Messages name the host only, because the path of a webhook is often its secret.

    Args:
        timeout_seconds: How long the whole exchange may take.
        allow: Patterns of hosts that may be told.
    """

    def __init__(self, timeout_seconds: float = 5, allow: Sequence[str] = ("*",)) -> None:
        self._timeout_seconds = timeout_seconds
        self._allow = tuple(allow)

    async def notify(self, action: Notify, intent: Intent) -> Done:
        """Deliver at least once, with the key as ``Idempotency-Key``.

        Raises:
            Unavailable: The other side did not answer, or asks to be told later.
            Denied: It refused the message for good, or may not be told.
            UsageError: The address is none.
        """
        url = self._checked(action.url)
        await asyncio.to_thread(self._post, url, canonical_json(action.body), intent.key)
        return Done()

    def _checked(self, text: str) -> SplitResult:
        try:
            url = urlsplit(text)
            usable = url.scheme in ("http", "https") and url.hostname and url.port != 0
        except ValueError:
            usable = None
        if (
            not usable
            or "@" in url.netloc
            or not text.isascii()
            or not text.isprintable()
            or " " in text
        ):
            raise UsageError(
                "A webhook's address is not usable",
                hint="http(s)://host[:port]/path, without a user",
            )
        if not any(fnmatch(url.hostname or "", pattern) for pattern in self._allow):
            raise Denied(f"The webhook host {url.hostname} is not among those that may be told")
        return url

    def _post(self, url: SplitResult, body: bytes, key: str) -> None:
        connection = _connection(url, self._timeout_seconds)
        # A socket's timeout is for one read; the timer ends a side that sends a byte now and then.
        timer = threading.Timer(self._timeout_seconds, _abort, [connection])
        timer.daemon = True
        timer.start()
        try:
            path = (url.path or "/") + (f"?{url.query}" if url.query else "")
            connection.request("POST", path, body, _headers(key))
            status = connection.getresponse().status  # its body is of no interest: never read
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"The webhook at {url.hostname} does not answer: {reason}") from error
        finally:
            timer.cancel()
            connection.close()
        _judge(status, url.hostname or "")


def _judge(status: int, host: str) -> None:
    if status >= 500 or status in _TRY_AGAIN:
        raise Unavailable(f"The webhook at {host} answered {status}")
    if status >= 300:
        why = "; redirects are not followed" if status < 400 else ""
        raise Denied(
            f"The webhook at {host} refused the message: it answered {status}{why}",
            hint="correct the address in the Environment's notify list",
        )


def _headers(key: str) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "Idempotency-Key": key,
        "User-Agent": f"andon/{version('andon')}",
        "Connection": "close",
    }


def _connection(url: SplitResult, timeout_seconds: float) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    return kind(url.hostname or "", url.port, timeout=timeout_seconds)


def _abort(connection: http.client.HTTPConnection) -> None:
    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
