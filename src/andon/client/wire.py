"""The control plane as its clients reach it: HTTP over a Unix socket or TLS, standard library only."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from andon.adapters import unixsocket
from andon.kernel.errors import AndonError, TimedOut, Unavailable, UsageError, from_code

SOCKET = "control.sock"
API = "/api/v1"
_JSON = "application/json"
_ANSWER_SECONDS = 120.0
_PIECE_BYTES = 65536


class Server:
    """A control plane that is reached by its address.

    Args:
        url: ``https://host[:port][/prefix]``; ``http`` only on this machine, as a token goes with it.
        token: Service token.
        ca_file: Certificates to trust besides the system's.

    Raises:
        UsageError: The address is none, or would send the token over a network in clear.
    """

    def __init__(self, url: str, token: str = "", ca_file: str = "") -> None:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{url} is no address of a server", hint="https://andon.example.com")
        if parts.scheme == "http" and not _is_here(parts.hostname):
            raise UsageError(
                f"{url} would carry the token over a network in clear",
                hint=f"https://{parts.netloc}",
            )
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self.host, self.port, self.prefix = parts.hostname, parts.port, parts.path.rstrip("/")
        self.secure = parts.scheme == "https"
        self.token = token
        self.ca_file = ca_file

    def connect(self, timeout_seconds: float | None) -> HTTPConnection:
        """Return a connection; nothing is sent yet."""
        if not self.secure:
            return HTTPConnection(self.host, self.port, timeout=timeout_seconds)
        context = ssl.create_default_context()
        if self.ca_file:
            context.load_verify_locations(self.ca_file)
        return HTTPSConnection(self.host, self.port, timeout=timeout_seconds, context=context)


def _is_here(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


class Client:
    """Asks a control plane.

    Args:
        place: The state folder, whose socket knows its owner; or a server, which wants a token.
        timeout_seconds: Longest wait for one answer.
    """

    def __init__(self, place: Path | Server, timeout_seconds: float = _ANSWER_SECONDS) -> None:
        self.place = place
        self._timeout_seconds = timeout_seconds

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """Read ``/api/v1`` + path; query values that are empty or None are left out.

        Raises:
            AndonError: The one the control plane answered with.
            Unavailable: No control plane answers.
            TimedOut: It did not answer in time.
        """
        return self.ask("GET", path, query=query)

    def post(
        self, path: str, body: Mapping[str, Any] | Sequence[Any], content_type: str = _JSON
    ) -> Any:
        """Send JSON; raises as ``get`` does."""
        headers = {"Content-Type": content_type}
        return self.ask("POST", path, body=json.dumps(body).encode(), headers=headers)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Change a part of something; raises as ``get`` does."""
        return self.ask("PATCH", path, body=json.dumps(body).encode())

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """Have something be so; raises as ``get`` does."""
        return self.ask("PUT", path, body=json.dumps(body).encode())

    def delete(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """Take something away; raises as ``get`` does."""
        return self.ask("DELETE", path, query=query)

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send one request and read its answer; raises as ``get`` does."""
        return self.ask_in_full(method, path, query=query, body=body, headers=headers)[0]

    def ask_in_full(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Any, Mapping[str, str]]:
        """Return the answer and its headers, their names in lower case; raises as ``get`` does."""
        given = {"Content-Type": _JSON} if body is not None else {}
        with self._connected(self._timeout_seconds) as connection:
            answer = self._send(
                connection, method, path + _query(query), body, {**given, **(headers or {})}
            )
            content = answer.read()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return _read(answer.status, content), names

    def events(self, after: int = -1) -> Generator[dict[str, Any], None, None]:
        """Follow the event stream until the control plane ends it.

        Args:
            after: Ledger sequence of the last event seen; negative: only what is new.
        """
        with self._connected(None) as connection:
            answer = self._send(connection, "GET", f"/events?after={after}", None, {})
            if answer.status >= 400:
                _read(answer.status, answer.read())
            for line in answer:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])

    def lines(self, path: str, query: Mapping[str, Any]) -> Iterator[bytes]:
        """Read an answer of many lines, one after another; raises as ``get`` does."""
        with self._connected(self._timeout_seconds) as connection:
            answer = self._send(connection, "GET", path + _query(query), None, {})
            if answer.status >= 400:
                _read(answer.status, answer.read())
            yield from answer

    def pieces(self, path: str, query: Mapping[str, Any]) -> Iterator[bytes]:
        """Read an answer of any bytes, so many at a time; raises as ``get`` does."""
        with self._connected(self._timeout_seconds) as connection:
            answer = self._send(connection, "GET", path + _query(query), None, {})
            if answer.status >= 400:
                _read(answer.status, answer.read())
            while piece := answer.read(_PIECE_BYTES):
                yield piece

    def send(self, path: str, lines: Iterable[bytes]) -> Any:
        """Send many lines; raises as ``get`` does."""
        headers = {"Content-Type": "application/x-ndjson"}
        with self._connected(self._timeout_seconds) as connection:
            answer = self._send(connection, "POST", path, iter(lines), headers)
            content = answer.read()
        return _read(answer.status, content)

    def _send(
        self,
        connection: HTTPConnection,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None,
        headers: Mapping[str, str],
    ) -> HTTPResponse:
        sent = dict(headers)
        prefix = ""
        if isinstance(self.place, Server):
            prefix = self.place.prefix
            if self.place.token:
                sent["Authorization"] = f"Bearer {self.place.token}"
        connection.request(method, f"{prefix}{API}{path}", body, sent)
        return connection.getresponse()

    @contextmanager
    def _connected(self, timeout_seconds: float | None) -> Iterator[HTTPConnection]:
        connection = self._connection(timeout_seconds)
        try:
            yield connection
        except TimeoutError:
            raise TimedOut(
                f"{self._named} did not answer within {timeout_seconds:g} s",
                hint="andon doctor",
            ) from None
        except ssl.SSLCertVerificationError as error:
            raise Unavailable(
                f"{self._named} has a certificate that is not trusted: {error.verify_message}",
                hint="ANDON_CA_FILE names a file with certificates to trust",
            ) from None
        except (OSError, HTTPException):
            raise self._absent() from None
        finally:
            connection.close()

    def _connection(self, timeout_seconds: float | None) -> HTTPConnection:
        if isinstance(self.place, Server):
            return self.place.connect(timeout_seconds)
        return _UnixConnection(self.place / SOCKET, timeout_seconds)

    @property
    def _named(self) -> str:
        if isinstance(self.place, Server):
            return self.place.url
        return f"the control plane of {self.place}"

    def _absent(self) -> AndonError:
        if isinstance(self.place, Server):
            return Unavailable(f"no control plane answers at {self.place.url}")
        return Unavailable(
            f"no control plane is running for {self.place}", hint="start it with `andon up`"
        )


class _UnixConnection(HTTPConnection):
    def __init__(self, path: Path, timeout_seconds: float | None) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with unixsocket.address(self._path) as address:
            self.sock.connect(address)


def _query(query: Mapping[str, Any] | None) -> str:
    asked = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in (query or {}).items()
        if value not in ("", None)
    }
    return f"?{urlencode(asked, doseq=True)}" if asked else ""


def _read(status: int, content: bytes) -> Any:
    try:
        value = json.loads(content) if content else None
    except ValueError:
        value = content.decode(errors="replace")
    if status < 400:
        return value
    said = value if isinstance(value, dict) else {"detail": value or f"HTTP status {status}"}
    raise from_code(said.get("code", ""), said.get("detail", ""), said.get("hint", ""))


def part(name: str) -> str:
    """Quote a name that becomes one part of a path."""
    return quote(name, safe="")
