"""What services tell of themselves: OTLP over HTTP."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

Signal = Literal["traces", "metrics", "logs"]


class Answer(NamedTuple):
    """What an exporter is answered: bytes and their type."""

    body: bytes
    media: str


class IntakeService(Protocol):
    """Takes what exporters send."""

    async def take(self, signal: Signal, body: bytes, *, media: str, encoding: str) -> Answer:
        """Take a request whole; when this returns, all that was not rejected is on disk.

        Args:
            signal: What it holds.
            body: As it was sent.
            media: Header ``Content-Type``.
            encoding: Header ``Content-Encoding``.

        Raises:
            UsageError: It cannot be read; to send it again helps nobody.
            TooMany: Too many wait; to send it again later helps.
            Unavailable: It cannot be written now.
        """
        ...
