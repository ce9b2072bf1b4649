"""Calls to addresses that others chose: where they may lead, and how they are made.

A webhook's address comes from a document or over the API. Without a guard it could make this machine,
which stands inside a network, ask questions there for somebody outside of it. So a name is resolved once,
addresses that are not of the public internet are left out, and the connection goes to an address that
was looked at: there is no second lookup that could say something else. Redirects are not followed.

What is let through besides: the loopback address as long as the control plane itself is reached over
loopback and its socket only (whoever may choose an address then is a user of this machine), and what the
person who starts it names with ``--allow-internal``. See docs/adr/0011-outbound-calls.md.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit, urlunsplit

from andon.kernel.errors import Denied, Unavailable, UsageError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Lookup = Callable[[str, int], Sequence[str]]

MOST_ADDRESSES = 4
"""Of one name, tried one after another."""
_PORTS = {"http": 80, "https": 443}
_EMBEDDING = {
    IPv6Network("64:ff9b::/96"): 0,
    IPv6Network("::/96"): 0,
    IPv6Network("::ffff:0:0:0/96"): 0,
    IPv6Network("2002::/16"): 80,
}
"""Networks whose addresses lead to an IPv4 address, and how far from the right that one stands."""
_LOCAL_TRANSLATION = IPv6Network("64:ff9b:1::/48")
"""Leads to an IPv4 address that stands wherever the network's operator puts it."""
_NEVER_BY_NAME = tuple(
    map(ipaddress.ip_network, ("169.254.0.0/16", "fe80::/10", "0.0.0.0/8", "::/128"))
)
"""Where clouds keep their machines' credentials, among others: no name is trusted to mean these."""


def look_up(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a name, as this machine resolves it."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in found]


class Guard:
    """Says where calls may lead.

    Args:
        allow: What may be reached though it is internal: networks (``10.2.0.0/16``), addresses, and
            patterns of names (``*.corp.example``). A name leads to private addresses, never to
            link-local ones: those have to be allowed as a network.
        loopback: Whether this machine's own loopback address may be reached.
        lookup: Resolves names.

    Raises:
        UsageError: A pattern is neither a network nor a name.
    """

    def __init__(
        self, allow: Sequence[str] = (), *, loopback: bool = False, lookup: Lookup = look_up
    ) -> None:
        self.allowed = tuple(allow)
        self.loopback = loopback
        read = [_pattern(text) for text in allow]
        self._networks = tuple(one for one in read if not isinstance(one, str))
        self._names = tuple(one for one in read if isinstance(one, str))
        self._lookup = lookup

    def addresses(self, host: str, port: int) -> list[str]:
        """Resolve a name, once, to where a call may go.

        Raises:
            Denied: It leads to internal addresses only.
            Unavailable: It leads nowhere.
        """
        try:
            found = list(dict.fromkeys(self._lookup(host, port)))
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "no such name"
            raise Unavailable(f"{host} cannot be resolved: {reason}") from None
        let_through = [one for one in found if self.admits(host, ipaddress.ip_address(one))]
        if not let_through:
            raise Denied(
                f"{host} leads to an internal address, which may not be called",
                hint=f"if it should be: andon up --allow-internal {host}",
            )
        return let_through[:MOST_ADDRESSES]

    def connect(self, host: str, port: int, timeout_seconds: float) -> socket.socket:
        """Open a connection to an address that was looked at.

        Args:
            host: Name or address.
            port: Its port.
            timeout_seconds: For all addresses of the name together.

        Raises:
            Denied: It leads to internal addresses only.
            Unavailable: It leads nowhere.
            OSError: Nobody answers there.
        """
        deadline = time.monotonic() + timeout_seconds
        failed: OSError = TimeoutError("timed out")
        for address in self.addresses(host, port):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                return socket.create_connection((address, port), left)
            except OSError as error:
                failed = error
        raise failed

    def admits(self, host: str, address: Address) -> bool:
        """Say whether a call may lead to an address.

        Args:
            host: The name that led there; the address itself if none did.
            address: Where it leads.
        """
        if any(address in network for network in self._networks):
            return True
        if not all(_is_public(end) for end in _embedded(address)):
            return False
        if _is_public(address):
            return True
        if address.is_loopback:
            return self.loopback
        if any(address in network for network in _NEVER_BY_NAME) or address.is_multicast:
            return False
        name = host.rstrip(".").lower()
        return any(fnmatchcase(name, pattern) for pattern in self._names)


LOCAL = Guard(loopback=True)
"""Of an installation that only users of this machine reach."""


def _pattern(text: str) -> Network | str:
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        name = text.lower().rstrip(".")
    if not name or not all(c.isalnum() or c in "-_.*?" for c in name) or "/" in text:
        raise UsageError(
            f"{text!r} is no network and no pattern of names",
            hint="--allow-internal 10.2.0.0/16, or --allow-internal '*.corp.example'",
        )
    return name


def _is_public(address: Address) -> bool:
    inner = isinstance(address, IPv6Address) and (
        address.is_site_local or address in _LOCAL_TRANSLATION
    )
    return address.is_global and not address.is_multicast and not inner


def _embedded(address: Address) -> list[Address]:
    """Return the IPv4 addresses that an IPv6 address stands for (RFC 4291, 6052, 7915, 3056, 4380)."""
    if isinstance(address, IPv4Address):
        return []
    number = int(address)
    found = [
        IPv4Address(number >> shift & 0xFFFFFFFF)
        for network, shift in _EMBEDDING.items()
        if address in network and address not in (IPv6Address("::"), IPv6Address("::1"))
    ]
    teredo = list(address.teredo or ())
    mapped = [address.ipv4_mapped] if address.ipv4_mapped else []
    return [*found, *teredo, *mapped]


def broker_address(text: str, schemes: Sequence[str], hint: str) -> SplitResult:
    """Read the address of a broker, which may hold a user and a password.

    Raises:
        UsageError: It is none, or not of one of the schemes.
    """
    try:
        url = urlsplit(text)
        usable = url.scheme in schemes and url.hostname and url.port != 0
    except ValueError:
        usable = None
    if not usable or not text.isprintable():
        raise UsageError("the broker's address is not usable", hint=hint)
    return url


def at_address(url: SplitResult, address: str) -> str:
    """Return an address with its name resolved.

    >>> at_address(urlsplit("nats://ann:pw@mq.example:4222/line"), "2001:db8::1")
    'nats://ann:pw@[2001:db8::1]:4222/line'
    """
    user, at, _ = url.netloc.rpartition("@")
    place = f"[{address}]" if ":" in address else address
    port = f":{url.port}" if url.port else ""
    return urlunsplit(url._replace(netloc=f"{user}{at}{place}{port}"))


# --- HTTP -----------------------------------------------------------------------------------------


def web_address(text: str, hint: str = "http(s)://host[:port]/path, without a user") -> SplitResult:
    """Read the address of a webhook.

    Raises:
        UsageError: It is none.
    """
    try:
        url = urlsplit(text)
        usable = url.scheme in _PORTS and url.hostname and url.port != 0
    except ValueError:
        usable = None
    plain = text.isascii() and text.isprintable() and " " not in text
    if not usable or not plain or "@" in url.netloc:
        raise UsageError("the webhook's address is not usable", hint=hint)
    return url


class Answer(NamedTuple):
    """What a call was answered.

    Args:
        status: Status code.
        content_type: As the other side says, in lower case and without parameters.
        body: Not longer than what was asked for at most.
    """

    status: int
    content_type: str
    body: bytes


def post(
    url: SplitResult,
    body: bytes,
    headers: Mapping[str, str],
    *,
    guard: Guard,
    timeout_seconds: float,
) -> int:
    """POST once and return the status; the answer's body is not read. See ``exchange``."""
    return exchange(
        "POST", url, body, headers, guard=guard, timeout_seconds=timeout_seconds, most_bytes=0
    ).status


def exchange(
    method: str,
    url: SplitResult,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    guard: Guard,
    timeout_seconds: float,
    most_bytes: int,
) -> Answer:
    """Call once and return the answer; redirects are not followed.

    Args:
        method: ``GET``, ``POST``…
        url: From ``web_address``. Messages name its host only, because its path is often a secret.
        body: What is sent.
        headers: Sent with it.
        guard: Where calls may lead.
        timeout_seconds: For all of it.
        most_bytes: Of the answer's body; 0: it is not read.

    Raises:
        Denied: The address is internal.
        Unavailable: Nobody answers, what answers speaks no HTTP, or it says more than ``most_bytes``.
    """
    host = url.hostname or ""
    connection = GuardedConnection(url, guard, timeout_seconds)
    # A socket's timeout is for one read; the timer ends a side that sends a byte now and then.
    timer = threading.Timer(timeout_seconds, connection.abort)
    timer.daemon = True
    timer.start()
    try:
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection.request(method, path, body, {**headers, "Connection": "close"})
        with connection.getresponse() as response:
            answer = _read(response, host, most_bytes)
        connection.check_time()
        return answer
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise Unavailable(f"{host} does not answer: {reason[:200]}") from error
    finally:
        timer.cancel()
        connection.close()


def _read(response: http.client.HTTPResponse, host: str, most_bytes: int) -> Answer:
    body = response.read(most_bytes + 1) if most_bytes else b""
    if len(body) > most_bytes:
        raise Unavailable(f"{host} answers with more than {most_bytes} bytes")
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return Answer(response.status, kind, body)


class GuardedConnection(http.client.HTTPConnection):
    """A connection to an address that the guard looked at; TLS is with the name.

    Args:
        url: From ``web_address``.
        guard: Where calls may lead.
        timeout_seconds: For connecting, and for each read; ``abort`` ends it sooner.
    """

    def __init__(self, url: SplitResult, guard: Guard, timeout_seconds: float) -> None:
        self._port = url.port or _PORTS[url.scheme]
        self._host = url.hostname or ""
        super().__init__(self._host, self._port, timeout=timeout_seconds)
        self.default_port = _PORTS[url.scheme]
        self._guard = guard
        self._timeout_seconds = timeout_seconds
        self._tls = ssl.create_default_context() if url.scheme == "https" else None
        self._line: socket.socket | None = None
        self._over = False

    def connect(self) -> None:
        """Connect."""
        self.sock = self._guard.connect(self._host, self._port, self._timeout_seconds)
        if self._tls:
            self.sock = self._tls.wrap_socket(
                self.sock, server_hostname=self._host, do_handshake_on_connect=False
            )
        self._line = self.sock
        self.check_time()
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.do_handshake()

    def check_time(self) -> None:
        """Raise TimeoutError if the exchange was ended: what was read may be half of it."""
        if self._over:
            raise TimeoutError("timed out")

    def abort(self) -> None:
        """End the exchange, from another thread."""
        self._over = True
        # `sock` is gone as soon as the answer's head is read; its body still comes on the same line.
        line = self.sock or self._line
        if line is not None:
            try:
                socket.socket.shutdown(line, socket.SHUT_RDWR)
            except OSError:
                pass
