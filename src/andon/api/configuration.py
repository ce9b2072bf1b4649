"""Read the Installation document: what its fields say of each other, and what an address means."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from msgspec import structs

from andon.api.fragments import document_positions
from andon.api.parse import Parsed, read_documents
from andon.api.positions import Place
from andon.api.problems import Problem
from andon.api.v1.installation import INSTALLATION, InstallationSpec
from andon.kernel.errors import UsageError

WAYS_OUT = (
    "set `tls` (certificate and key) or, if a proxy terminates TLS, `proxy.trusted` "
    "in the file of `andon up --config FILE`"
)
_KIND = re.compile(rb"^kind:[ \t]*[\"']?Installation\b", re.MULTILINE)
_MOST_PORT = 65535
_LOCALHOST = "localhost"


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        """Write it as in an address of the web."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read an address and a port; names other than `localhost` could mean anything and are refused.

    Raises:
        UsageError: It is none.

    >>> parse_address("localhost:80"), str(parse_address("[::1]:7411"))
    (Address(host='127.0.0.1', port=80), '[::1]:7411')
    """
    host, _, port = text.rpartition(":")
    host = "127.0.0.1" if host.lower() == _LOCALHOST else host.removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        port = ""
    if not (port.isascii() and port.isdigit() and len(port) < 6 and int(port) <= _MOST_PORT):
        raise UsageError(
            f"{text!r} is no address to listen on",
            hint="an address and a port, such as 127.0.0.1:7411, 0.0.0.0:443 or [::1]:7411",
        )
    return Address(host, int(port))


def check_listening(installation: InstallationSpec) -> Address:
    """Return where to listen, if nobody can overhear what is said there.

    Raises:
        UsageError: It is no address, or others can reach it and neither Andon nor a proxy encrypts.
    """
    address = parse_address(installation.listen)
    if not (address.is_loopback or installation.tls or installation.proxy):
        raise UsageError(
            f"others can reach {address}, and what is said there is not encrypted", hint=WAYS_OUT
        )
    return address


def host_of(url: str | None) -> str:
    """Return the name in an address of the web; empty without one.

    >>> host_of("https://Andon.example:8443/x"), host_of(None)
    ('andon.example', '')
    """
    try:
        return urlsplit(url or "").hostname or ""
    except ValueError:
        return ""


def is_installation(data: bytes) -> bool:
    r"""Say whether a file means to be one of a host.

    >>> is_installation(b"kind: Installation\n"), is_installation(b"kind: Service\n")
    (True, False)
    """
    return _KIND.search(data) is not None


def read_installation(data: bytes, file: str) -> Parsed:
    """Read the file of ``andon up --config``: exactly one Installation, and all that is wrong with it.

    Args:
        data: The file's bytes.
        file: Its name, for messages.
    """
    parsed = read_documents(data, file, INSTALLATION)
    if parsed.problems:
        return parsed
    if len(parsed.definitions) != 1:
        said = f"expected exactly one Installation, found {len(parsed.definitions)}"
        line = parsed.definitions[1].line if parsed.definitions else 1
        return structs.replace(parsed, problems=(_problem(file, Place(line, 1), "", said, ""),))
    (definition,) = parsed.definitions
    spec: object = definition.spec
    assert isinstance(spec, InstallationSpec)
    places = document_positions(data, definition.line)
    found = tuple(
        _problem(file, places.get(f"spec.{field}", Place(definition.line, 1)), field, said, hint)
        for field, said, hint in _contradictions(spec)
    )
    return structs.replace(parsed, problems=found)


def _problem(file: str, place: Place, field: str, message: str, hint: str) -> Problem:
    return Problem(
        file=file,
        line=place.line,
        column=place.column,
        field=f"spec.{field}" if field else "",
        message=message,
        hint=hint,
    )


def _contradictions(spec: InstallationSpec) -> Iterator[tuple[str, str, str]]:
    """Yield field, message and hint of what no single field can say."""
    try:
        check_listening(spec)
    except UsageError as error:
        yield "listen", error.message, error.hint
    yield from _url(spec)
    for number, network in enumerate(spec.proxy.trusted if spec.proxy else ()):
        if said := _not_a_network(network):
            yield f"proxy.trusted[{number}]", said, "a network such as `10.0.0.0/8` or an address"
    key = spec.secrets_key
    named = [
        name
        for name, given in (
            ("file", key.file),
            ("environment", key.environment),
            ("command", key.command),
        )
        if given
    ]
    if len(named) > 1:
        yield "secretsKey", f"{' and '.join(named)} both say where the key is", "keep one of them"
    if spec.oidc and "openid" not in spec.oidc.scopes:
        yield "oidc.scopes", "without `openid` the provider does not say who it is", "add `openid`"


def _url(spec: InstallationSpec) -> Iterator[tuple[str, str, str]]:
    if spec.url is None:
        return
    if not host_of(spec.url):
        yield "url", "there is no host in it", "such as `https://andon.example.com`"
    elif spec.url.startswith("http://") and (spec.tls or spec.proxy):
        yield "url", "people would be sent to an address without TLS", "`https://…`"


def _not_a_network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        return f"no network: {error}"
    return ""
