"""The control plane as Python programs meet it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from andon.api.v1.answers import Change, ChangeWithRuns, Event, Progress, Run, Why
from andon.api.v1.records import TERMINAL
from andon.client.asking import TRIES, decode
from andon.client.operations import Operations
from andon.client.wire import Client, Server
from andon.kernel.errors import AndonError, TimedOut, UsageError

PAGE = 200
LOOK_SECONDS = 1.0
AWAY_SECONDS = 60.0


class Andon(Operations):
    """A control plane.

    Errors are those of ``andon.kernel.errors``: each has a ``code`` and a ``hint``.

    Args:
        url: ``https://host[:port]``, with a token.
        token: Service token.
        ca_file: Certificates to trust besides the system's.
        state: In place of an address: the state folder, whose socket knows its owner.
        timeout_seconds: Longest wait for one answer.
        tries: How often to ask what can be asked again, while the control plane is away.
        pause: Waits so many seconds.
    """

    def __init__(
        self,
        url: str = "",
        *,
        token: str = "",
        ca_file: str = "",
        state: str | os.PathLike[str] = "",
        timeout_seconds: float = 120.0,
        tries: int = TRIES,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        if bool(url) == bool(state):
            raise UsageError(
                "name the control plane by its address or by its state folder",
                hint='Andon("https://andon.example.com", token=...) or Andon(state=".andon")',
            )
        place = Server(url, token, ca_file) if url else Path(state)
        super().__init__(Client(place, timeout_seconds), tries=tries, pause=pause)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ, **more: Any) -> Andon:
        """Return the control plane that ANDON_SERVER (with ANDON_TOKEN, ANDON_CA_FILE) or ANDON_STATE names.

        Raises:
            UsageError: Neither is set.
        """
        url, state = environ.get("ANDON_SERVER", ""), environ.get("ANDON_STATE", "")
        if not url and not state:
            raise UsageError("no control plane is named", hint="set ANDON_SERVER or ANDON_STATE")
        if not url:
            return cls(state=state, **more)
        token, ca_file = environ.get("ANDON_TOKEN", ""), environ.get("ANDON_CA_FILE", "")
        return cls(url, token=token, ca_file=ca_file, **more)

    # --- whole lists -----------------------------------------------------------------------------

    def changes(self, *, page: int = PAGE) -> Iterator[Change]:
        """Go through all Changes, newest first; each once, though new ones come meanwhile."""
        return self._pages(Change, "/changes", {"limit": page})

    def runs(
        self,
        *,
        type: str = "",
        phase: str = "",
        change: str = "",
        service: str = "",
        environment: str = "",
        page: int = PAGE,
    ) -> Iterator[Run]:
        """Go through all Runs of that kind, newest first; each once."""
        filters = {
            "type": type,
            "phase": phase,
            "change": change,
            "service": service,
            "environment": environment,
        }
        return self._pages(Run, "/runs", {**filters, "limit": page})

    def ledger(
        self,
        *,
        after: int = 0,
        stream: str = "",
        chain: str = "",
        subject: str = "",
        type: str = "",
        page: int = PAGE,
    ) -> Iterator[Event]:
        """Go through the ledger from a sequence on, up to its present end."""
        filters = {"stream": stream, "chain": chain, "subject": subject, "type": type}
        return self._pages(Event, "/ledger", {**filters, "after": after, "limit": page})

    # --- what happens ----------------------------------------------------------------------------

    def events(
        self, after: int = -1, *, away_seconds: float = AWAY_SECONDS
    ) -> Iterator[Event | Progress]:
        """Hear what happens, for ever: each event once and in order, however often the line is cut.

        Args:
            after: Sequence of the last event heard; negative: only what is new.
            away_seconds: How long the control plane may be away.

        Yields:
            Events, and Runs whose numbers moved (``kind`` tells which).

        Raises:
            Unavailable: It has been away for longer.
        """
        deadline = time.monotonic() + away_seconds
        while True:
            try:
                for id, item in _items(self.events_follow(after=after)):
                    deadline = time.monotonic() + away_seconds
                    after = after if id is None else id
                    if item is not None:
                        yield item
            except AndonError as error:
                if not error.retry or time.monotonic() > deadline:
                    raise
            self._pause(LOOK_SECONDS)

    def wait(
        self,
        change: str,
        *,
        timeout_seconds: float | None = None,
        look_seconds: float = LOOK_SECONDS,
    ) -> ChangeWithRuns:
        """Wait until a Change has ended, or goes on only if a person lets it (``why`` tells how).

        Args:
            change: Its name.
            timeout_seconds: At most so long; None: for ever.
            look_seconds: Pause between two looks.

        Raises:
            TimedOut: Neither within that time.
        """
        began = time.monotonic()
        while True:
            found = self.changes_show(change)
            if found["phase"] in TERMINAL or waits_for_a_person(self.why(subject=change)):
                return found
            if timeout_seconds is not None and time.monotonic() - began > timeout_seconds:
                raise TimedOut(
                    f"{change} has not ended within {timeout_seconds:g} s",
                    hint=f"andon why {change}",
                )
            self._pause(look_seconds)


def waits_for_a_person(why: Why) -> bool:
    """Say whether only a person lets it go on."""
    held = any(hold["lift"] == "Manual" for hold in why["holds"])
    return held or any(one["person"] for one in why["missing"])


def _items(lines: Iterator[bytes]) -> Iterator[tuple[int | None, Event | Progress | None]]:
    """Read server-sent events: id and content of each, where there are any."""
    id: int | None = None
    data = b""
    for line in lines:
        name, _, value = line.rstrip(b"\r\n").partition(b": ")
        if name == b"id":
            id = int(value)
        elif name == b"data":
            data += value
        elif not name and (data or id is not None):
            yield id, _item(data) if data else None
            id, data = None, b""


def _item(data: bytes) -> Event | Progress:
    value = json.loads(data)
    what = "GET /events"
    if value.get("kind") == "progress":
        return decode(Progress, value, what)
    return decode(Event, value, what)
