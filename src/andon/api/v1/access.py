"""Who may do what: verbs, roles, grants, and the records of people, teams, tokens and sessions.

Kept by administrators, not in git. Who may approve is a rule of the Environment and is read from the
policy branch like every other rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from msgspec import Struct

from andon.api.v1.words import Record

Verb = Literal["view", "ship", "approve", "hold", "operate", "administer", "work", "tell"]
VERBS: tuple[Verb, ...] = get_args(Verb)

Role = Literal["viewer", "developer", "approver", "operator", "admin", "worker", "reporter"]
ROLES: dict[Role, frozenset[Verb]] = {
    "viewer": frozenset({"view"}),
    "developer": frozenset({"view", "ship", "hold"}),
    "approver": frozenset({"view", "approve", "hold"}),
    "operator": frozenset({"view", "ship", "hold", "operate"}),
    "admin": frozenset(VERBS) - {"work"},
    "worker": frozenset({"work"}),
    "reporter": frozenset({"tell"}),
}
"""What each role may do, in the environments it is granted for.

Who works is told the secrets of jobs: nobody else may, and a worker may nothing else. Who tells what is seen
(metrics, logs, traces) may nothing else either: its token lies in the environment of every service.
"""

EVERYWHERE = "*"
"""Environment of a grant that holds in all of them, and for what belongs to none."""


class Grant(Record, kw_only=True, frozen=True):
    """A role in an environment, or everywhere."""

    role: Role
    environment: str = EVERYWHERE


class UserSpec(Record, kw_only=True, frozen=True):
    """A person. The object's name is the user's; in the ledger it is ``person:<name>``.

    Args:
        emails: Addresses commits are known by, lower case; the first gets notices.
        grants: What this person may do, besides what teams bring.
        password: Salted hash, as ``adapters`` wrote it; empty: no password.
        subject: Issuer and subject at the OpenID provider, ``<issuer>#<sub>``; empty: none.
        notify: Where to tell what concerns this person (``slack`` webhook or ``mailto:``); as it may be
            shown, once it is sealed.
        notify_sealed: Whether the whole addresses lie in the vault.
        disabled: Nobody gets in by this name.
    """

    emails: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()
    password: str = ""
    subject: str = ""
    notify: tuple[str, ...] = ()
    notify_sealed: bool = False
    disabled: bool = False


class UserStatus(Record, kw_only=True, frozen=True):
    """How logging in goes.

    Args:
        failures: Wrong passwords since the last right one.
        locked_until: Nobody gets in by password before; seconds since the Unix epoch.
    """

    failures: int = 0
    locked_until: float = 0


class TeamSpec(Record, kw_only=True, frozen=True):
    """People who may do the same."""

    members: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()


class TokenSpec(Record, kw_only=True, frozen=True):
    """A service token; what it lets in by is shown once and kept as a digest.

    Args:
        owner: User whose rights bound it; empty: a service of its own, ``service:<name>``.
        digest: SHA-256 of the secret, hexadecimal.
        grants: What it may do; with an owner never more than the owner may.
        expires_at: Seconds since the Unix epoch; 0: never (the generated administrator's only).
        created_by: Who made it.
        created_at: When.
    """

    digest: str
    owner: str = ""
    grants: tuple[Grant, ...] = ()
    expires_at: float = 0
    created_by: str = ""
    created_at: float = 0


class TokenStatus(Record, kw_only=True, frozen=True):
    """Whether a token still counts."""

    revoked_at: float = 0
    revoked_by: str = ""


class SessionSpec(Record, kw_only=True, frozen=True):
    """Somebody is logged in with a browser. The object's name is a digest of the cookie.

    Args:
        user: Whose; empty for one begun with a service token.
        token: Token it was begun with, and whose rights it has; empty: the user's own.
        account: Account of this machine that began it over the Unix socket: an administrator.
        csrf: What a page must send along with every write.
        expires_at: Seconds since the Unix epoch.
        created_at: When.
    """

    csrf: str
    user: str = ""
    token: str = ""
    account: str = ""
    expires_at: float = 0
    created_at: float = 0


class RequestSpec(Record, kw_only=True, frozen=True):
    """A request that was carried out, for who sends it again with the same ``Idempotency-Key``.

    Args:
        fingerprint: Digest of method, path and body.
        answer: What was answered, JSON.
        at: When, seconds since the Unix epoch.
    """

    fingerprint: str
    answer: str
    at: float


class Identity(Struct, frozen=True, kw_only=True):
    """Somebody who was let in.

    Args:
        name: As the ledger has it: ``person:ann``, ``service:ci``.
        grants: What it may do.
        bound: What it may do at most, where a token acts for its owner; None: no bound.
        teams: Names of its teams.
        emails: Addresses its commits are known by.
        via: What let it in: ``socket``, ``token <name>``, ``session``.
    """

    name: str
    grants: tuple[Grant, ...] = ()
    bound: tuple[Grant, ...] | None = None
    teams: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    via: str = ""

    def may(self, verb: Verb, environment: str = EVERYWHERE) -> bool:
        """Say whether it may do something in an environment.

        Args:
            verb: What.
            environment: Where; ``*``: in all of them, or what belongs to none.

        >>> ann = Identity(name="person:ann", grants=(Grant(role="developer", environment="dev"),))
        >>> ann.may("ship", "dev"), ann.may("ship", "prod"), ann.may("ship")
        (True, False, False)
        """
        return _permits(self.grants, verb, environment) and (
            self.bound is None or _permits(self.bound, verb, environment)
        )

    def may_somewhere(self, verb: Verb) -> bool:
        """Say whether it may do something in at least one environment.

        >>> Identity(name="x", grants=(Grant(role="viewer", environment="dev"),)).may_somewhere("view")
        True
        """
        places = {grant.environment for grant in self.grants} | {
            grant.environment for grant in self.bound or ()
        }
        return any(self.may(verb, place) for place in places)

    @property
    def sees_everything(self) -> bool:
        """Whether nothing has to be left out of an answer."""
        return self.may("view")


def _permits(grants: Iterable[Grant], verb: Verb, environment: str) -> bool:
    return any(
        verb in ROLES[grant.role] and grant.environment in (EVERYWHERE, environment)
        for grant in grants
    )


class SecretSpec(Record, kw_only=True, frozen=True):
    """That there is a secret; its values lie elsewhere, sealed. The object is ``<environment>.<name>``."""

    name: str
    environment: str
    version: int
    """Of the newest value; older ones stay for versions of services that go back to them."""
    by: str
    at: float
