"""From where is asked, and what is answered."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from andon.adapters.outbound import Guard


class Place(Struct, frozen=True, kw_only=True):
    """Where a Check is asked from.

    Args:
        guard: Where addresses that a document names may lead.
        address_of: ``http://host:port`` of a service in an environment; raises NotFound.
        now: Seconds since the Unix epoch: certificates end by it.
        worker: Who asks.
    """

    guard: Guard
    address_of: Callable[[str, str], str]
    now: Callable[[], float]
    worker: str = "here"


class Answered(Struct, kw_only=True):
    """What a question was answered; ``message`` says what was not as expected."""

    message: str = ""
    phases: dict[str, float] = {}
    days_left: float | None = None
