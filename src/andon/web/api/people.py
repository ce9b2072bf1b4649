"""Users, teams and service tokens."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from andon.api.v1.access import Grant
from andon.api.v1.answers import RotatedToken, Team, Token, TokenWithSecret, User
from andon.api.v1.words import Name
from andon.web.operations import Ask, Call, Operation, everywhere


class UserAsk(Ask, kw_only=True, frozen=True):
    """What is to be so of a user; what is left out stays."""

    emails: Annotated[
        list[str] | None,
        Meta(description="Addresses that commits are known by; the first gets notices."),
    ] = None
    grants: Annotated[
        list[Grant] | None, Meta(description="What this person may do, besides what teams bring.")
    ] = None
    password: Annotated[
        str | None, Meta(description="At least 12 characters; empty: takes it away.")
    ] = None
    notify: Annotated[
        list[str] | None,
        Meta(description="Where notices go: a chat's webhook, or `mailto:` and an address."),
    ] = None
    disabled: Annotated[bool | None, Meta(description="Nobody gets in by this name.")] = None
    unlock: Annotated[bool, Meta(description="Forget the wrong passwords.")] = False
    unlink: Annotated[bool, Meta(description="Forget who they are at the OpenID provider.")] = False


class NewUserAsk(UserAsk, kw_only=True, frozen=True):
    """A new user."""

    name: Name


class TeamAsk(Ask, kw_only=True, frozen=True):
    """What is to be so of a team; what is left out stays."""

    members: Annotated[list[str] | None, Meta(description="Names of users.")] = None
    grants: Annotated[list[Grant] | None, Meta(description="What its members may do.")] = None


class NewTeamAsk(TeamAsk, kw_only=True, frozen=True):
    """A new team."""

    name: Name


class TokenAsk(Ask, kw_only=True, frozen=True):
    """A new service token."""

    name: Name
    owner: Annotated[
        str, Meta(description="User whose rights bound it; empty: a service of its own.")
    ] = ""
    grants: Annotated[tuple[Grant, ...], Meta(description="What it may do; at least one.")] = ()
    expires_seconds: Annotated[float, Meta(ge=0, description="0: 90 days.")] = 0


async def _users(call: Call) -> Any:
    """List users."""
    return await call.access.users()


async def _user(call: Call) -> Any:
    """Return a user."""
    return await call.access.user(call.path("name"))


async def _add_user(call: Call) -> Any:
    """Make a user."""
    return await _put_user(call, call.body.name, create=True)


async def _change_user(call: Call) -> Any:
    """Change a user."""
    return await _put_user(call, call.path("name"), create=False)


async def _put_user(call: Call, name: str, *, create: bool) -> Any:
    ask: UserAsk = call.body
    return await call.access.put_user(
        name,
        asked=call.asked,
        create=create,
        emails=ask.emails,
        grants=ask.grants,
        password=ask.password,
        notify=ask.notify,
        disabled=ask.disabled,
        unlock=ask.unlock,
        unlink=ask.unlink,
    )


async def _remove_user(call: Call) -> Any:
    """Forget a user, with their tokens and sessions."""
    return await call.access.remove_user(call.path("name"), asked=call.asked)


async def _teams(call: Call) -> Any:
    """List teams."""
    return await call.access.teams()


async def _add_team(call: Call) -> Any:
    """Make a team."""
    return await _put_team(call, call.body.name, create=True)


async def _change_team(call: Call) -> Any:
    """Change a team."""
    return await _put_team(call, call.path("name"), create=False)


async def _put_team(call: Call, name: str, *, create: bool) -> Any:
    ask: TeamAsk = call.body
    return await call.access.put_team(
        name, asked=call.asked, create=create, members=ask.members, grants=ask.grants
    )


async def _remove_team(call: Call) -> Any:
    """Forget a team."""
    return await call.access.remove_team(call.path("name"), asked=call.asked)


async def _tokens(call: Call) -> Any:
    """List tokens, without what lets anybody in."""
    return await call.access.tokens()


async def _make_token(call: Call) -> Any:
    """Make a token; ``secret`` is in this answer only."""
    ask: TokenAsk = call.body
    return await call.access.make_token(
        ask.name,
        asked=call.asked,
        owner=ask.owner,
        grants=ask.grants,
        expires_seconds=ask.expires_seconds,
    )


async def _revoke_token(call: Call) -> Any:
    """Let nobody in by a token any more."""
    return await call.access.revoke_token(call.path("name"), asked=call.asked)


async def _rotate_admin(call: Call) -> Any:
    """Replace the generated administrator's token; its secret is in the state folder only."""
    return await call.access.rotate_admin_token(asked=call.asked)


_RULE = everywhere("administer")

OPERATIONS = (
    Operation(
        name="users_list",
        method="GET",
        path="/users",
        rule=_RULE,
        handler=_users,
        answer=list[User],
    ),
    Operation(
        name="users_add",
        method="POST",
        path="/users",
        rule=_RULE,
        handler=_add_user,
        answer=User,
        body=NewUserAsk,
        status=201,
        once=True,
    ),
    Operation(
        name="users_show",
        method="GET",
        path="/users/{name}",
        rule=_RULE,
        handler=_user,
        answer=User,
    ),
    Operation(
        name="users_change",
        method="PATCH",
        path="/users/{name}",
        rule=_RULE,
        handler=_change_user,
        answer=User,
        body=UserAsk,
        once=True,
        revised=True,
    ),
    Operation(
        name="users_remove",
        method="DELETE",
        path="/users/{name}",
        rule=_RULE,
        handler=_remove_user,
        answer=User,
        once=True,
        revised=True,
    ),
    Operation(
        name="teams_list",
        method="GET",
        path="/teams",
        rule=_RULE,
        handler=_teams,
        answer=list[Team],
    ),
    Operation(
        name="teams_add",
        method="POST",
        path="/teams",
        rule=_RULE,
        handler=_add_team,
        answer=Team,
        body=NewTeamAsk,
        status=201,
        once=True,
    ),
    Operation(
        name="teams_change",
        method="PATCH",
        path="/teams/{name}",
        rule=_RULE,
        handler=_change_team,
        answer=Team,
        body=TeamAsk,
        once=True,
        revised=True,
    ),
    Operation(
        name="teams_remove",
        method="DELETE",
        path="/teams/{name}",
        rule=_RULE,
        handler=_remove_team,
        answer=Team,
        once=True,
        revised=True,
    ),
    Operation(
        name="tokens_list",
        method="GET",
        path="/tokens",
        rule=_RULE,
        handler=_tokens,
        answer=list[Token],
    ),
    Operation(
        name="tokens_make",
        method="POST",
        path="/tokens",
        rule=_RULE,
        handler=_make_token,
        answer=TokenWithSecret,
        body=TokenAsk,
        status=201,
        once=True,
    ),
    Operation(
        name="tokens_revoke",
        method="DELETE",
        path="/tokens/{name}",
        rule=_RULE,
        handler=_revoke_token,
        answer=Token,
        once=True,
        revised=True,
    ),
    Operation(
        name="tokens_rotate_admin",
        method="POST",
        path="/tokens/admin/rotate",
        rule=_RULE,
        handler=_rotate_admin,
        answer=RotatedToken,
        once=True,
        revised=True,
    ),
)
