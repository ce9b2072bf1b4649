"""Who asks, and may they? Asked before every operation, from the rule in its row."""

from __future__ import annotations

import hmac
from base64 import b64decode
from urllib.parse import urlsplit

from msgspec import Struct
from starlette.requests import Request

from andon.api.v1.access import EVERYWHERE, Identity, Verb
from andon.kernel.errors import AndonError, Denied, NotLoggedIn
from andon.ports.access import AccessService
from andon.web.operations import SOMEWHERE, Call, Operation, not_logged_in

CSRF_HEADER = "x-andon-csrf"
COOKIE = "andon_session"
SECURE_COOKIE = "__Host-andon_session"
"""Name of the cookie where TLS is used: a browser takes it from this very host only."""


def is_encrypted(request: Request) -> bool:
    """Say whether the way to the client is, whoever does it."""
    return bool(request.scope["scheme"] == "https")


def session_cookie(request: Request) -> str:
    """Return the cookie of the session, or nothing.

    Where TLS is used only that name counts which a browser lets nobody else set: a neighbour of our host,
    or who sits on the line, could have it log in as somebody else with the other.
    """
    return request.cookies.get(SECURE_COOKIE if is_encrypted(request) else COOKIE, "")


class Credential(Struct, frozen=True):
    """What somebody brings to be let in by.

    Args:
        peer: Account at the other end of the Unix socket; None: it came over TCP.
        bearer: Header ``Authorization``.
        cookie: Of a session.
    """

    peer: int | None
    bearer: str
    cookie: str

    def holder(self, access: AccessService) -> Identity | None:
        """Say whom it lets in now, with what they may do now; None: nobody."""
        if self.peer is not None:
            return access.of_peer(self.peer)
        if self.bearer:
            return _of_token(access, self.bearer)
        session = access.of_session(self.cookie)
        return session[0] if session else None


def credential(request: Request) -> Credential:
    """Return what a request brings."""
    return Credential(
        request.scope.get("state", {}).get("peer_uid"),
        request.headers.get("authorization", ""),
        session_cookie(request),
    )


async def identify(
    access: AccessService, request: Request, operation: str, address: str, *, basic: bool = False
) -> Identity | None:
    """Say who asks; None: nobody known.

    Args:
        access: Knows everybody.
        request: What is asked.
        operation: Its name.
        address: Where it comes from.
        basic: A token may be the password of HTTP Basic. Only for what reads: a browser sends that along
            with requests of other sites' pages.

    Raises:
        NotLoggedIn: A token was given that lets nobody in.
        Denied: A page asks that is not ours.
    """
    brought = credential(request)
    if brought.peer is not None:
        return access.of_peer(brought.peer)
    if brought.bearer:
        found = _of_token(access, _bearer_of(brought.bearer) if basic else brought.bearer)
        if found is None:
            await access.denied(f"nobody at {address}", operation, "", via="a token that is none")
            raise NotLoggedIn(
                "this token lets nobody in: it is unknown, expired or revoked",
                hint="`andon admin token create` makes one",
            )
        return found
    session = access.of_session(brought.cookie) if brought.cookie else None
    if session is None:
        return None
    identity, csrf = session
    if request.method not in ("GET", "HEAD"):
        try:
            _refuse_forgeries(request, csrf)
        except Denied:
            await access.denied(identity.name, operation, "", via="a page that is not ours")
            raise
    return identity


def _bearer_of(header: str) -> str:
    """Read the token out of HTTP Basic; whatever else is left as it is."""
    scheme, _, content = header.partition(" ")
    if scheme.lower() != "basic":
        return header
    try:
        return f"Bearer {b64decode(content, validate=True).decode().partition(':')[2]}"
    except ValueError:
        return header


def _of_token(access: AccessService, bearer: str) -> Identity | None:
    scheme, _, secret = bearer.partition(" ")
    return access.of_token(secret.strip()) if scheme.lower() == "bearer" else None


def _refuse_forgeries(request: Request, csrf: str) -> None:
    refuse_strangers(request)
    if not hmac.compare_digest(request.headers.get(CSRF_HEADER, "").encode(), csrf.encode()):
        raise Denied(
            "this write does not come from our own page",
            hint=f"send the session's csrf as {CSRF_HEADER}",
        )


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
    await _expect_role(operation, call, call.identity, verb)
    if operation.rule.reads and not call.identity.may("administer"):
        await _expect_known(operation, call, call.identity)


async def _expect_role(operation: Operation, call: Call, who: Identity, verb: Verb) -> None:
    if who.may(verb):
        return
    if not who.may_somewhere(verb):
        await _refuse(operation, call, who, verb, SOMEWHERE)
    place = await operation.rule.where(call)
    if place != SOMEWHERE and not who.may(verb, place):
        await _refuse(operation, call, who, verb, place)


async def _expect_known(operation: Operation, call: Call, who: Identity) -> None:
    """Refuse a repository that is not on the line: its first commit is judged by its own rules.

    It may also be a folder of the host, or an address inside the network; whether there is one is not said.
    """
    repository = (call.query if call.body is None else call.body).repository
    if await call.line.knows(repository):
        return
    where = await operation.rule.where(call)
    await call.access.denied(who.name, operation.name, where, via=who.via)
    raise Denied(
        f"{repository[:200]!r} was never shipped, and the first commit of a repository brings its rules",
        hint="an administrator ships it first, by exactly this name",
    )


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
    "work": "worker",
    "tell": "reporter",
}


def _grant(who: Identity, verb: str, place: str) -> str:
    kind, _, name = who.name.partition(":")
    where = "" if place in (EVERYWHERE, SOMEWHERE) else f"@{place}"
    if kind == "person":
        return f"andon admin user change {name} --role {_ROLE[verb]}{where}"
    return f"andon admin token create NAME --role {_ROLE[verb]}{where}"
