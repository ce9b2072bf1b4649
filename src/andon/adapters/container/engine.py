"""A container engine on this machine, asked over its Unix socket; standard library only.

Source: Docker Engine API v1.41; podman serves the same paths.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from andon.adapters import unixsocket
from andon.kernel.errors import AndonError, Conflict, NotFound, StepFailed, Unavailable

Json = dict[str, Any]
_ANSWER_SECONDS = 60.0
_PULL_SECONDS = 900.0
_FRAME_BYTES = 8
_CHUNK_BYTES = 1 << 16
_PLACES = ("/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock")


def find_socket(environ: Mapping[str, str]) -> Path:
    """Say where the engine listens: ``$DOCKER_HOST``, or where Docker and podman usually do."""
    told = environ.get("DOCKER_HOST", "")
    if told.startswith("unix://"):
        return Path(told.removeprefix("unix://"))
    own = f"/run/user/{os.getuid()}/podman/podman.sock"
    return next((Path(one) for one in (*_PLACES, own) if Path(one).is_socket()), Path(_PLACES[0]))


class _Connection(HTTPConnection):
    def __init__(self, path: Path, timeout_seconds: float | None) -> None:
        super().__init__("engine", timeout=timeout_seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with unixsocket.address(self._path) as address:
            self.sock.connect(address)


class Engine:
    """A container engine; every call blocks.

    Args:
        socket_path: Where it listens.

    Every method raises Unavailable where nobody does, and NotFound, Conflict or StepFailed for what the
    engine does not know, has already, or cannot make of what it was told.
    """

    def __init__(self, socket_path: Path) -> None:
        self._socket = socket_path

    def ping(self) -> bool:
        """Say whether it answers."""
        try:
            self._ask("GET", "/_ping")
        except Unavailable:
            return False
        return True

    def reaches_internal(self) -> bool:
        """Say whether this machine can reach containers on a network that leads nowhere; podman's cannot."""
        found = self._ask("GET", "/version").get("Components") or []
        return "Podman Engine" not in {one.get("Name") for one in found}

    def has_image(self, image: str) -> bool:
        """Say whether an image is here."""
        try:
            self._ask("GET", f"/images/{quote(image, safe='')}/json")
        except NotFound:
            return False
        return True

    def pull(self, image: str) -> None:
        """Bring an image.

        Raises:
            Unavailable: It cannot be had.
        """
        name, _, digest = image.partition("@")
        query = urlencode({"fromImage": name, "tag": digest} if digest else {"fromImage": name})
        with self._asked("POST", f"/images/create?{query}", None, _PULL_SECONDS) as answer:
            said = [json.loads(line) for line in answer if line.strip()]
        error = next((one["error"] for one in said if "error" in one), "")
        if error:
            raise Unavailable(
                f"the image {image} cannot be pulled: {error}",
                hint="docker pull shows more; the engine needs access to its registry",
            )

    def create(self, name: str, config: Json) -> str:
        """Create a container, or find the one of that name; returns its id."""
        try:
            made: Json = self._ask("POST", f"/containers/create?name={name}", config)
        except Conflict:
            made = self._ask("GET", f"/containers/{name}/json")
        return str(made["Id"])

    def start(self, container: str) -> None:
        """Start a container; one that runs, or has run, is left as it is."""
        if self.inspect(container)["State"]["Status"] in ("created", "configured", "initialized"):
            self._ask("POST", f"/containers/{container}/start")

    def inspect(self, container: str) -> Json:
        """Return what the engine knows of a container."""
        found: Json = self._ask("GET", f"/containers/{container}/json")
        return found

    def wait(self, container: str) -> int:
        """Wait until a container has ended; returns its exit code."""
        with self._asked("POST", f"/containers/{container}/wait", None, None) as answer:
            return int(json.loads(answer.read())["StatusCode"])

    def stop(self, container: str, grace_seconds: int) -> None:
        """End a container; one that is gone is fine."""
        try:
            self._ask("POST", f"/containers/{container}/stop?t={grace_seconds}")
        except NotFound:
            pass

    def remove(self, container: str) -> None:
        """Remove a container, with what it wrote outside of its folders; one that is gone is fine."""
        try:
            self._ask("DELETE", f"/containers/{container}?force=true&v=true")
        except (NotFound, Conflict):  # Gone, or somebody else is removing it.
            pass

    def output(self, container: str) -> Iterator[bytes]:
        """Yield what a container prints, from its beginning to its end."""
        path = f"/containers/{container}/logs?follow=1&stdout=1&stderr=1"
        with self._asked("GET", path, None, None) as answer:
            while len(head := answer.read(_FRAME_BYTES)) == _FRAME_BYTES:
                left = int.from_bytes(head[4:], "big")
                while left and (piece := answer.read(min(left, _CHUNK_BYTES))):
                    left -= len(piece)
                    yield piece

    def execute(self, container: str, command: list[str], env: list[str]) -> int:
        """Run a command in a container that runs; returns its exit code."""
        config = {"Cmd": command, "Env": env, "AttachStdout": True, "AttachStderr": True}
        made = self._ask("POST", f"/containers/{container}/exec", config)["Id"]
        body = {"Detach": False, "Tty": False}
        with self._asked("POST", f"/exec/{made}/start", body, _ANSWER_SECONDS) as answer:
            while answer.read(_CHUNK_BYTES):
                pass
        return int(self._ask("GET", f"/exec/{made}/json")["ExitCode"] or 0)

    # --- networks --------------------------------------------------------------------------------

    def ensure_network(self, name: str, labels: Mapping[str, str], *, internal: bool) -> None:
        """Make a network, unless it is there."""
        if self._networks(name):
            return
        config = {
            "Name": name,
            "Driver": "bridge",
            "Internal": internal,
            "Labels": dict(labels),
            "CheckDuplicate": True,
        }
        try:
            self._ask("POST", "/networks/create", config)
        except Conflict:
            pass

    def remove_network(self, name: str) -> None:
        """Remove a network; one that is gone is fine."""
        for found in self._networks(name):
            try:
                self._ask("DELETE", f"/networks/{found}")
            except NotFound:
                pass

    def _networks(self, name: str) -> list[str]:
        query = urlencode({"filters": json.dumps({"name": [name]})})
        rows = self._ask("GET", f"/networks?{query}") or []
        return [row["Id"] for row in rows if row["Name"] == name]

    # --- asking ----------------------------------------------------------------------------------

    def _ask(self, method: str, path: str, body: Json | None = None) -> Any:
        with self._asked(method, path, body, _ANSWER_SECONDS) as answer:
            data = answer.read()
        try:
            return json.loads(data) if data else None
        except ValueError:
            return data.decode(errors="replace")

    @contextmanager
    def _asked(
        self, method: str, path: str, body: Json | None, timeout_seconds: float | None
    ) -> Iterator[HTTPResponse]:
        connection = _Connection(self._socket, timeout_seconds)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        data = json.dumps(body).encode() if body is not None else None
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            if answer.status >= 400:
                raise _refusal(answer.status, answer.read())
            yield answer
        except (OSError, HTTPException) as error:
            raise Unavailable(
                f"no container engine answers at {self._socket} ({error})",
                hint="systemctl start docker, or podman system service; `andon doctor`",
            ) from None
        finally:
            connection.close()


def _refusal(status: int, data: bytes) -> AndonError:
    try:
        said = str(json.loads(data).get("message", ""))
    except ValueError:
        said = data.decode(errors="replace")
    if status == 404:
        return NotFound(f"the container engine: {said}")
    if status == 409:
        return Conflict(f"the container engine: {said}")
    if status == 400:
        return StepFailed(f"the container engine refused: {said}")
    return Unavailable(f"the container engine failed: {said}", hint="docker info")
