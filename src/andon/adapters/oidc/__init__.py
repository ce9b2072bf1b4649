"""Logins at an OpenID provider."""

from andon.adapters.oidc.provider import Claims, OpenIdProvider, Started

__all__ = ["Claims", "OpenIdProvider", "Started"]
