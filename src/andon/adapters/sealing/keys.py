"""The installation's key: 32 bytes in base64, from a file, an environment variable or a command."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from andon.adapters.durable import write_once
from andon.api.v1.installation import SecretsKeySpec
from andon.kernel.clock import Randomness
from andon.kernel.errors import Unavailable

KEY_BYTES = 32
MOST_KEY_BYTES = 4096
"""Longest text that is looked at for a key."""
COMMAND_SECONDS = 10.0
_HOW_TO_MAKE = "`openssl rand -base64 32` makes one"


class Key:
    """A key and its name; nothing shows its bytes.

    Args:
        data: 32 bytes.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.id = hashlib.sha256(b"andon secrets key\0" + data).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"Key({self.id})"


def parse_key(text: bytes, where: str) -> Key:
    """Read a key.

    Args:
        text: Base64 of 32 bytes, white space around it.
        where: What the message calls its source.

    Raises:
        Unavailable: It is none.
    """
    try:
        data = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        data = b""
    if len(data) != KEY_BYTES:
        raise Unavailable(f"{where} holds no key: expected 32 bytes in base64", hint=_HOW_TO_MAKE)
    return Key(data)


class KeySource(Protocol):
    """Where keys are found; blocks."""

    def find(self, key_id: str) -> Key:
        """Return the key of that name; with an empty one the key that there is, made if need be.

        Raises:
            Unavailable: It is not there, or cannot be read.
        """
        ...


def key_source(spec: SecretsKeySpec, state: Path, randomness: Randomness) -> KeySource:
    """Return the source that an installation names.

    Args:
        spec: What it says.
        state: Its state folder, where the key lies that Andon made itself.
        randomness: For that one.
    """
    if spec.environment is not None:
        return _Read(f"${spec.environment}", lambda: _variable(str(spec.environment)))
    if spec.command:
        return _Read(f"`{spec.command[0]}`", lambda: _printed(spec.command))
    return KeyFile(Path(spec.file) if spec.file else state / "secrets.key", randomness)


class KeyFile:
    """A file of mode 0600, made when it is first needed.

    While the key is changed, the next one lies beside it with the ending ``.next``; one that was
    replaced lies there with its name as the ending, for copies of the database that it still opens.

    Args:
        path: The file.
        randomness: For a new key.
    """

    def __init__(self, path: Path, randomness: Randomness) -> None:
        self._path = path
        self._randomness = randomness

    def find(self, key_id: str) -> Key:
        """Return the key of that name, or make the first one."""
        if not key_id:
            return self._read(self.make(self._path))
        found = [self._read(path) for path in self._candidates(key_id) if path.exists()]
        key = next((one for one in found if one.id == key_id), None)
        if key is None:
            said = "holds another key than" if self._path.exists() else "is missing:"
            raise Unavailable(
                f"{self._path} {said} the one that sealed the secrets ({key_id})",
                hint=_PUT_BACK,
            )
        return key

    def begin_change(self) -> Key:
        """Return the next key, which counts once everything is sealed by it."""
        return self._read(self.make(self._next))

    def end_change(self, new: Key) -> None:
        """Have the next key be the key, and keep the one before under its name."""
        if not self._next.exists() or self._read(self._next).id != new.id:
            return
        if self._path.exists():
            old = self._read(self._path)
            self._path.rename(self._path.with_name(f"{self._path.name}.{old.id}"))
        self._next.rename(self._path)

    def make(self, path: Path) -> Path:
        """Put a new key where there is none."""
        if not path.exists():
            text = base64.b64encode(self._randomness.token(KEY_BYTES)) + b"\n"
            write_once(path, text)
        return path

    @property
    def _next(self) -> Path:
        return self._path.with_name(f"{self._path.name}.next")

    def _candidates(self, key_id: str) -> Iterator[Path]:
        yield from (self._path, self._next, self._path.with_name(f"{self._path.name}.{key_id}"))

    def _read(self, path: Path) -> Key:
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode & 0o777
                text = file.read(MOST_KEY_BYTES + 1)
        except OSError as error:
            raise Unavailable(
                f"the key of the secrets, {path}, cannot be read: {error.strerror}",
                hint=_PUT_BACK,
            ) from None
        if mode & 0o077:
            raise Unavailable(
                f"{path} may be read by others (mode {mode:04o}): such a key is not used",
                hint=f"chmod 600 {path}; if others could read it, then `andon secret rewrap`",
            )
        return parse_key(text, str(path))


_PUT_BACK = (
    "put the key back that was kept apart from the backup; with another key: "
    "`andon secret rewrap --old-key-file FILE`"
)


class _Read:
    """A key that somebody else keeps."""

    def __init__(self, where: str, read: Callable[[], bytes]) -> None:
        self._where = where
        self._read = read

    def find(self, key_id: str) -> Key:
        key = parse_key(self._read(), self._where)
        if key_id not in ("", key.id):
            raise Unavailable(
                f"{self._where} gives the key {key.id}, but {key_id} sealed the secrets",
                hint=_PUT_BACK,
            )
        return key


def _variable(name: str) -> bytes:
    text = os.environ.get(name, "")
    if not text:
        raise Unavailable(
            f"the key of the secrets is missing: ${name} is not set", hint=_HOW_TO_MAKE
        )
    return text.encode()


def _printed(command: tuple[str, ...]) -> bytes:
    """Run a command that prints the key; what it says is shown to nobody."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise _command_failed(command, str(error.strerror)) from None
    with process:
        try:
            text = _limited(process, command)
            code = process.wait(COMMAND_SECONDS)
        except (Unavailable, subprocess.TimeoutExpired) as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, Unavailable):
                raise
            raise _command_failed(command, "it does not end") from None
    if code:
        raise _command_failed(command, f"exit code {code}")
    return text


def _limited(process: subprocess.Popen[bytes], command: tuple[str, ...]) -> bytes:
    assert process.stdout is not None
    deadline, text = time.monotonic() + COMMAND_SECONDS, b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(text) <= MOST_KEY_BYTES:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise _command_failed(command, f"no answer within {COMMAND_SECONDS:g} s")
            part = os.read(process.stdout.fileno(), MOST_KEY_BYTES)
            if not part:
                return text
            text += part
    raise _command_failed(command, "it prints more than a key")


def _command_failed(command: tuple[str, ...], why: str) -> Unavailable:
    return Unavailable(
        f"the command for the key of the secrets, `{command[0]}`, failed: {why}",
        hint="run it by hand as the user Andon runs as; it must print 32 bytes in base64",
    )
