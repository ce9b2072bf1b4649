"""Incoming webhooks as Slack has them; Mattermost, Rocket.Chat and others take the same.

Source: Slack's documentation, "Sending messages using incoming webhooks" and "Formatting text".
"""

from __future__ import annotations

import asyncio
from importlib.metadata import version

from andon.adapters.outbound import Guard, post, web_address
from andon.kernel.digest import canonical_json
from andon.kernel.errors import Denied, Unavailable
from andon.ports.notices import Notice
from andon.ports.sinks import NotTaken

TIMEOUT_SECONDS = 10.0
_LATER = (408, 425, 429)


class Chat:
    """Posts one message; trying again is the caller's.

    Args:
        guard: Where it may lead.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def send(self, address: str, notice: Notice) -> None:
        """Send a notice to a webhook's address, which messages do not name but for its host.

        Raises:
            Unavailable: Nobody answers, or not now.
            Denied: It will never be taken, or must not be sent there.
        """
        url = web_address(address)
        headers = {"Content-Type": "application/json", "User-Agent": f"andon/{version('andon')}"}
        status = await asyncio.to_thread(
            post,
            url,
            canonical_json({"text": text(notice)}),
            headers,
            guard=self._guard,
            timeout_seconds=TIMEOUT_SECONDS,
        )
        said = f"{url.hostname} answered {status}"
        if status in _LATER:
            raise Unavailable(said)
        if status >= 500:
            raise NotTaken(said)
        if status >= 300:
            raise Denied(said)


def text(notice: Notice) -> str:
    r"""Write a notice; what others wrote in it cannot mention anybody or pass for a link.

    >>> text(Notice(id="e", subject="<!here> shipped", lines=("it runs",), url="https://a.example/#/x"))
    '&lt;!here&gt; shipped\nit runs\nhttps://a.example/#/x'
    """
    said = "\n".join((notice.subject, *notice.lines))
    escaped = said.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{escaped}\n{notice.url}"
