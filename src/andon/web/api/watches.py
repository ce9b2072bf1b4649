"""Watched branches."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from andon.api.v1.answers import Branch, NewWatch, Watch
from andon.web.operations import Ask, Call, Operation, Page, everywhere, of_known_repository


class WatchAsk(Ask, kw_only=True, frozen=True):
    """Ship every new commit of a branch."""

    repository: Annotated[str, Meta(description="Path or URL.", min_length=1)]
    branch: Annotated[str, Meta(description="Which branch.")] = "main"
    interval_seconds: Annotated[
        float, Meta(description="Pause between two looks.", gt=0, le=86400)
    ] = 5


class Unwatch(Page, kw_only=True, frozen=True):
    """Names a watched branch."""

    repository: Annotated[str, Meta(description="Path or URL.", min_length=1)]
    branch: Annotated[str, Meta(description="Which branch.", min_length=1)]


async def _list(call: Call) -> Any:
    """List watched branches, with what was last seen of them."""
    return await call.line.watches()


async def _watch(call: Call) -> Any:
    """Ship every new commit of a branch by itself."""
    ask: WatchAsk = call.body
    return await call.line.watch(
        repository=ask.repository, branch=ask.branch, interval_seconds=ask.interval_seconds
    )


async def _unwatch(call: Call) -> Any:
    """Stop watching a branch."""
    return await call.line.unwatch(repository=call.query.repository, branch=call.query.branch)


OPERATIONS = (
    Operation(
        name="watches_list",
        method="GET",
        path="/watches",
        rule=everywhere("view"),
        handler=_list,
        answer=list[Watch],
    ),
    Operation(
        name="watches_add",
        method="POST",
        path="/watches",
        rule=of_known_repository(everywhere("operate")),
        handler=_watch,
        answer=NewWatch,
        body=WatchAsk,
        status=201,
    ),
    Operation(
        name="watches_remove",
        method="DELETE",
        path="/watches",
        rule=everywhere("operate"),
        handler=_unwatch,
        answer=Branch,
        query=Unwatch,
    ),
)
