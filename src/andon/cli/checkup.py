"""What ``andon doctor`` looks at; every finding says how to mend what it found."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from andon import __version__
from andon.cli.session import page_of
from andon.kernel.errors import AndonError

if TYPE_CHECKING:
    from andon.api.configuration import Address
    from andon.api.v1.installation import TlsSpec

_LEAST_DISK_BYTES = 200 << 20
_COMFORTABLE_DISK_BYTES = 2 << 30
_COMFORTABLE_DAYS = 14
_LEAST_SQLITE = (3, 37, 0)
_SOUND_YEARS = range(2024, 2100)


class Finding(NamedTuple):
    """One thing that was looked at."""

    level: Literal["ok", "warn", "fail"]
    check: str
    found: str
    mend: str = ""

    def as_json(self) -> dict[str, str]:
        """Return it for machines."""
        return self._asdict()


def examine(state: Path, port: int | None, config: str = "") -> Iterator[Finding]:
    """Look at everything; a check that fails itself becomes a finding, too.

    Args:
        state: The state folder; need not exist.
        port: Port that the page would use; None: the configuration's.
        config: File with the Installation, or empty.
    """
    yield check_python(sys.version_info[:2])
    yield check_sqlite(sqlite3.sqlite_version_info)
    yield _checked("git", _git)
    yield _checked("haproxy", _haproxy)
    yield from _sandbox()
    yield _checked("containers", lambda: check_containers(config))
    yield _checked("state folder", lambda: check_state(state))
    yield _checked("disk", lambda: check_disk(shutil.disk_usage(_existing(state)).free))
    yield _clock(state)
    control = _control_plane(state)
    yield control
    yield from check_configuration(config, port, running=control.level == "ok")
    yield _checked("agent", lambda: _agent(state))


def check_python(version: tuple[int, ...]) -> Finding:
    """Judge the interpreter's version."""
    found = ".".join(map(str, version))
    if version >= (3, 11):
        return Finding("ok", "python", found)
    return Finding("fail", "python", found, "install Python 3.11 or newer")


def check_sqlite(version: tuple[int, ...]) -> Finding:
    """Judge the version of the SQLite library."""
    found = ".".join(map(str, version))
    if version >= _LEAST_SQLITE:
        return Finding("ok", "sqlite", found)
    return Finding("fail", "sqlite", found, "use a Python built with SQLite 3.37 or newer")


def check_disk(free_bytes: int) -> Finding:
    """Judge the free space where the state folder is."""
    found = f"{free_bytes / 2**30:.1f} GiB free"
    mend = "free some space, or use another disk: `--state DIR`"
    if free_bytes >= _COMFORTABLE_DISK_BYTES:
        return Finding("ok", "disk", found)
    return Finding("warn" if free_bytes >= _LEAST_DISK_BYTES else "fail", "disk", found, mend)


def check_state(state: Path) -> Finding:
    """Judge the state folder's permissions."""
    if not state.exists():
        parent = _existing(state)
        if os.access(parent, os.W_OK | os.X_OK):
            return Finding("ok", "state folder", f"{state} (made by `andon up`)")
        return Finding("fail", "state folder", f"{parent} cannot be written", "use `--state DIR`")
    mode = state.stat().st_mode & 0o777
    if not os.access(state, os.R_OK | os.W_OK | os.X_OK):
        return Finding("fail", "state folder", f"{state} cannot be written", f"chmod 700 {state}")
    if mode & 0o077:
        return Finding("warn", "state folder", f"{state} is open to others", f"chmod 700 {state}")
    return Finding("ok", "state folder", str(state))


def check_containers(config: str) -> Finding:
    """Say whether a container engine answers: jobs with an `image` need one.

    Args:
        config: File with the Installation, which may name its socket; or empty.
    """
    from andon.adapters.container import Engine, find_socket
    from andon.cli.engine_options import installation

    try:
        told = installation(config).containers.socket
    except AndonError:
        told = ""  # It is said where the configuration is looked at.
    socket_path = Path(told) if told else find_socket(os.environ)
    if Engine(socket_path).ping():
        return Finding("ok", "containers", f"an engine answers at {socket_path}")
    found = f"no engine answers at {socket_path}; jobs with an `image` cannot run"
    return Finding("warn", "containers", found, "systemctl start docker, or podman system service")


def check_configuration(config: str, port: int | None, *, running: bool) -> Iterator[Finding]:
    """Say whether the page could be served as the configuration wants it.

    Args:
        config: File with the Installation, or empty.
        port: Instead of the configuration's.
        running: The port is rightly taken.
    """
    from andon.api.configuration import parse_address
    from andon.cli.engine_options import installation

    try:
        told = installation(config)
    except AndonError as error:
        yield Finding("fail", "configuration", error.message, error.hint)
        return
    if told.tls:
        yield _checked("certificate", lambda: _certificate(told.tls))
    if not running:
        address = parse_address(told.listen)
        yield check_port(address if port is None else address._replace(port=port))


def check_port(address: Address) -> Finding:
    """Say whether the page's port is free."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError as error:
            mend = "`andon up --port 0` chooses a free one"
            return Finding("fail", "port", f"{address}: {error.strerror}", mend)
    return Finding("ok", "port", f"{address} is free")


def _certificate(files: TlsSpec) -> Finding:
    from andon.runtime.system import SystemClock
    from andon.web.tls import read_pair

    left_days = int((read_pair(files, SystemClock()).expires_at - SystemClock().now()) / 86_400)
    found = f"counts for {left_days} more day{'s' * (left_days != 1)}"
    if left_days >= _COMFORTABLE_DAYS:
        return Finding("ok", "certificate", found)
    return Finding("warn", "certificate", found, f"renew {files.certificate}; Andon sees it itself")


def _checked(check: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except AndonError as error:
        return Finding("fail", check, error.message, error.hint)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("fail", check, str(error))


def _git() -> Finding:
    path = shutil.which("git")
    if path is None:
        return Finding("fail", "git", "not found", "install git, such as: apt-get install git")
    said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10)
    return Finding("ok", "git", said.stdout.strip().removeprefix("git version "))


def _haproxy() -> Finding:
    from andon.adapters.haproxy.binary import find_haproxy

    found = find_haproxy()
    return Finding("ok", "haproxy", f"{'.'.join(map(str, found.version))} ({found.path})")


def _sandbox() -> Iterator[Finding]:
    from andon.adapters.process.capabilities import capabilities

    found = capabilities()
    if found.bubblewrap:
        yield Finding("ok", "bubblewrap", "jobs run in a sandbox")
    else:
        mend = "apt-get install bubblewrap, and allow unprivileged user namespaces"
        yield Finding("warn", "bubblewrap", "jobs run without a sandbox", mend)
    if found.controllers:
        limits = ", ".join(found.controllers)
        yield Finding("ok", "cgroups", f"{found.cgroups}: {limits}")
    else:
        mend = "run under systemd with Delegate=yes"
        yield Finding("warn", "cgroups", "resource limits are not enforced by cgroups", mend)


def _clock(state: Path) -> Finding:
    """Compare the clock with the newest thing in the state folder: time must not run backwards."""
    from andon.runtime.system import SystemClock

    now = SystemClock().now()
    moment = datetime.fromtimestamp(now, UTC)
    record = state / "control.json"
    ahead = record.stat().st_mtime - now if record.exists() else 0.0
    mend = "set the clock, such as: timedatectl set-ntp true"
    if ahead > 60 or moment.year not in _SOUND_YEARS:
        return Finding("fail", "clock", f"{moment:%Y-%m-%d %H:%M:%S} UTC cannot be right", mend)
    return Finding("ok", "clock", f"{moment:%Y-%m-%d %H:%M:%S} UTC")


def _control_plane(state: Path) -> Finding:
    from andon.client.wire import Client

    try:
        health = Client(state, timeout_seconds=5).get("/health")
    except AndonError as error:
        return Finding("warn", "control plane", error.message, error.hint)
    found = _versioned("control plane", health["version"], health["pid"])
    return found._replace(found=", ".join(filter(None, [found.found, page_of(state)])))


def _agent(state: Path) -> Finding:
    import asyncio

    from andon.adapters.agentclient import AgentClient
    from andon.adapters.agentclient.daemon import answers
    from andon.runtime.system import SystemClock

    where = state / "agent" / "agent.sock"
    if not where.exists() or not answers(where):
        return Finding("warn", "agent", "not running", "`andon up` starts it")

    async def ask() -> Finding:
        client = AgentClient(where, SystemClock())
        try:
            hello = await client.hello()
        finally:
            await client.close()
        return _versioned("agent", hello.version, hello.pid)

    return asyncio.run(ask())


def _versioned(check: str, version: str, pid: int) -> Finding:
    found = f"version {version}, process {pid}"
    if version == __version__:
        return Finding("ok", check, found)
    mend = "`andon down`, then `andon up`, to run the installed version"
    return Finding("warn", check, f"{found}; installed is {__version__}", mend)


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())
