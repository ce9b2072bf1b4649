"""Secrets: their names and versions; no answer holds a value."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from andon.api.v1.answers import ReleasedSecret, Sealed, Secret
from andon.web.api.reading import InEnvironment
from andon.web.operations import Ask, Call, Operation, everywhere, in_path, somewhere


class SecretAsk(Ask, kw_only=True, frozen=True):
    """A value to keep."""

    value: Annotated[
        str, Meta(description="The secret itself; comes back in no answer.", max_length=65536)
    ]
    create: Annotated[bool, Meta(description="A new secret; otherwise a new version of one.")] = (
        True
    )


class RewrapAsk(Ask, kw_only=True, frozen=True):
    """Another key to seal everything by."""

    old_key: Annotated[
        str,
        Meta(
            description="The key before, where `secretsKey` gives the next one already; empty: the next "
            "key is made in the file of the key.",
            max_length=4096,
        ),
    ] = ""
    lost: Annotated[
        bool, Meta(description="Forget what was sealed by a key that is lost for good.")
    ] = False


async def _list(call: Call) -> Any:
    """List secrets, without their values."""
    return await call.secrets.list(environment=call.query.environment)


async def _put(call: Call) -> Any:
    """Keep a secret; a new version of one is a configuration release."""
    ask: SecretAsk = call.body
    return await call.secrets.put(
        call.path("environment"),
        call.path("name"),
        ask.value,
        asked=call.asked,
        create=ask.create,
    )


async def _remove(call: Call) -> Any:
    """Forget a secret with all its values."""
    return await call.secrets.remove(call.path("environment"), call.path("name"), asked=call.asked)


async def _rewrap(call: Call) -> Any:
    """Have another key seal all secrets; their values stay, and so does what runs."""
    ask: RewrapAsk = call.body
    return await call.secrets.rewrap(old_key=ask.old_key, lost=ask.lost, asked=call.asked)


OPERATIONS = (
    Operation(
        name="secrets_list",
        method="GET",
        path="/secrets",
        rule=somewhere("operate"),
        handler=_list,
        answer=list[Secret],
        query=InEnvironment,
    ),
    Operation(
        name="secrets_put",
        method="PUT",
        path="/secrets/{environment}/{name}",
        rule=in_path("operate"),
        handler=_put,
        answer=ReleasedSecret,
        body=SecretAsk,
        once=True,
        revised=True,
    ),
    Operation(
        name="secrets_remove",
        method="DELETE",
        path="/secrets/{environment}/{name}",
        rule=in_path("operate"),
        handler=_remove,
        answer=Secret,
        once=True,
        revised=True,
    ),
    Operation(
        name="secrets_rewrap",
        method="POST",
        path="/secrets/rewrap",
        rule=everywhere("administer"),
        handler=_rewrap,
        answer=Sealed,
        body=RewrapAsk,
    ),
)
