"""Who asks, and may they? Asked before every operation, from the rule in its row."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.requests import Request

from andon.api.v1.access import EVERYWHERE, Identity
from andon.kernel.errors import AndonError, Denied, NotLoggedIn
from andon.ports.access import AccessService
from andon.web.operations import SOMEWHERE, Call, Operation, not_logged_in

CSRF_HEADER = "x-andon-csrf"
COOKIE = "andon_session"
SECURE_COOKIE = "__Host-andon_session"
"""Name of the cookie where TLS is used: a browser takes it from this very host only."""


def session_cookie(request: Request) -> str:
    """Return the cookie of the session, or nothing."""
    return request.cookies.get(SECURE_COOKIE) or request.cookies.get(COOKIE) or ""


async def identify(access: AccessService, request: Request) -> Identity | None:
    """Say who asks; None: nobody known.

    Raises:
        NotLoggedIn: A token or session was given that lets nobody in.
        Denied: A page asks that is not ours.
    """
    peer = request.scope.get("state", {}).get("peer_uid")
    if peer is not None:
        return access.of_peer(peer)
    given = request.headers.get("authorization", "")
    if given:
        return await _of_token(access, given)
    cookie = session_cookie(request)
    return await _of_session(access, cookie, request) if cookie else None


async def _of_token(access: AccessService, given: str) -> Identity:
    scheme, _, secret = given.partition(" ")
    found = await access.of_token(secret.strip()) if scheme.lower() == "bearer" else None
    if found is None:
        raise NotLoggedIn(
            "this token lets nobody in: it is unknown, expired or revoked",
            hint="`andon admin token create` makes one",
        )
    return found


async def _of_session(access: AccessService, cookie: str, request: Request) -> Identity | None:
    found = await access.of_session(cookie)
    if found is None:
        return None
    identity, csrf = found
    if request.method not in ("GET", "HEAD"):
        refuse_strangers(request)
        if not hmac.compare_digest(request.headers.get(CSRF_HEADER, "").encode(), csrf.encode()):
            raise Denied(
                "this write does not come from our own page",
                hint=f"send the session's csrf as {CSRF_HEADER}",
            )
    return identity


def refuse_strangers(request: Request) -> None:
    """Refuse what a page of another site sends through its visitor's browser.

    Raises:
        Denied: It does.

    Source: W3C Fetch Metadata (``Sec-Fetch-Site``); RFC 6454 (``Origin``).
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin", "")
    stranger = bool(origin) and urlsplit(origin).netloc != request.headers.get("host", "")
    if site not in ("same-origin", "none") or stranger:
        raise Denied(f"{origin or 'another site'} may not ask for its visitors")


async def admit(operation: Operation, call: Call) -> None:
    """Let a caller pass who may do this; refuse and write down everybody else.

    Raises:
        NotLoggedIn: Nobody knows who asks.
        Denied: They may not.
    """
    verb = operation.rule.verb
    if verb is None:
        return
    if call.identity is None:
        await call.access.denied(f"nobody at {call.address}", operation.name, "")
        raise not_logged_in()
    who = call.identity
    if not who.may_somewhere(verb):
        await _refuse(operation, call, who, verb, SOMEWHERE)
    place = await operation.rule.where(call)
    if place != SOMEWHERE and not who.may(verb, place):
        await _refuse(operation, call, who, verb, place)


async def _refuse(
    operation: Operation, call: Call, who: Identity, verb: str, place: str
) -> AndonError:
    await call.access.denied(who.name, operation.name, place, via=who.via)
    raise Denied(
        f"{who.name} may not {verb} {_in_words(place)}",
        hint=f"an administrator grants it: {_grant(who, verb, place)}",
    )


def _in_words(place: str) -> str:
    return {EVERYWHERE: "everywhere", SOMEWHERE: "anywhere"}.get(place, f"in {place}")


_ROLE = {
    "view": "viewer",
    "ship": "developer",
    "hold": "developer",
    "approve": "approver",
    "operate": "operator",
    "administer": "admin",
}


def _grant(who: Identity, verb: str, place: str) -> str:
    kind, _, name = who.name.partition(":")
    where = "" if place in (EVERYWHERE, SOMEWHERE) else f"@{place}"
    if kind == "person":
        return f"andon admin user change {name} --role {_ROLE[verb]}{where}"
    return f"andon admin token create NAME --role {_ROLE[verb]}{where}"
