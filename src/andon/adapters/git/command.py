"""Runs git so that nothing a repository holds is executed.

Only plumbing is called: porcelain such as ``git log`` obeys the repository's own configuration, which
may name programs. The repository is always given explicitly, so that one of another user can be read.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from andon.kernel.errors import AndonError, InternalError, Unavailable

_LOCAL_SECONDS = 120.0
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
    keep_open: tuple[int, ...] = (),
    give: tuple[int, ...] = (),
) -> bytes:
    """Run git to its end and return what it printed.

    Args:
        arguments: What follows ``git``; anything foreign stands behind ``--`` or in ``input``.
        input: Its standard input.
        env: From ``environment``.
        timeout_seconds: After which it is ended, with all its helpers.
        keep_open: Descriptors (of locks) it holds as long as it lives.
        give: Descriptors that it alone holds from its start on; they are closed here in any case.

    Raises:
        GitFailed: It ended with an error.
        Unavailable: It is not installed, or did not end in time.
    """
    with _started(arguments, env=env or environment(), keep_open=keep_open, give=give) as process:
        try:
            output, errors = process.communicate(input, timeout=timeout_seconds)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(
                f"git {_verb(arguments)} gave no answer within {timeout_seconds:.0f} s"
            ) from error
    if process.returncode:
        raise GitFailed(
            f"git {_verb(arguments)} failed: {sanitised(errors.decode('utf-8', 'replace'))}",
            hint="andon doctor",
        )
    return output


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
    finally:
        for descriptor in give:
            os.close(descriptor)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
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
            self._in.write(name.encode("utf-8", "surrogateescape") + b"\n")
            self._in.flush()
        except BrokenPipeError:
            raise self._broken() from None
        header = self._out.readline()
        if header.endswith((b" missing\n", b" ambiguous\n")):
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
def objects(git_dir: Path) -> Iterator[Objects]:
    """Open a repository for reading objects."""
    arguments = [f"--git-dir={git_dir}", "cat-file", "--batch"]
    with _started(arguments, env=environment()) as process:
        yield Objects(process)
