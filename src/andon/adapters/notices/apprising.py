"""Apprise, which knows the ways of many services, in a process that can call nobody whom it may not.

Apprise calls by itself, each service in its own manner: over ``requests`` with redirects, by SMTP, by MQTT,
by sockets of its own, or through the desktop and its buses. So it is started anew for each notice, with an
audit hook that looks at every connection before it is made, by the installation's own rules for outbound
calls, and lets nothing be started, read by the system's log or reached on this machine's own sockets. What
would go past Python (compiled buses) is refused by scheme.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, NoReturn
from urllib.parse import urlsplit

from andon.adapters.outbound import Guard
from andon.kernel.errors import Denied, Unavailable
from andon.ports.notices import Notice
from andon.ports.sinks import NotTaken

TIMEOUT_SECONDS = 60.0
HERE_ONLY = frozenset(
    {
        "dbus", "exec", "file", "glib", "gnome", "growl", "kde", "macosx", "qt", "syslog", "windows",
    }
)  # fmt: skip
"""Schemes that tell this machine, or go past what can be looked at."""
_CONNECTING = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_NEVER = frozenset(
    {
        "ctypes.dlopen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system",
        "pty.spawn", "socket.bind", "subprocess.Popen", "syslog.openlog", "syslog.syslog",
    }
)  # fmt: skip
_ENVIRONMENT = ("LANG", "LC_ALL", "PATH", "PYTHONPATH", "SSL_CERT_DIR", "SSL_CERT_FILE")
"""All that it gets to see: no proxies, which would lead elsewhere, and nobody's secrets."""


class Apprising:
    """Hands notices to Apprise.

    Args:
        guard: Where calls may lead.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def send(self, urls: Sequence[str], told: Notice, where: str) -> None:
        """Tell everybody whom addresses name.

        Args:
            urls: As Apprise writes them; secret.
            told: What.
            where: The addresses' file, for messages.

        Raises:
            Unavailable: The extra is not there, or there was no end to it.
            NotTaken: Somebody there did not take it.
            Denied: An address is none, or leads where no call may lead.
        """
        for number, url in enumerate(urls, 1):
            scheme = urlsplit(url).scheme.lower()
            if scheme in HERE_ONLY:
                raise Denied(
                    f"address {number} of {where} ({scheme}://) tells this machine itself, or cannot be "
                    "watched: it is not called"
                )
        asked = {
            "urls": list(urls),
            "title": told.subject,
            "body": "\n".join((*told.lines, told.url)),
            "allow": list(self._guard.allowed),
            "loopback": self._guard.loopback,
        }
        said = await asyncio.to_thread(_ask, json.dumps(asked).encode(), where)
        _judge(said, where)


def _ask(question: bytes, where: str) -> dict[str, Any]:
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "andon.adapters.notices.apprising"],
            input=question,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(
            f"whom {where} names did not answer for {TIMEOUT_SECONDS:.0f} s"
        ) from None
    try:
        said: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise Unavailable(f"Apprise ended with {done.returncode} and said nothing") from None
    return said


def _judge(said: dict[str, Any], where: str) -> None:
    if said.get("missing"):
        raise Unavailable("Apprise needs the extra `notify`", hint="pip install 'andon[notify]'")
    if number := said.get("unknown"):
        raise Denied(f"address {number} of {where} is none that Apprise knows")
    if refused := said.get("refused"):
        raise Denied(
            f"whom {where} names leads to {refused}, which may not be called",
            hint=f"if it should be: andon up --allow-internal {refused}",
        )
    if not said.get("taken"):
        raise NotTaken(f"somebody whom {where} names did not take the notice")


# --- in the process -------------------------------------------------------------------------------


class Watched:
    """Looks at what this process is about to do, from now on and for ever.

    Args:
        guard: Where calls may lead.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._names: dict[str, str] = {}
        self._look_up = socket.getaddrinfo
        self.refused = ""

    def begin(self) -> None:
        """Watch; nothing can end that."""
        socket.getaddrinfo = self._resolve
        sys.addaudithook(self._hear)

    def _resolve(self, host: Any, port: Any, *args: Any, **more: Any) -> Any:
        """Resolve, and remember which name an address is of: rules are about names, too."""
        found = self._look_up(host, port, *args, **more)
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
        self._names.update({str(info[4][0]): name for info in found})
        return found

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event in _NEVER:
            self._refuse(event)
        if event in _CONNECTING and args[1] is not None:
            self._admit(args[0], args[1])

    def _admit(self, end: socket.socket, address: Any) -> None:
        if end.family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
            self._refuse("a socket of this machine")
        host = str(address[0])
        try:
            admitted = self._guard.admits(
                self._names.get(host, host), ipaddress.ip_address(host.partition("%")[0])
            )
        except ValueError:  # A name that would be resolved behind our back.
            admitted = False
        if not admitted:
            self._refuse(self._names.get(host, host))

    def _refuse(self, what: str) -> NoReturn:
        self.refused = self.refused or what
        raise PermissionError(f"{what} may not be called")


def _tell(asked: dict[str, Any]) -> dict[str, Any]:
    try:
        import apprise
    except ImportError:
        return {"missing": True}
    way = apprise.Apprise()
    watched = Watched(Guard(asked["allow"], loopback=asked["loopback"]))
    for number, url in enumerate(asked["urls"], 1):
        if not way.add(url):
            return {"unknown": number}
    watched.begin()
    taken = bool(way.notify(title=asked["title"], body=asked["body"]))
    return {"taken": taken, "refused": watched.refused}


def main() -> None:
    """Read what is to be told, and say what became of it."""
    answer = _tell(json.loads(sys.stdin.buffer.read()))
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
