"""The control plane as the command line reaches it: HTTP over a Unix socket, standard library only."""

from __future__ import annotations

import json
import socket
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from andon.adapters import unixsocket
from andon.kernel.errors import TimedOut, Unavailable, from_code

SOCKET = "control.sock"
_JSON = "application/json"
_ANSWER_SECONDS = 120.0


class Client:
    """Asks the control plane of a state folder.

    Args:
        state: The state folder.
        timeout_seconds: Longest wait for one answer.
    """

    def __init__(self, state: Path, timeout_seconds: float = _ANSWER_SECONDS) -> None:
        self.state = state
        self._timeout_seconds = timeout_seconds

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """Read ``/api/v1`` + path; query values that are empty or None are left out.

        Raises:
            AndonError: The one the control plane answered with.
            Unavailable: No control plane answers.
            TimedOut: It did not answer in time.
        """
        asked = {name: value for name, value in (query or {}).items() if value not in ("", None)}
        return self._ask("GET", f"{path}?{urlencode(asked)}" if asked else path, None)

    def post(
        self, path: str, body: Mapping[str, Any] | Sequence[Any], content_type: str = _JSON
    ) -> Any:
        """Send JSON; raises as ``get`` does."""
        return self._ask("POST", path, json.dumps(body).encode(), content_type)

    def delete(self, path: str, query: Mapping[str, Any]) -> Any:
        """Take something away; raises as ``get`` does."""
        return self._ask("DELETE", f"{path}?{urlencode(query)}", None)

    def events(self, after: int = -1) -> Generator[dict[str, Any], None, None]:
        """Follow the event stream until the control plane ends it.

        Args:
            after: Ledger sequence of the last event seen; negative: only what is new.
        """
        with self._connected(None) as connection:
            connection.request("GET", f"/api/v1/events?after={after}")
            for line in connection.getresponse():
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])

    def lines(self, path: str, query: Mapping[str, Any]) -> Iterator[bytes]:
        """Read an answer of many lines, one after another; raises as ``get`` does."""
        with self._connected(self._timeout_seconds) as connection:
            connection.request("GET", f"/api/v1{path}?{urlencode(query)}")
            answer = connection.getresponse()
            if answer.status >= 400:
                _read(answer.status, answer.read())
            yield from answer

    def send(self, path: str, lines: Iterable[bytes]) -> Any:
        """Send many lines; raises as ``get`` does."""
        headers = {"Content-Type": "application/x-ndjson"}
        with self._connected(self._timeout_seconds) as connection:
            connection.request("POST", f"/api/v1{path}", iter(lines), headers)
            answer = connection.getresponse()
            content = answer.read()
        return _read(answer.status, content)

    def _ask(self, method: str, path: str, body: bytes | None, content_type: str = _JSON) -> Any:
        headers = {"Content-Type": content_type} if body is not None else {}
        with self._connected(self._timeout_seconds) as connection:
            connection.request(method, f"/api/v1{path}", body, headers)
            answer = connection.getresponse()
            content = answer.read()
        return _read(answer.status, content)

    @contextmanager
    def _connected(self, timeout_seconds: float | None) -> Iterator[HTTPConnection]:
        connection = _UnixConnection(self.state / SOCKET, timeout_seconds)
        try:
            yield connection
        except TimeoutError:
            raise TimedOut(
                f"the control plane of {self.state} did not answer within {timeout_seconds:g} s",
                hint="andon doctor",
            ) from None
        except (OSError, HTTPException):
            raise Unavailable(
                f"no control plane is running for {self.state}", hint="start it with `andon up`"
            ) from None
        finally:
            connection.close()


class _UnixConnection(HTTPConnection):
    def __init__(self, path: Path, timeout_seconds: float | None) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with unixsocket.address(self._path) as address:
            self.sock.connect(address)


def _read(status: int, content: bytes) -> Any:
    try:
        value = json.loads(content)
    except ValueError:
        value = content.decode(errors="replace")
    if status < 400:
        return value
    said = value if isinstance(value, dict) else {"detail": value or f"HTTP status {status}"}
    raise from_code(said.get("code", ""), said.get("detail", ""), said.get("hint", ""))


def part(name: str) -> str:
    """Quote a name that becomes one part of a path."""
    return quote(name, safe="")
