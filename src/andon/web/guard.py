"""What requests over TCP may claim: whom they come from, and which name they are for.

A proxy that is trusted says for whom it asks; anybody else who says so is not believed. A name that merely
resolves to the loopback address (DNS rebinding) would let any web page of a local browser in, so there only
local names are answered, and the name the installation has.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from andon.api.configuration import Address, host_of
from andon.api.v1.installation import InstallationSpec
from andon.kernel.errors import AndonError, Denied, UsageError
from andon.web.answers import problem
from andon.web.headers import SecurityHeaders

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_SCHEMES = frozenset({"http", "https"})

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Forwarded:
    """An ASGI application that is told the real client.

    Args:
        app: The application.
        trusted: Networks whose word counts; without any, nobody's does.
    """

    def __init__(self, app: ASGIApp, trusted: Iterable[str]) -> None:
        self._app = app
        self._trusted = tuple(map(ipaddress.ip_network, trusted))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on as the client's own."""
        if scope["type"] == "http" and scope["client"] and self._trusts(scope["client"][0]):
            headers = Headers(scope=scope)
            scheme = _last(headers, "x-forwarded-proto").lower()
            scope = {
                **scope,
                "client": self._client(headers) or scope["client"],
                "scheme": scheme if scheme in _SCHEMES else scope["scheme"],
            }
        await self._app(scope, receive, send)

    def _trusts(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self._trusted)

    def _client(self, headers: Headers) -> tuple[str, int] | None:
        """Return the first from the right that is no proxy of ours: left of it anybody may have written."""
        found: _Address | None = None
        for said in reversed(",".join(headers.getlist("x-forwarded-for")).split(",")):
            address = _address(said)
            if address is None:
                break
            found = address
            if not self._trusts(str(address)):
                break
        return (str(found), 0) if found else None


class KnownHosts:
    """An ASGI application that answers only to its names.

    Args:
        app: The application.
        names: As in the header ``Host``, without the port.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        hosts = Headers(scope=scope).getlist("host")
        known = len(hosts) == 1 and _name(hosts[0]) in self._names
        if scope["type"] == "http" and not known:
            await _refuse(_another_name(hosts, self._names), scope, receive, send)
        else:
            await self._app(scope, receive, send)


def guarded(app: ASGIApp, installation: InstallationSpec, address: Address) -> ASGIApp:
    """Return what is served over TCP.

    Args:
        app: The application.
        installation: Its name, and whom it trusts.
        address: Where it listens.
    """
    names = known_names(installation, address)
    named = KnownHosts(app, names) if names else app
    return Forwarded(named, installation.proxy.trusted) if installation.proxy else named


def known_names(installation: InstallationSpec, address: Address) -> frozenset[str]:
    """Return the names that are answered to; none: to all.

    >>> sorted(known_names(InstallationSpec(url="https://andon.example"), Address("0.0.0.0", 80)))
    ['andon.example']
    """
    own = frozenset(filter(None, [_bracketed(host_of(installation.url))]))
    return own | LOCAL_NAMES | {_bracketed(address.host)} if address.is_loopback else own


async def _refuse(error: AndonError, scope: Scope, receive: Receive, send: Send) -> None:
    await SecurityHeaders(problem(error))(scope, receive, send)


def _another_name(hosts: list[str], names: frozenset[str]) -> AndonError:
    if len(hosts) != 1:
        return UsageError("a request names exactly one host")
    return Denied(
        f"this address answers only to {', '.join(sorted(names))}, not to {hosts[0][:80]!r}",
        hint="open the address that `andon up` printed; `url` in the file of `andon up --config` "
        "adds a name",
    )


def _last(headers: Headers, name: str) -> str:
    return ",".join(headers.getlist(name)).rpartition(",")[2].strip()


def _address(said: str) -> _Address | None:
    """Read an address, as proxies write it: with a port or without."""
    text = said.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _name(host: str) -> str:
    """Return the host without its port.

    >>> _name("127.0.0.1:7411"), _name("[::1]:7411"), _name("localhost")
    ('127.0.0.1', '[::1]', 'localhost')
    """
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()
