"""Events of access in one line, for people who read the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOUNS = frozenset({"andon-access", "andon-login", "andon-session"})
_DONE = {"granted": "adds", "changed": "changes", "revoked": "ends the access of"}


def tell_access(noun: str, verb: str, about: str, content: Mapping[str, Any]) -> str:
    """Tell an event of access.

    Args:
        noun: One of ``NOUNS``.
        verb: Past tense.
        about: Id of the subject.
        content: The subject's content.

    >>> tell_access("andon-access", "denied", "person:ann", {"operation": "ship", "times": 3})
    'ann was refused ship (3 times)'
    >>> tell_access("andon-login", "succeeded", "person:ann", {"via": "code", "address": "::1"})
    'ann logged in by code from ::1'
    """
    who = _short(about)
    times = f" ({content['times']} times)" if "times" in content else ""
    match noun, verb:
        case "andon-access", "denied":
            return f"{who} was refused {_what(content)}{times}"
        case "andon-access", "used":
            return f"{who} used {_what(content)}"
        case "andon-access", "joined" | "left":
            return f"{content.get('member')} {verb} {about.replace('/', ' ')}"
        case "andon-access", _:
            said = ", ".join(content.get("roles") or content.get("changed") or ())
            by = _short(str(content.get("by", "")))
            done = _DONE.get(verb, verb)
            return f"{by} {done} {about.replace('/', ' ')}{f': {said}' if said else ''}"
        case "andon-login", "succeeded":
            return f"{who} logged in{_how(content)}"
        case "andon-login", "failed":
            return f"{who} failed to log in{_how(content)}{times}"
        case "andon-login", "locked":
            return f"{who} is locked for a while after too many wrong passwords"
    return f"{who} logged out"


def _short(name: str) -> str:
    return name.removeprefix("person:")


def _what(content: Mapping[str, Any]) -> str:
    place = content.get("environment", {}).get("id", "")
    return f"{content.get('operation', 'something')}{f' in {place}' if place else ''}"


def _how(content: Mapping[str, Any]) -> str:
    address = content.get("address", "")
    return f" by {content.get('via', '?')}{f' from {address}' if address else ''}"
