"""Forges: who tells of pushes, and what they tell."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from andon.api.v1.answers import Delivery, Hook, HookInFull, HookWithSecret
from andon.api.v1.words import Name
from andon.kernel.errors import InvalidDocument
from andon.ports.hooks import MOST_BYTES
from andon.web.bodies import LargeBodies
from andon.web.openapi import FORM
from andon.web.operations import Ask, Call, Operation, everybody, everywhere


class HookAsk(Ask, kw_only=True, frozen=True):
    """A forge to listen to."""

    name: Name
    forge: Annotated[
        Literal["github", "gitlab", "gitea"], Meta(description="Whose words it speaks.")
    ]
    repository: Annotated[str, Meta(min_length=1, description="Address that is shipped.")]
    branches: Annotated[
        tuple[str, ...], Meta(description="Whose pushes are shipped; none: the policy branch.")
    ] = ()
    pull_requests: Annotated[
        bool, Meta(description="Build what is proposed from the repository itself.")
    ] = True
    api: Annotated[
        str, Meta(description="Address of the forge's API; empty: no statuses are reported.")
    ] = ""
    project: Annotated[str, Meta(description="`owner/name` there.")] = ""
    token: Annotated[str, Meta(description="Lets statuses be written.")] = ""
    secret: Annotated[str, Meta(description="Signs messages; empty: one is made.")] = ""


class RotateHookAsk(Ask, kw_only=True, frozen=True):
    """Another secret, or another token."""

    secret: Annotated[str, Meta(description="The new secret; empty: one is made.")] = ""
    token: Annotated[str, Meta(description="Instead: the new token of the API.")] = ""


async def _list(call: Call) -> Any:
    """List hooks."""
    return await call.hooks.list()


async def _show(call: Call) -> Any:
    """Return a hook, and how telling its forge goes."""
    return await call.hooks.show(call.path("name"))


async def _add(call: Call) -> Any:
    """Listen to a forge; a secret made here is in this answer only."""
    ask: HookAsk = call.body
    return await call.hooks.add(
        ask.name,
        asked=call.asked,
        forge=ask.forge,
        repository=ask.repository,
        branches=ask.branches,
        pull_requests=ask.pull_requests,
        api=ask.api,
        project=ask.project,
        token=ask.token,
        secret=ask.secret,
    )


async def _rotate(call: Call) -> Any:
    """Replace the shared secret, or the token of the API."""
    ask: RotateHookAsk = call.body
    return await call.hooks.rotate(
        call.path("name"), asked=call.asked, secret=ask.secret, token=ask.token
    )


async def _remove(call: Call) -> Any:
    """Listen to a forge no more."""
    return await call.hooks.remove(call.path("name"), asked=call.asked)


async def _take(call: Call) -> Any:
    """Take a message of a forge: its signature says who it is from."""
    headers = {name.lower(): value for name, value in call.request.headers.items()}
    large: LargeBodies = call.request.app.state.large
    async with large.reading(call.request, MOST_BYTES) as body:
        return await call.hooks.take(call.path("name"), headers, body)


_RULE = everywhere("administer")

OPERATIONS = (
    Operation(
        name="hooks_list",
        method="GET",
        path="/hooks",
        rule=_RULE,
        handler=_list,
        answer=list[Hook],
    ),
    Operation(
        name="hooks_add",
        method="POST",
        path="/hooks",
        rule=_RULE,
        handler=_add,
        answer=HookWithSecret,
        body=HookAsk,
        status=201,
        once=True,
    ),
    Operation(
        name="hooks_show",
        method="GET",
        path="/hooks/{name}",
        rule=_RULE,
        handler=_show,
        answer=HookInFull,
    ),
    Operation(
        name="hooks_rotate",
        method="POST",
        path="/hooks/{name}/rotate",
        rule=_RULE,
        handler=_rotate,
        answer=HookWithSecret,
        body=RotateHookAsk,
        status=201,
        once=True,
        revised=True,
    ),
    Operation(
        name="hooks_remove",
        method="DELETE",
        path="/hooks/{name}",
        rule=_RULE,
        handler=_remove,
        answer=Hook,
        once=True,
        revised=True,
    ),
    Operation(
        name="hooks_take",
        method="POST",
        path="/hooks/{name}/deliveries",
        rule=everybody(),
        handler=_take,
        answer=Delivery,
        refuses=(InvalidDocument,),
        takes=("application/json", FORM),
        status=202,
    ),
)
