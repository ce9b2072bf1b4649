"""Words that several kinds of documents share."""

from typing import Annotated

from msgspec import Meta, Struct

Name = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
        description="Lower-case letters, digits and dashes, at most 63 (RFC 1123 label).",
    ),
]
Seconds = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
Ratio = Annotated[float, Meta(gt=0, lt=1)]
Port = Annotated[int, Meta(ge=1, le=65535)]


class Spec(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of everything that people write."""


Variable = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Secrets = Annotated[
    dict[Variable, Name],
    Meta(
        description="Environment variables whose values are secrets: variable to the name that "
        "`andon secret set` was given."
    ),
]


class Record(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of what controllers write."""
