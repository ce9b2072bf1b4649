"""What the provider publishes about itself: where its parts are, and the keys it signs with.

Source: OpenID Connect Discovery 1.0, sections 3 and 4; RFC 9207, section 3.
"""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec import Struct

from andon.adapters.oidc.wire import Wire, address, found
from andon.kernel.clock import Clock
from andon.kernel.errors import Unavailable, UsageError

DISCOVERY_SECONDS = 3600.0
KEYS_SECONDS = 600.0
"""How long a set of keys is taken for the present one."""
REFRESH_SECONDS = 30.0
"""Between two readings of the keys because of an unknown one."""
RETRY_SECONDS = 5.0
"""After the provider was down. Who waits for their turn meanwhile does not wait for it once more."""
_WELL_KNOWN = "/.well-known/openid-configuration"

Jwk = dict[str, Any]


class Discovery(Struct, frozen=True, kw_only=True):
    """The part of a discovery document that a login needs."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    code_challenge_methods_supported: tuple[str, ...] = ("S256",)
    authorization_response_iss_parameter_supported: bool = False


class _KeySet(Struct, frozen=True):
    keys: tuple[Jwk, ...]


class Documents:
    """Reads the provider's documents, and again when they are old.

    Args:
        issuer: As configured.
        wire: How to ask.
        clock: Tells how old they are.

    Raises:
        UsageError: The issuer is none.
    """

    def __init__(self, issuer: str, wire: Wire, clock: Clock) -> None:
        parts = address(issuer, "oidc.issuer")
        if parts.query or parts.fragment:
            raise UsageError("oidc.issuer may have neither ? nor #", hint="https://host/path")
        self._issuer = issuer
        self._wire = wire
        self._clock = clock
        self._turn = asyncio.Lock()
        self._discovery: tuple[float, Discovery] | None = None
        self._keys: tuple[float, tuple[Jwk, ...]] | None = None
        self._refreshed_at = float("-inf")
        self._down: tuple[float, Unavailable] | None = None

    async def discovery(self) -> Discovery:
        """Return where the provider's parts are.

        Raises:
            Unavailable: The provider is down.
            UsageError: There is none, or it is another issuer's.
        """
        async with self._turn:
            return await self._current_discovery()

    async def keys(self, *, unknown: bool = False) -> tuple[Jwk, ...]:
        """Return the keys the provider signs with; raises as ``discovery``.

        Args:
            unknown: Something is signed with a key that is not among those of the last time. They are
                read again, but not more often than every ``REFRESH_SECONDS``.
        """
        async with self._turn:
            now = self._clock.now()
            refresh = unknown and now - self._refreshed_at >= REFRESH_SECONDS
            if refresh:
                self._refreshed_at = now
            if self._keys is None or refresh or now - self._keys[0] >= KEYS_SECONDS:
                url = (await self._current_discovery()).jwks_uri
                answer = await self._wire.get(url, "jwks_uri of the provider")
                self._keys = now, found(answer, _KeySet, url, "oidc.issuer").keys
            return self._keys[1]

    async def _current_discovery(self) -> Discovery:
        now = self._clock.now()
        if self._discovery is None or now - self._discovery[0] >= DISCOVERY_SECONDS:
            self._discovery = now, await self._unless_down(now)
        return self._discovery[1]

    async def _unless_down(self, now: float) -> Discovery:
        if self._down is not None and 0 <= now - self._down[0] < RETRY_SECONDS:
            raise Unavailable(self._down[1].message, hint=self._down[1].hint)
        try:
            return await self._discover()
        except Unavailable as error:
            self._down = self._clock.now(), error.with_traceback(None)
            raise

    async def _discover(self) -> Discovery:
        url = self._issuer.rstrip("/") + _WELL_KNOWN
        answer = await self._wire.get(url, "oidc.issuer")
        document = found(answer, Discovery, url, "oidc.issuer")
        if document.issuer != self._issuer:
            raise UsageError(
                f"oidc.issuer is {self._issuer}, but the provider there calls itself "
                f"{document.issuer[:200]!r}",
                hint="write it exactly as the provider does, to the last slash",
            )
        if "S256" not in document.code_challenge_methods_supported:
            raise UsageError(f"the provider {self._issuer} offers no PKCE with S256")
        address(document.authorization_endpoint, "authorization_endpoint of the provider")
        return document
