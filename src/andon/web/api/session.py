"""Logging in with a browser, and who one is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from andon.api.v1.access import ROLES, VERBS, Identity
from andon.api.v1.answers import Code, LoggedIn, Paired, Pairing, PairingShown, Session, User
from andon.kernel.errors import TooMany, UsageError
from andon.ports.access import Login
from andon.web.doorkeeper import (
    COOKIE,
    SECURE_COOKIE,
    is_encrypted,
    refuse_strangers,
    session_cookie,
)
from andon.web.operations import Ask, Call, Operation, encode, everybody, somewhere


class LoginAsk(Ask, kw_only=True, frozen=True):
    """By name and password, by token, or by a code of ``andon portal``."""

    name: Annotated[str, Meta(description="Of the user.")] = ""
    password: Annotated[str, Meta(description="Of the user.")] = ""
    token: Annotated[str, Meta(description="Instead: a service token.")] = ""
    code: Annotated[str, Meta(description="Instead: a code of `POST /session/code`.")] = ""


class PasswordAsk(Ask, kw_only=True, frozen=True):
    """Another password of one's own."""

    old: Annotated[str, Meta(min_length=1, description="The one until now.")]
    new: Annotated[str, Meta(min_length=1, description="At least 12 characters.")]


class PairingAsk(Ask, kw_only=True, frozen=True):
    """A command line that asks to act as a person."""

    machine: Annotated[str, Meta(max_length=100, description="Where it runs, for the person.")] = ""


class DecideAsk(Ask, kw_only=True, frozen=True):
    """A person's answer."""

    allow: Annotated[bool, Meta(description="Whether it may act as the caller.")]


class PairedAsk(Ask, kw_only=True, frozen=True):
    """Who asked comes for the answer."""

    secret: Annotated[
        str, Meta(min_length=1, max_length=64, description="From the answer to asking.")
    ]


async def _whoami(call: Call) -> Any:
    """Say who asks, what they may do, and how one may log in."""
    session = session_cookie(call.request)
    found = call.access.of_session(session) if session else None
    return {
        "identity": _shown(call.identity) if call.identity else None,
        "csrf": found[1] if found else "",
        "logins": list(call.access.logins),
    }


def _shown(who: Identity) -> dict[str, Any]:
    return {
        "name": who.name,
        "via": who.via,
        "teams": list(who.teams),
        "grants": [
            {"role": grant.role, "environment": grant.environment}
            for grant in who.grants
            if grant.role in ROLES
        ],
        "verbs": [verb for verb in VERBS if who.may_somewhere(verb)],
    }


async def _log_in(call: Call) -> Any:
    """Begin a session; its cookie comes with the answer."""
    refuse_strangers(call.request)
    ask: LoginAsk = call.body
    address = call.address
    if ask.token:
        login = await call.access.log_in_with_token(ask.token, address=address)
    elif ask.code:
        login = await call.access.log_in_with_code(ask.code, address=address)
    elif ask.name and ask.password:
        login = await call.access.log_in(ask.name, ask.password, address=address)
    else:
        raise UsageError("logging in takes a name and a password, or a token")
    said = {"identity": _shown(login.identity), "csrf": login.csrf, "expiresAt": login.expires_at}
    response = Response(encode(said), 201, media_type="application/json")
    keep_cookie(response, call.request, login)
    return response


def keep_cookie(response: Response, request: Request, login: Login) -> None:
    """Have the browser keep a session, from this site's own pages only."""
    secure = is_encrypted(request)
    response.set_cookie(
        SECURE_COOKIE if secure else COOKIE,
        login.cookie,
        httponly=True,
        secure=secure,
        samesite="strict",
        expires=datetime.fromtimestamp(login.expires_at, UTC),
        path="/",
    )


async def _log_out(call: Call) -> Any:
    """End the session."""
    cookie = session_cookie(call.request)
    if cookie:
        await call.access.log_out(cookie)
    response = Response(status_code=204)
    for name in (COOKIE, SECURE_COOKIE):
        response.delete_cookie(name, path="/", secure=name == SECURE_COOKIE, httponly=True)
    return response


async def _code(call: Call) -> Any:
    """Make a code that lets the caller in with a browser, once, within a minute."""
    return await call.access.one_time_code(call.asked, call.caller)


async def _password(call: Call) -> Any:
    """Give oneself another password; all one's sessions end."""
    ask: PasswordAsk = call.body
    return await call.access.change_password(
        call.caller, ask.old, ask.new, asked=call.asked, address=call.address
    )


async def _begin_pairing(call: Call) -> Any:
    """Have a command line ask to act as a person, who reads the code on the page."""
    ask: PairingAsk = call.body
    return await call.access.begin_pairing(ask.machine, address=call.address)


async def _pairing(call: Call) -> Any:
    """Tell which command line asks under a code."""
    return await call.access.pairing(call.path("code"))


async def _decide_pairing(call: Call) -> Any:
    """Let the command line that asks under a code act as oneself, or not."""
    ask: DecideAsk = call.body
    return await call.access.decide_pairing(
        call.path("code"), ask.allow, call.caller, asked=call.asked
    )


async def _take_pairing(call: Call) -> Any:
    """Take the person's answer; it is waited for up to 20 seconds."""
    ask: PairedAsk = call.body
    return await call.access.take_pairing(ask.secret)


OPERATIONS = (
    Operation(
        name="session_show",
        method="GET",
        path="/session",
        rule=everybody(),
        handler=_whoami,
        answer=Session,
    ),
    Operation(
        name="session_begin",
        method="POST",
        path="/session",
        rule=everybody(),
        handler=_log_in,
        refuses=(TooMany,),
        answer=LoggedIn,
        body=LoginAsk,
        status=201,
    ),
    Operation(
        name="session_end",
        method="DELETE",
        path="/session",
        rule=everybody(),
        handler=_log_out,
        answer=None,
        status=204,
    ),
    Operation(
        name="session_password",
        method="POST",
        path="/session/password",
        rule=somewhere("view"),
        handler=_password,
        refuses=(TooMany,),
        answer=User,
        body=PasswordAsk,
    ),
    Operation(
        name="session_code",
        method="POST",
        path="/session/code",
        rule=somewhere("view"),
        handler=_code,
        answer=Code,
        status=201,
    ),
    Operation(
        name="session_pair",
        method="POST",
        path="/session/pairings",
        rule=everybody(),
        handler=_begin_pairing,
        refuses=(TooMany,),
        answer=Pairing,
        body=PairingAsk,
        status=201,
    ),
    Operation(
        name="session_pairing",
        method="GET",
        path="/session/pairings/{code}",
        rule=somewhere("view"),
        handler=_pairing,
        answer=PairingShown,
    ),
    Operation(
        name="session_decide",
        method="POST",
        path="/session/pairings/{code}",
        rule=somewhere("view"),
        handler=_decide_pairing,
        answer=PairingShown,
        body=DecideAsk,
    ),
    Operation(
        name="session_take",
        method="POST",
        path="/session/pairing",
        rule=everybody(),
        handler=_take_pairing,
        answer=Paired,
        body=PairedAsk,
    ),
)
