"""A Notifier over plain HTTP(S)."""

from __future__ import annotations

import asyncio
from importlib.metadata import version

from andon.adapters.outbound import LOCAL, Guard, post, web_address
from andon.api.v1.actions import Done, Intent, Notify
from andon.kernel.digest import canonical_json
from andon.kernel.errors import Denied, Unavailable

_TRY_AGAIN = (408, 425, 429)


class WebhookNotifier:
    """POSTs a JSON body once; trying again is the runtime's. Redirects are not followed.

    Messages name the host only, because the path of a webhook is often its secret.

    Args:
        timeout_seconds: How long the whole exchange may take.
        guard: Where it may lead.
    """

    def __init__(self, timeout_seconds: float = 5, guard: Guard = LOCAL) -> None:
        self._timeout_seconds = timeout_seconds
        self._guard = guard

    async def notify(self, action: Notify, intent: Intent) -> Done:
        """Deliver at least once, with the key as ``Idempotency-Key``.

        Raises:
            Unavailable: The other side did not answer, or asks to be told later.
            Denied: It refused the message for good, or may not be told.
            UsageError: The address is none.
        """
        url = web_address(action.url)
        body, headers = canonical_json(action.body), _headers(intent.key)
        status = await asyncio.to_thread(
            post, url, body, headers, guard=self._guard, timeout_seconds=self._timeout_seconds
        )
        _judge(status, url.hostname or "")
        return Done()


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
    }
