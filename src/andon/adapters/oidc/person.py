"""What a provider says about a person, as far as Andon believes it.

Source: OpenID Connect Core 1.0, section 5.1.
"""

from __future__ import annotations

from typing import Any, TypeGuard

from msgspec import Struct

from andon.api.v1.installation import OidcSpec
from andon.kernel.errors import UsageError

MOST_GROUPS = 1000
MOST_CHARACTERS = 255
"""Of a name, an address or a group."""
_NAMES = ("preferred_username", "nickname", "name")

Document = dict[str, Any]


class Claims(Struct, frozen=True, kw_only=True):
    """Whom the provider vouches for.

    Args:
        subject: ``<issuer>#<sub>``, which never changes.
        name: As the person wants to be called.
        emails: Addresses the provider has verified, lower case.
        groups: Groups of the configured claim.
    """

    subject: str
    name: str
    emails: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


def lacks_something(token: Document, groups_claim: str) -> bool:
    """Say whether UserInfo is worth asking, because the ID token does not tell everything."""
    return groups_claim not in token or not _email(token) or _NAMES[0] not in token


def claims_of(spec: OidcSpec, token: Document, more: Document) -> Claims:
    """Put together what is known.

    Args:
        spec: Names the issuer and the claim with the groups.
        token: Claims of the verified ID token; they take precedence.
        more: UserInfo about the same subject; may be empty.

    Raises:
        UsageError: The groups are not a list of texts.

    >>> spec = OidcSpec(issuer="https://id.example", client_id="andon")
    >>> claims_of(spec, {"sub": "7", "groups": ["sre"]}, {"sub": "7", "name": "Ann"})
    Claims(subject='https://id.example#7', name='Ann', emails=(), groups=('sre',))
    """
    emails = [email for email in map(_email, (token, more)) if email]
    return Claims(
        subject=f"{spec.issuer}#{token['sub']}",
        name=_name(token, more),
        emails=tuple(dict.fromkeys(emails)),
        groups=_groups(spec.groups_claim, token, more),
    )


def _email(document: Document) -> str:
    """Return the address of a document that itself says it is verified (some say so as a text)."""
    email, verified = document.get("email"), document.get("email_verified")
    if not (verified is True or verified == "true") or not _is_text(email):
        return ""
    return email.lower() if email.count("@") == 1 and " " not in email else ""


def _name(token: Document, more: Document) -> str:
    said = (document.get(name) for name in _NAMES for document in (token, more))
    return next(filter(_is_text, said), str(token["sub"]))


def _groups(claim: str, token: Document, more: Document) -> tuple[str, ...]:
    said: Any = token.get(claim, more.get(claim, ()))
    groups = [said] if isinstance(said, str) else said
    usable = isinstance(groups, list | tuple) and all(map(_is_text, groups))
    if not usable or len(groups) > MOST_GROUPS:
        raise UsageError(
            f"oidc.groupsClaim: the provider's claim {claim} is no list of groups",
            hint="name a claim whose value is a list of texts",
        )
    return tuple(dict.fromkeys(groups))


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= MOST_CHARACTERS and value.isprintable()
