"""Follows a Change until it ends or a person must act, and shows it meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from andon.cli.commands.why import tell_why
from andon.cli.output import clock_time, faint, run_title, say, show, state
from andon.cli.session import Session
from andon.client.wire import part
from andon.kernel.errors import Conflict, Held, StepFailed, TimedOut, Unavailable

POLL_SECONDS = 0.3
ROTATION = "rotation-"
PATIENCE_SECONDS = 60.0
"""A control plane that is restarted has this long to come back."""

_EXIT_CODES = {
    "Succeeded": 0,
    "Failed": StepFailed.exit_code,
    "RolledBack": StepFailed.exit_code,
    "Cancelled": Conflict.exit_code,
}
_MOVING = frozenset({"Pending", "Running"})

Json = dict[str, Any]


class Display(Protocol):
    """Shows a Change every time it was looked at."""

    def update(self, change: Json) -> None:
        """Show how it stands."""
        ...


def follow(
    session: Session, name: str, timeout_seconds: float = 0, known: Json | None = None
) -> int:
    """Follow a Change and tell how it ended.

    Args:
        session: The call.
        name: The Change.
        timeout_seconds: Longest wait; 0: as long as it takes.
        known: What else programs are told of it.

    Returns:
        The exit code: 0 done, 8 failed or rolled back, 5 superseded or cancelled, 10 held for a person.

    Raises:
        TimedOut: It has not ended in time; it goes on by itself.
    """
    with _display(session) as display:
        change, why = _watch(session, name, timeout_seconds, display)
    code = exit_code(change, why)
    if session.json:
        told = {"change": change, "why": why, "exitCode": code, **(known or {})}
        show(session, told, lambda _: ())
        return code
    say(session, f"{change['name']}: {state(change['phase'])}  {change['statusMessage']}".rstrip())
    for line in tell_why(why) if code else ():
        say(session, line)
    return code


def exit_code(change: Json, why: Json) -> int:
    """Return what a Change that is no longer followed means to a caller."""
    return _EXIT_CODES.get(change["phase"], Held.exit_code if needs_person(why) else 0)


def needs_person(why: Json) -> bool:
    """Say whether nothing goes on until a person opens something.

    A Hold that lifts itself and Evidence that is still being gathered are only waited for; but not a
    budget that takes days to recover where a person's consent, or an override, opens it now.
    """
    held = any(
        hold["lift"] == "Manual" or hold.get("effects", {}).get("deploy") in ("approval", "deny")
        for hold in why.get("holds", ())
    )
    return held or any(one["person"] for one in why.get("missing", ()))


def _watch(
    session: Session, name: str, timeout_seconds: float, display: Display
) -> tuple[Json, Json]:
    began = time.monotonic()
    for change in _looks(session, name):
        display.update(change)
        if change["phase"] in _EXIT_CODES:
            return change, {} if change["phase"] == "Succeeded" else _why(session, name)
        if not any(run["phase"] in _MOVING or _ends_change(run) for run in change["runs"]):
            why = _why(session, name)
            if needs_person(why):
                return change, why
        if timeout_seconds and time.monotonic() - began > timeout_seconds:
            raise TimedOut(
                f"{name} is still {change['phase']} after {timeout_seconds:g} s; it goes on",
                hint=f"andon why {name}",
            )
    raise AssertionError("looking never ends by itself")


def _ends_change(run: Json) -> bool:
    """Say whether a Run ended so that its Change ends, too, if only a turn later.

    A rotation of a secret is a Run of the Change that it rolls out again, and no part of its way.
    """
    return bool(_EXIT_CODES.get(run["phase"], 0)) and not run["name"].startswith(ROTATION)


def _looks(session: Session, name: str) -> Iterator[Json]:
    """Look again and again, over restarts of the control plane."""
    client, lost_at = session.client, 0.0
    while True:
        try:
            change: Json = client.get(f"/changes/{part(name)}")
            lost_at = 0.0
            yield change
        except Unavailable:
            lost_at = lost_at or time.monotonic()
            if time.monotonic() - lost_at > PATIENCE_SECONDS:
                raise
        time.sleep(POLL_SECONDS)


def _why(session: Session, name: str) -> Json:
    answer: Json = session.client.get("/why", {"subject": name})
    return answer


def _display(session: Session) -> AbstractContextManager[Display]:
    if session.live:
        from andon.cli.live import LiveDisplay

        return LiveDisplay(color=session.colorful)
    return nullcontext(_Silent() if session.json else Lines(session))


class _Silent:
    def update(self, change: Json) -> None:
        """Show nothing."""


class Lines:
    """A line for everything that is new."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._said: set[str] = set()

    def update(self, change: Json) -> None:
        """Print what was not printed yet."""
        for line, at in news(change):
            if line not in self._said:
                self._said.add(line)
                say(self._session, f"{faint(clock_time(at))}  {line}")


def news(change: Json) -> Iterator[tuple[str, float]]:
    """Yield a line, and its moment, for everything that has happened to a Change so far."""
    for run in change["runs"]:
        subject = run_title(run)
        for step in run["steps"]:
            if step["state"] != "waiting":
                said = f": {_first(step['message'])}" if step["state"] == "failed" else ""
                at = step["finishedAt"] or step["startedAt"]
                yield f"{subject} · {step['name']} {state(step['state'])}{said}", at
        if run["canaryRequests"] and run["weight"]:
            yield f"{subject} takes {run['weight']:g} % of the traffic", run["startedAt"]
        if run["reason"] == "NoTraffic":
            yield f"{subject} waits: {run['message']}", run["startedAt"]
        if run["phase"] not in _MOVING:
            said = f": {_first(run['message'])}" if run["message"] else ""
            yield f"{subject} {state(run['phase'])}{said}", run["finishedAt"]


def _first(text: str) -> str:
    return text.strip().partition("\n")[0]
