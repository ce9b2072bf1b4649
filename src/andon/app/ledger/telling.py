"""Events of the ledger in one line, for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from andon.app.access.telling import NOUNS as ACCESS
from andon.app.access.telling import tell_access
from andon.ports.store import LedgerRow


class _Told(Struct, frozen=True):
    """An event, taken apart."""

    row: LedgerRow
    noun: str
    verb: str
    body: Mapping[str, Any]
    content: Mapping[str, Any]

    @property
    def about(self) -> str:
        return self.row.subject

    @property
    def place(self) -> str:
        found: str = self.content.get("environment", {}).get("id", "")
        return found

    @property
    def by(self) -> str:
        return str(self.content.get("by", "")).removeprefix("person:")

    def said(self, name: str) -> Any:
        """Return a field of the content."""
        return self.content.get(name)

    def why(self, name: str = "errors") -> str:
        """Return a reason with a colon before it, if there is one."""
        return f": {self.content[name]}" if self.content.get(name) else ""


def event_body(row: LedgerRow) -> dict[str, Any]:
    """Return the CloudEvent."""
    body: dict[str, Any] = json.loads(row.body) if row.body else {}
    return body


def tell_event(row: LedgerRow) -> str:
    """Tell an event in one line."""
    return _tell(_taken_apart(row)).partition("\n")[0]


def _taken_apart(row: LedgerRow) -> _Told:
    kind = row.type.removeprefix("dev.cdevents.").removeprefix("dev.cdeventsx.")
    noun, verb = kind.split(".")[:2]
    body = event_body(row)
    content = body.get("data", {}).get("subject", {}).get("content", {})
    return _Told(row, noun, verb, body, content)


def _tell(one: _Told) -> str:
    if not one.row.body:
        return f"{_plainly(one)}; its body is erased"
    if one.noun in ACCESS:
        return tell_access(one.noun, one.verb, one.about, one.content)
    return _TELLERS.get(one.noun, _plainly)(one)


def _plainly(one: _Told) -> str:
    return f"{one.noun.removeprefix('andon-')} {one.about} {one.verb}"


def _service(one: _Told) -> str:
    said = {"rolledback": "rolled back"}.get(one.verb, one.verb)
    return f"{one.about} {said} in {one.place}"


def _incident(one: _Told) -> str:
    return f"incident {one.verb}: {one.content.get('description', one.about)}"


def _run(one: _Told) -> str:
    if one.verb == "finished":
        return f"{one.about} ended with {one.said('outcome')}{one.why()}"
    return f"{one.about} {one.verb}"


def _job(one: _Told) -> str:
    state = one.body.get("customData", {}).get("state") or one.said("outcome")
    return f"job {one.said('taskName')} ended as {state}{one.why()}"


def _turn(one: _Told) -> str:
    behind = f"{one.said('behind')}, one at a time in group {one.said('group')}"
    return f"{one.about} waits for {behind}"


def _flake(one: _Told) -> str:
    times = f"passed on attempt {one.said('attempts')} only"
    return f"job {one.said('taskName')} {times}; before: {one.said('failed')}"


def _hold(one: _Told) -> str:
    if one.verb == "pulled":
        return f"held ({one.said('source')}), {one.said('scope')}: {one.said('reason')}"
    return f"hold {one.about} {one.verb}: {one.content.get('reason', '')}"


def _change(one: _Told) -> str:
    if one.verb == "finished":
        return f"{one.about} ended as {one.said('phase')}{one.why('reason')}"
    return _plainly(one)


def _event(one: _Told) -> str:
    if one.verb == "received":
        return f"{one.said('source')} says {one.said('type')} of {one.about}"
    return _plainly(one)


def _delivery(one: _Told) -> str:
    return f"{one.about} was not told of {one.said('event')}: {one.said('reason')}"


def _hook(one: _Told) -> str:
    return f"{one.by} {one.verb} hook {one.about}"


def _approval(one: _Told) -> str:
    if one.verb == "requested":
        given = f"{len(one.content.get('given', ()))} of {one.said('count')}"
        job = f", job {one.said('job')}," if one.said("job") else ""
        return f"{one.about}{job} waits for people's approval ({given})"
    done = "approves" if one.verb == "given" else "no longer approves"
    where = one.said("job") or one.row.stream.removeprefix("env/")
    return f"{one.by} {done} {one.row.chain} for {where}: {one.content.get('reason', '')}"


def _secret(one: _Told) -> str:
    if one.verb == "released":
        return f"{one.about} begins: {one.said('reason')}"
    if one.verb == "sealed":
        return f"{one.said('by')} has another key seal the secrets"
    version = f"version {one.said('version')}"
    return f"secret {one.about} {one.verb} by {one.by} in {one.place}, {version}"


def _cancellation(one: _Told) -> str:
    return f"{one.by} cancels {one.about}: {one.content.get('reason', '')}"


_TELLERS: Mapping[str, Callable[[_Told], str]] = {
    "service": _service,
    "incident": _incident,
    "pipelinerun": _run,
    "taskrun": _job,
    "andon-turn": _turn,
    "andon-flake": _flake,
    "andon-hold": _hold,
    "andon-change": _change,
    "andon-event": _event,
    "andon-delivery": _delivery,
    "andon-hook": _hook,
    "andon-approval": _approval,
    "andon-secret": _secret,
    "andon-cancellation": _cancellation,
}
