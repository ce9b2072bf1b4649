"""An OpenID provider that says whatever a test wants it to: the real one, in tests/integration, never lies."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from andon.adapters.oidc import Claims, OpenIdProvider, Started
from andon.adapters.outbound import LOCAL
from andon.api.v1.installation import OidcSpec
from andon.testing.clock import FakeClock, SeededRandomness

BACK = "https://andon.example/login/back"
SECRET = "the client's secret/+"


class Key:
    """A pair of keys and how it is published."""

    def __init__(self, algorithm: str, kid: str, private: Any = None) -> None:
        self.algorithm, self.kid = algorithm, kid
        self.private = private or _MAKERS[algorithm]()

    @property
    def jwk(self) -> dict[str, Any]:
        algorithm = jwt.get_algorithm_by_name(self.algorithm)
        published = algorithm.to_jwk(self.private.public_key(), as_dict=True)
        own = {
            name: published[name]
            for name in ("kty", "crv", "x", "y", "n", "e")
            if name in published
        }
        return {**own, "kid": self.kid, "use": "sig"}


_RSA = rsa.generate_private_key(65537, 2048)
_MAKERS = {
    **{f"{family}{bits}": lambda: _RSA for family in ("RS", "PS") for bits in (256, 384, 512)},
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


class Liar:
    """Answers as told; without being told, as an honest provider."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.clock = FakeClock()
        self.issuer = f"http://127.0.0.1:{server.server_address[1]}"
        self.key = Key("ES256", "one")
        self.published: list[dict[str, Any]] = [self.key.jwk]
        self.header: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {"sub": "7"}
        self.discovery: dict[str, Any] = {}
        self.answers: dict[str, tuple[int, bytes]] = {}
        """What to answer instead, by path."""
        self.token: str | None = None
        self.requests: list[tuple[str, dict[str, str], dict[str, str]]] = []
        """Path, headers, form."""
        self.started = Started("", "", "", "")

    def asked(self, path: str) -> list[tuple[dict[str, str], dict[str, str]]]:
        """Headers and forms of what came to a path."""
        return [(headers, form) for where, headers, form in self.requests if where == path]

    def provider(self, secret: str = SECRET, **spec: Any) -> OpenIdProvider:
        told = {"issuer": self.issuer, "client_id": "andon", **spec}
        return OpenIdProvider(
            OidcSpec(**told),
            guard=LOCAL,
            clock=self.clock,
            randomness=SeededRandomness(),
            client_secret=secret,
            timeout_seconds=5,
        )

    async def log_in(self, provider: OpenIdProvider | None = None, **back: str) -> Claims:
        """Log in as a browser that comes straight back."""
        provider = provider or self.provider()
        self.started = await provider.begin(BACK)
        brought = {"code": "a-code", "state": self.started.state, **back}
        return await provider.finish(self.started, BACK, **brought)

    def signed(self) -> str:
        now = self.clock.now()
        honest = {
            "iss": self.issuer,
            "sub": "7",
            "aud": "andon",
            "iat": now,
            "exp": now + 300,
            "nonce": self.started.nonce,
        }
        claims = {k: v for k, v in {**honest, **self.claims}.items() if v is not None}
        header = {k: v for k, v in {"kid": self.key.kid, **self.header}.items() if v is not None}
        return jwt.encode(claims, self.key.private, self.key.algorithm, header)

    def answer(self, path: str) -> tuple[int, bytes]:
        if path in self.answers:
            return self.answers[path]
        documents = {
            "/.well-known/openid-configuration": self._discovery,
            "/keys": lambda: {"keys": self.published},
            "/token": self._tokens,
            "/me": lambda: self.userinfo,
        }
        return (200, json.dumps(documents[path]()).encode()) if path in documents else (404, b"")

    def _discovery(self) -> dict[str, Any]:
        honest = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/me",
        }
        return {k: v for k, v in {**honest, **self.discovery}.items() if v is not None}

    def _tokens(self) -> dict[str, Any]:
        token = self.token if self.token is not None else self.signed()
        return {"access_token": "an-access-token", "token_type": "Bearer", "id_token": token}


def half_hash(algorithm: str, access_token: str = "an-access-token") -> str:
    name = {"256": "sha256", "384": "sha384"}.get(algorithm[-3:], "sha512")
    digest = hashlib.new(name, access_token.encode()).digest()
    return unpadded(digest[: len(digest) // 2])


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_hand(header: dict[str, Any], payload: bytes, secret: bytes | None) -> str:
    """A token no library would make; without a secret it has no signature."""
    signed = f"{unpadded(json.dumps(header).encode())}.{unpadded(payload)}"
    mac = b"" if secret is None else hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{unpadded(mac)}"


@contextmanager
def running_liar() -> Iterator[Liar]:
    """An OpenID provider of one test's own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer({name: values[0] for name, values in parse_qs(form).items()})

        def _answer(self, form: dict[str, str]) -> None:
            path = urlsplit(self.path).path
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.requests.append((path, headers, form))
            status, body = found.answer(path)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            if 300 <= status < 400:
                self.send_header("Location", body.decode())
            self.end_headers()
            try:
                self.wfile.write(body)
            except OSError:
                pass

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Liar(server)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield found
        server.shutdown()
        thread.join()
