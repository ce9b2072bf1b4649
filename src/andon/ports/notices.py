"""Telling a person what concerns them."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class Notice(Struct, frozen=True, kw_only=True):
    """What a person is told.

    Args:
        id: The same however often it is sent.
        subject: In one line.
        lines: What else there is to say.
        url: Where to read more.
    """

    id: str
    subject: str
    lines: tuple[str, ...] = ()
    url: str = ""


class Courier(Protocol):
    """A way to a person's address."""

    async def send(self, address: str, notice: Notice) -> None:
        """Send a notice.

        Raises:
            Unavailable: It cannot be sent now.
            Denied: It will never be.
        """
        ...
