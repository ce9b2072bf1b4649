"""The OpenID provider that people log in at, if there is one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from andon.adapters.outbound import Guard
from andon.api.v1.installation import InstallationSpec, OidcSpec
from andon.kernel.errors import UsageError
from andon.runtime.system import SystemClock, SystemRandomness

if TYPE_CHECKING:
    from andon.adapters.oidc import OpenIdProvider


def provider_of(installation: InstallationSpec) -> OpenIdProvider | None:
    """Return the way to the provider; nothing is asked of it yet.

    Raises:
        UsageError: The client's secret cannot be read.
    """
    spec = installation.oidc
    if spec is None:
        return None
    from andon.adapters.oidc import OpenIdProvider

    return OpenIdProvider(
        spec,
        guard=Guard(spec.allow_internal, loopback=spec.issuer.startswith("http://")),
        clock=SystemClock(),
        randomness=SystemRandomness(),
        client_secret=_client_secret(spec),
    )


def _client_secret(spec: OidcSpec) -> str:
    if spec.client_secret_file is None:
        return ""
    try:
        return Path(spec.client_secret_file).read_text().strip()
    except OSError as error:
        raise UsageError(
            f"oidc.clientSecretFile {spec.client_secret_file} cannot be read: {error.strerror}",
            hint="andon up --config FILE",
        ) from None
