"""What every answer tells browsers: believe no type but the named one, frame it nowhere, tell nobody.

An answer that says something of its own about one of these keeps it.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

API = "/api/"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
API_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_OF_PAGES = _ALWAYS | {"Content-Security-Policy": PAGE_POLICY}
_OF_THE_API = _ALWAYS | {"Content-Security-Policy": API_POLICY, "Cache-Control": "no-store"}
_ENCRYPTED = {"Strict-Transport-Security": "max-age=31536000"}

Pairs = tuple[tuple[bytes, bytes], ...]


def _pairs(headers: dict[str, str]) -> Pairs:
    return tuple((name.lower().encode(), value.encode()) for name, value in headers.items())


_WANTED = {
    (api, scheme): _pairs((_OF_THE_API if api else _OF_PAGES) | encrypted)
    for api in (True, False)
    for scheme, encrypted in (("http", {}), ("https", _ENCRYPTED))
}


def security_headers(path: str, scheme: str) -> Pairs:
    """Return them for an answer.

    Args:
        path: Of the request.
        scheme: ``https`` where the way to the client is encrypted, whoever does it.
    """
    return _WANTED[path.startswith(API), "https" if scheme == "https" else "http"]


class SecurityHeaders:
    """An ASGI application whose answers carry them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with them."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted = security_headers(scope["path"], scope.get("scheme", "http"))

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = list(message.get("headers", ()))
                said = {name.lower() for name, _ in own}
                added = [pair for pair in wanted if pair[0] not in said]
                message = {**message, "headers": [*own, *added]}
            await send(message)

        await self._app(scope, receive, told)
