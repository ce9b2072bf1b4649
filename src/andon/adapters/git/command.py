"""Runs git so that nothing a repository holds is executed.

Only plumbing is called: porcelain such as ``git log`` obeys the repository's own configuration, which
may name programs. The repository is always given explicitly, so that one of another user can be read.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from selectors import EVENT_READ, EVENT_WRITE

from andon.kernel.errors import AndonError, InternalError, Unavailable

_LOCAL_SECONDS = 120.0
_READING_SECONDS = 1800.0
"""How long one reader of objects may live: a file of a repository may be a pipe that says nothing."""
MOST_OUTPUT_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 16
_OVERRIDES = (
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.attributesFile", "/dev/null"),
    ("gc.autoDetach", "false"),
    ("maintenance.autoDetach", "false"),
    ("log.showSignature", "false"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
)
_KEPT = (
    "PATH",
    "HOME",
    "LANG",
    "SSH_AUTH_SOCK",
    "GIT_SSH_COMMAND",
    "XDG_CONFIG_HOME",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "TMPDIR",
)


class GitFailed(Unavailable):
    """Git ended with an error; callers that know what it means say so."""


def sanitised(message: str) -> str:
    r"""Return git's own words on one line, without credentials.

    >>> sanitised("fatal: cannot reach https://me:secret@host/x\n")
    'fatal: cannot reach https://***@host/x'
    """
    return re.sub(r"://[^/@\s]*@", "://***@", " ".join(message.split()))[:500]


def environment(
    config: Sequence[tuple[str, str]] = (), *, remote: bool = False, extra: Mapping[str, str] = {}
) -> dict[str, str]:
    """Return the environment git runs in.

    Args:
        config: Settings that win over every configuration file.
        remote: Allow the network, and the user's own configuration (it knows their credentials).
        extra: Further variables.
    """
    settings = [*_OVERRIDES, *config]
    env = {name: os.environ[name] for name in _KEPT if name in os.environ}
    env |= {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "SSH_ASKPASS_REQUIRE": "never",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_ALLOW_PROTOCOL": "https:ssh:git" if remote else "none",
        "GIT_CONFIG_COUNT": str(len(settings)),
        "LC_ALL": "C",
    }
    if not remote:
        env["GIT_CONFIG_GLOBAL"] = "/dev/null"
    for index, (name, value) in enumerate(settings):
        env[f"GIT_CONFIG_KEY_{index}"] = name
        env[f"GIT_CONFIG_VALUE_{index}"] = value
    return {**env, **extra}


def run(
    arguments: Sequence[str],
    *,
    input: bytes = b"",
    env: Mapping[str, str] | None = None,
    timeout_seconds: float = _LOCAL_SECONDS,
    most_bytes: int = MOST_OUTPUT_BYTES,
    keep_open: tuple[int, ...] = (),
    give: tuple[int, ...] = (),
) -> bytes:
    """Run git to its end and return what it printed.

    Args:
        arguments: What follows ``git``; anything foreign stands behind ``--`` or in ``input``.
        input: Its standard input.
        env: From ``environment``.
        timeout_seconds: After which it is ended, with all its helpers.
        most_bytes: It may print; the other side of a fetch has a say in how much that is.
        keep_open: Descriptors (of locks) it holds as long as it lives.
        give: Descriptors that it alone holds from its start on; they are closed here in any case.

    Raises:
        GitFailed: It ended with an error.
        Unavailable: It is not installed, or did not end in time.
    """
    with _started(arguments, env=env or environment(), keep_open=keep_open, give=give) as process:
        said = _Exchange(process, input, timeout_seconds, most_bytes)
        complete = said.run()
    if len(said.output) > most_bytes:
        raise Unavailable(f"git {_verb(arguments)} says more than {most_bytes} bytes")
    if not complete:
        raise Unavailable(f"git {_verb(arguments)} gave no answer within {timeout_seconds:.0f} s")
    if process.returncode:
        raise GitFailed(
            f"git {_verb(arguments)} failed: {sanitised(said.errors.decode('utf-8', 'replace'))}",
            hint="andon doctor",
        )
    return bytes(said.output)


class _Exchange:
    """What a process is told and says, within a time and a size; one that ignores them is ended.

    It is over when the process has closed its output: a helper it left behind (a shared connection of
    ssh) may hold its error output open for ever.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], input: bytes, seconds: float, most_bytes: int
    ) -> None:
        if not (process.stdin and process.stdout and process.stderr):
            raise InternalError("git was started without pipes")
        self._process = process
        self._in, self._out, self._err = process.stdin, process.stdout, process.stderr
        self._input = memoryview(input)
        self._deadline = time.monotonic() + seconds
        self._most_bytes = most_bytes
        self.output, self.errors = bytearray(), bytearray()

    def run(self) -> bool:
        """Say whether it came to its end."""
        with selectors.DefaultSelector() as ready:
            for stream in (self._in, self._out, self._err):
                os.set_blocking(stream.fileno(), False)
                ready.register(stream, EVENT_WRITE if stream is self._in else EVENT_READ)
            while self._out in {key.fileobj for key in ready.get_map().values()}:
                if self._is_over() or not self._step(ready):
                    _end(self._process)
                    return False
        try:
            self._process.wait(max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        with suppress(BlockingIOError):
            self.errors += os.read(self._err.fileno(), _CHUNK_BYTES)
        return True

    def _is_over(self) -> bool:
        return len(self.output) > self._most_bytes or time.monotonic() >= self._deadline

    def _step(self, ready: selectors.BaseSelector) -> bool:
        """Wait until something can be written or read, and do so; False: nothing can in time."""
        events = ready.select(max(0.0, self._deadline - time.monotonic()))
        for key, _ in events:
            ended = self._write() if key.fileobj is self._in else self._read(key.fileobj)
            if ended:
                ready.unregister(key.fileobj)
                if key.fileobj is self._in:
                    self._in.close()
        return bool(events)

    def _write(self) -> bool:
        try:
            self._input = self._input[os.write(self._in.fileno(), self._input[:_CHUNK_BYTES]) :]
        except BrokenPipeError:
            return True
        return not self._input

    def _read(self, stream: object) -> bool:
        if stream is self._out:
            data = os.read(self._out.fileno(), _CHUNK_BYTES)
            self.output += data
        else:
            data = os.read(self._err.fileno(), _CHUNK_BYTES)
            self.errors = (self.errors + data)[-_CHUNK_BYTES:]
        return not data


@contextmanager
def _ended_after(process: subprocess.Popen[bytes], seconds: float) -> Iterator[None]:
    """End a process that takes too long."""
    timer = threading.Timer(seconds, _end, [process])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def _started(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    keep_open: tuple[int, ...] = (),
    give: tuple[int, ...] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    try:
        process = subprocess.Popen(
            ["git", "--no-pager", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env),
            cwd="/",
            start_new_session=True,  # no terminal to ask on, and one group to end
            pass_fds=(*keep_open, *give),
        )
    except FileNotFoundError as error:
        raise Unavailable("git is not installed", hint="andon doctor") from error
    except (OSError, ValueError) as error:  # more settings than a process can be given, for one
        raise Unavailable(f"git cannot be started: {error}", hint="andon doctor") from error
    finally:
        for descriptor in give:
            os.close(descriptor)
    try:
        yield process
    finally:
        if process.poll() is None:
            _end(process)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass
        process.wait()


def _verb(arguments: Sequence[str]) -> str:
    return next((word for word in arguments if not word.startswith("-")), "")


class Objects:
    """Reads objects of one repository through a single ``git cat-file --batch``."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is None or process.stdout is None:
            raise InternalError("git cat-file was started without pipes")
        self._process, self._in, self._out = process, process.stdin, process.stdout

    def find(self, name: str) -> tuple[str, str, int] | None:
        """Ask for an object; its content must then be read with ``chunks``.

        Args:
            name: A name as in gitrevisions(7); it travels by standard input, so that it is no option.

        Returns:
            Its full id, type and size in bytes; None if there is none, or more than one.
        """
        if "\n" in name or "\0" in name:
            return None
        try:
            asked = os.fsencode(name)
        except UnicodeEncodeError:
            return None  # nothing is called so
        try:
            self._in.write(asked + b"\n")
            self._in.flush()
        except BrokenPipeError:
            raise self._broken() from None
        header = self._out.readline()
        if header.endswith((b" missing\n", b" ambiguous\n", b" submodule\n")):
            return None
        words = header.split()
        if len(words) != 3:
            raise self._broken()
        return words[0].decode(), words[1].decode(), int(words[2])

    def chunks(self, size_bytes: int) -> Iterator[bytes]:
        """Yield the content of the object just found."""
        left = size_bytes
        while left:
            chunk = self._out.read(min(left, 1 << 20))
            if not chunk:
                raise self._broken()
            left -= len(chunk)
            yield chunk
        self._out.read(1)

    def content(self, name: str, most_bytes: int = 64 << 20) -> tuple[str, str, bytes] | None:
        """Return an object's id, type and whole content."""
        found = self.find(name)
        if found is None:
            return None
        if found[2] > most_bytes:
            raise Unavailable(f"{name} has {found[2]} bytes; at most {most_bytes} are read at once")
        return found[0], found[1], b"".join(self.chunks(found[2]))

    def _broken(self) -> AndonError:
        return Unavailable("git stopped reading the repository: it may be damaged", hint="git fsck")


@contextmanager
def objects(git_dir: Path, longest_seconds: float = _READING_SECONDS) -> Iterator[Objects]:
    """Open a repository for reading objects, for so long at most."""
    arguments = [f"--git-dir={git_dir}", "cat-file", "--batch"]
    with (
        _started(arguments, env=environment()) as process,
        _ended_after(process, longest_seconds),
    ):
        yield Objects(process)
