"""Roles as people type them, and changes that leave alone what was not named."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import click

from andon.cli.session import Session
from andon.kernel.errors import UsageError

ROLE = "ROLE[@ENVIRONMENT]"
_HELP = "viewer, developer, approver, operator, admin, worker or reporter, in an environment or everywhere"
T = TypeVar("T")

role_option = click.option(
    "--role", "roles", multiple=True, metavar=ROLE, help=f"{_HELP}; may be given again."
)
without_role_option = click.option(
    "--without-role", "without_roles", multiple=True, metavar=ROLE, help="Take a role away."
)


def check_name(name: str, noun: str) -> str:
    """Refuse what cannot be a name, before anything is asked or sent."""
    from msgspec import ValidationError, convert

    from andon.api.v1.words import Name

    try:
        return convert(name, Name)
    except ValidationError:
        raise UsageError(
            f"{name!r} cannot be a {noun}'s name",
            hint="lower-case letters, digits and - between them, at most 63",
        ) from None


def read_role(text: str) -> dict[str, str]:
    """Read a role.

    Raises:
        UsageError: There is none of that name.

    >>> read_role("operator@prod"), read_role("viewer")
    ({'role': 'operator', 'environment': 'prod'}, {'role': 'viewer', 'environment': '*'})
    """
    from andon.api.v1.access import EVERYWHERE, ROLES

    role, at, environment = text.partition("@")
    if role not in ROLES or (at and not environment):
        raise UsageError(f"{text!r} is no role", hint=f"{', '.join(ROLES)}, or one as viewer@prod")
    return {"role": role, "environment": environment or EVERYWHERE}


def read_roles(texts: Iterable[str]) -> list[dict[str, str]]:
    """Read roles."""
    return [read_role(text) for text in texts]


def roles_text(grants: Sequence[dict[str, str]]) -> str:
    """Write roles as they are typed."""
    return (
        " ".join(
            one["role"] if one["environment"] == "*" else f"{one['role']}@{one['environment']}"
            for one in grants
        )
        or "-"
    )


def changed(now: Sequence[T], more: Sequence[T], less: Sequence[T], what: str) -> list[T]:
    """Return a list with some added and some taken away.

    Raises:
        UsageError: What is to be taken away is not there.
    """
    for one in less:
        if one not in now:
            raise UsageError(f"{what} to be taken away is not there", hint="look again with `list`")
    kept = [one for one in now if one not in less]
    return [*kept, *(one for one in more if one not in kept)]


def patch(session: Session, path: str, seen: dict[str, Any], change: dict[str, Any]) -> Any:
    """Change something if it still is as it was seen."""
    headers = {"If-Match": f'"{seen["revision"]}"', "Content-Type": "application/json"}
    body = json.dumps(change).encode()
    return session.client.ask("PATCH", path, body=body, headers=headers)


def tell_notes(answer: dict[str, Any]) -> None:
    """Say what may be a slip, where it does not get in the way of a pipe."""
    for text in answer.get("notes", ()):
        click.echo(f"note: {text}", err=True)
