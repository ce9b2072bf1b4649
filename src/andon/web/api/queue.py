"""What waits, who works, and what was given up."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from andon.api.v1.answers import DeadLetter, Queue
from andon.web.operations import Ask, Call, Operation, everywhere


class LetterAsk(Ask, frozen=True, kw_only=True):
    """Name a dead letter."""

    queue: Annotated[str, Meta(description="Where it was given up.")]
    subject: Annotated[str, Meta(description="What was given up.")]
    reason: Annotated[str, Meta(description="Why, for the people who will ask.")] = ""


async def _queue(call: Call) -> Any:
    """Say what waits, what is under way, who works, and what was given up."""
    return await call.line.queue()


async def _retry(call: Call) -> Any:
    """Have a turn that was given up taken again."""
    ask: LetterAsk = call.body
    return await call.line.retry_letter(queue=ask.queue, subject=ask.subject, asked=call.asked)


async def _drop(call: Call) -> Any:
    """Forget work that was given up."""
    ask: LetterAsk = call.body
    return await call.line.drop_letter(
        queue=ask.queue, subject=ask.subject, asked=call.asked, reason=ask.reason
    )


OPERATIONS = (
    Operation(
        name="queue",
        method="GET",
        path="/queue",
        rule=everywhere("view"),
        handler=_queue,
        answer=Queue,
    ),
    Operation(
        name="queue_retry",
        method="POST",
        path="/dead-letters/retry",
        rule=everywhere("operate"),
        handler=_retry,
        answer=DeadLetter,
        body=LetterAsk,
        status=201,
        once=True,
    ),
    Operation(
        name="queue_drop",
        method="POST",
        path="/dead-letters/drop",
        rule=everywhere("operate"),
        handler=_drop,
        answer=DeadLetter,
        body=LetterAsk,
        status=201,
        once=True,
    ),
)
