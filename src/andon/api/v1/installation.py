"""The document about Andon itself, which lies on the host and not in git: `andon up --config FILE`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from andon.api.v1.telemetry import TelemetrySpec
from andon.api.v1.words import Name, Spec

Cidr = Annotated[str, Meta(min_length=1, description="Network such as `10.0.0.0/8`.")]
Url = Annotated[str, Meta(pattern=r"^https?://\S+$")]
FilePath = Annotated[
    str,
    Meta(pattern=r"^/\S*$", description="Absolute path on the host, without spaces."),
]


class TlsSpec(Spec, kw_only=True, frozen=True):
    """Andon terminates TLS itself; the files are read again whenever they change."""

    certificate: FilePath
    key: FilePath


class ProxySpec(Spec, kw_only=True, frozen=True):
    """A proxy in front terminates TLS, and says so with X-Forwarded-For and X-Forwarded-Proto."""

    trusted: Annotated[
        tuple[Cidr, ...], Meta(min_length=1, description="Where that proxy calls from.")
    ]


class OidcSpec(Spec, kw_only=True, frozen=True):
    """People log in at an OpenID provider (authorization code with PKCE)."""

    issuer: Url
    client_id: Annotated[str, Meta(min_length=1)]
    client_secret_file: FilePath | None = None
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    groups_claim: str = "groups"
    teams: Annotated[
        dict[str, Name],
        Meta(description="Team by group of the provider; other groups mean nothing."),
    ] = field(default_factory=dict)
    allow_internal: Annotated[
        tuple[str, ...], Meta(description="Networks or names of your own net the issuer may be at.")
    ] = ()


class SecretsKeySpec(Spec, kw_only=True, frozen=True):
    """Where the key is that seals secrets: one of the three; without any, a file Andon makes itself."""

    file: FilePath | None = None
    environment: Annotated[str, Meta(description="Name of an environment variable.")] | None = None
    command: Annotated[
        tuple[str, ...], Meta(description="Program and arguments that print the key.")
    ] = ()


class MailSpec(Spec, kw_only=True, frozen=True):
    """How notices leave as e-mail."""

    server: Annotated[str, Meta(pattern=r"^[^\s:]+:[0-9]+$", description="`host:port`.")]
    sender: Annotated[str, Meta(pattern=r"^\S+@\S+$")]
    start_tls: bool = True
    user: str | None = None
    password_file: FilePath | None = None


class ContainersSpec(Spec, kw_only=True, frozen=True):
    """The container engine of this machine, for jobs that name an image."""

    socket: Annotated[
        FilePath | None,
        Meta(
            description="Where it listens; unset: `$DOCKER_HOST`, or where Docker or podman does."
        ),
    ] = None
    allow_tags: Annotated[
        bool,
        Meta(
            description="Images need not be pinned by digest: what a tag names may be another tomorrow."
        ),
    ] = False


class InstallationSpec(Spec, kw_only=True, frozen=True):
    """How Andon itself is reached, and what it relies on."""

    url: Annotated[
        Url | None,
        Meta(
            description="How people reach it: for links, logins, and the name that requests may "
            "be for."
        ),
    ] = None
    listen: Annotated[
        str,
        Meta(
            pattern=r"^\S+:[0-9]{1,5}$",
            description="Address and port, such as `0.0.0.0:443`. Other than loopback it needs `tls` "
            "or `proxy`.",
        ),
    ] = "127.0.0.1:7411"
    tls: TlsSpec | None = None
    proxy: ProxySpec | None = None
    oidc: OidcSpec | None = None
    secrets_key: SecretsKeySpec = SecretsKeySpec()
    mail: MailSpec | None = None
    containers: ContainersSpec = ContainersSpec()
    telemetry: TelemetrySpec = TelemetrySpec()
    badges: Annotated[
        Literal["private", "public"],
        Meta(
            description="`public`: whoever knows the name of a repository sees whether its build passes, "
            "without a login."
        ),
    ] = "private"


INSTALLATION: dict[str, type[InstallationSpec]] = {"Installation": InstallationSpec}
"""The kind people write for a host, by name."""
