"""Who may come in, and the secrets they keep."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict

from msgspec import Meta

from andon.api.v1.access import Role, Verb
from andon.api.v1.answers.fields import Revision, Time


class GrantOf(TypedDict):
    """A role in an environment."""

    role: Role
    environment: Annotated[str, Meta(description="`*`: everywhere.")]


class Caller(TypedDict):
    """Who asks, and what they may do."""

    name: str
    via: str
    teams: list[str]
    grants: list[GrantOf]
    verbs: Annotated[list[Verb], Meta(description="What they may do in at least one environment.")]


class Session(TypedDict):
    """Who asks, and how one may log in."""

    identity: Annotated[Caller | None, Meta(description="null: nobody known.")]
    csrf: Annotated[str, Meta(description="What a page sends with every write.")]
    logins: list[str]


class LoggedIn(TypedDict):
    """A session that has begun."""

    identity: Caller
    csrf: str
    expiresAt: Time


class Code(TypedDict):
    """Lets its maker in with a browser, once."""

    code: str
    expiresAt: Time


class Pairing(TypedDict):
    """A command line begins to ask whether it may act as a person."""

    secret: Annotated[str, Meta(description="Takes the answer; of who asked alone.")]
    code: Annotated[str, Meta(description="What the person compares.")]
    expiresAt: Time


class PairingShown(TypedDict):
    """Who asks, for the person."""

    code: str
    machine: Annotated[str, Meta(description="As it calls itself.")]
    address: Annotated[str, Meta(description="Where it asks from.")]
    expiresAt: Time


class Paired(TypedDict):
    """What the person answered."""

    state: Literal["waiting", "allowed"]
    token: Annotated[str, Meta(description="Acts as the person; shown once.")]
    name: Annotated[str, Meta(description="Of the token.")]


class User(TypedDict):
    """A person."""

    name: str
    emails: list[str]
    grants: list[GrantOf]
    teams: list[str]
    hasPassword: bool
    subject: Annotated[str, Meta(description="At the OpenID provider; empty: none.")]
    notify: Annotated[list[str], Meta(description="Where notices go, without what is secret.")]
    disabled: bool
    lockedUntil: Time
    createdAt: Time
    revision: Revision
    notes: NotRequired[list[str]]


class Team(TypedDict):
    """People who may do the same."""

    name: str
    members: list[str]
    grants: list[GrantOf]
    createdAt: Time
    revision: Revision
    notes: NotRequired[list[str]]


class Token(TypedDict):
    """A service token, without what lets anybody in."""

    name: str
    owner: Annotated[str, Meta(description="User whose rights bound it; empty: its own.")]
    grants: list[GrantOf]
    expiresAt: Annotated[float, Meta(description="0: never.")]
    createdBy: str
    createdAt: Time
    revokedAt: Time
    revision: Revision
    notes: NotRequired[list[str]]


class TokenWithSecret(Token):
    """A token as it was made."""

    secret: NotRequired[Annotated[str, Meta(description="What lets in; shown once.")]]


class RotatedToken(Token):
    """The administrator's token, replaced."""

    file: Annotated[str, Meta(description="Where it lies, on the host of the control plane.")]


class Secret(TypedDict):
    """A secret, without its value."""

    name: str
    environment: str
    version: int
    by: str
    at: Time
    usedBy: list[str]
    revision: Revision


class ReleasedSecret(Secret):
    """A secret with the rollouts that its new value begins."""

    runs: list[str]


class Sealed(TypedDict):
    """Which key seals the secrets now."""

    key: str
    before: str
    values: int
    forgotten: int
