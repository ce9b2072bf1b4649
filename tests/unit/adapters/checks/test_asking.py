"""Checks are asked of real servers."""

from __future__ import annotations

import http.server
import json
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from andon.adapters.checks import Place, ask
from andon.adapters.outbound import LOCAL, Guard
from andon.api.v1.checks import (
    CheckSpec,
    DnsQuestion,
    Expected,
    HttpRequest,
    Step,
    TcpQuestion,
    TlsQuestion,
)
from andon.kernel.errors import NotFound

NOW = datetime.now(UTC).timestamp()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers what its path says."""

    tries = 0

    def do_GET(self):
        body = json.dumps({"items": [{"name": "tea", "price": 2.5}], "id": "7/é"}).encode()
        status = 200
        if self.path == "/flaky":
            type(self).tries += 1
            status = 503 if type(self).tries == 1 else 200
        if self.path == "/moved":
            status = 302
        if self.path == "/cookie" and "session=abc" not in self.headers.get("Cookie", ""):
            status = 403
        self.send_response(status)
        if self.path == "/moved":
            self.send_header("Location", "https://elsewhere.example/")
        if self.path == "/login":
            self.send_header("Set-Cookie", "session=abc; Path=/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201 if body == b"id=tea" else 400)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def web() -> Iterator[int]:
    Handler.tries = 0
    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield port


def place(port: int = 0, guard: Guard = LOCAL) -> Place:
    def address_of(environment: str, service: str) -> str:
        if (environment, service) != ("prod", "shop"):
            raise NotFound(f"no service {service}")
        return f"http://127.0.0.1:{port}"

    return Place(guard=guard, address_of=address_of, now=lambda: NOW)


def result(check: CheckSpec, at: Place):
    return ask("front", check, at)


def http_check(port: int, path: str = "/", *, retries: int = 0, **expect: object) -> CheckSpec:
    request = HttpRequest(url=f"http://127.0.0.1:{port}{path}", expect=Expected(**expect))
    return CheckSpec(http=request, retries=retries, timeout_seconds=5)


def test_answer_as_expected_passes_with_its_phases(web):
    done = result(http_check(web, contains=("tea",), json={"items.0.price": 2.5}), place())
    assert (done.passed, done.message, done.tries) == (True, "", 1)
    assert 0 < done.phases["connect"] <= done.phases["first"] <= done.phases["whole"]


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ({"status": ("404",)}, "HTTP 200, expected 404"),
        ({"contains": ("coffee",)}, "does not contain 'coffee'"),
        ({"lacks": ("tea",)}, "contains 'tea'"),
        ({"json": {"items.0.name": "coffee"}}, 'items.0.name is "tea", expected "coffee"'),
        ({"json": {"items.3.name": "tea"}}, "nothing at items.3.name"),
        ({"headers": {"X-Cache": "hit"}}, "X-Cache is '', expected 'hit'"),
        ({"within_seconds": 1e-9}, "expected at most 1e-09 s"),
    ],
)
def test_what_differs_is_said(web, expect, said):
    done = result(http_check(web, **expect), place())
    assert not done.passed
    assert said in done.message


def test_redirect_is_not_followed_and_says_where_it_leads(web):
    message = result(http_check(web, "/moved"), place()).message
    assert message == "HTTP 302 to https://elsewhere.example/, expected 2xx"
    assert result(http_check(web, "/moved", status=("3xx",)), place()).passed


def test_second_try_counts_and_is_told(web):
    done = result(http_check(web, "/flaky", retries=1), place())
    assert (done.passed, done.tries) == (True, 2)
    Handler.tries = 0
    assert not result(http_check(web, "/flaky"), place()).passed


def test_internal_address_is_asked_only_if_allowed_but_the_own_service_always(web):
    refused = result(http_check(web), place(guard=Guard()))
    assert "internal address" in refused.message
    own = CheckSpec(service="shop", environment="prod", http=HttpRequest(url="/"))
    assert result(own, place(web, guard=Guard())).passed
    unknown = CheckSpec(service="shelf", environment="prod", http=HttpRequest(url="/"))
    assert result(unknown, place(web)).message == "no service shelf"


def test_steps_keep_cookies_and_know_what_was_captured(web):
    base = f"http://127.0.0.1:{web}"
    steps = (
        Step(name="login", url=f"{base}/login", capture={"what": "items.0.name"}),
        Step(name="see", url=f"{base}/cookie"),
        Step(
            name="buy",
            url=base,
            method="POST",
            body="id={{what}}",
            expect=Expected(status=("201",)),
        ),
    )
    done = result(CheckSpec(steps=steps), place())
    assert (done.passed, done.message) == (True, "")
    assert list(done.phases) == ["login", "see", "buy"]
    alone = result(CheckSpec(steps=steps[1:], retries=0), place())
    assert alone.message == "see: HTTP 403, expected 2xx"
    last = result(CheckSpec(steps=steps[2:], retries=0), place())
    assert last.message == "buy: no step before captured what"


def test_nobody_who_answers_and_somebody_who_never_does_are_told_apart():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        slow = CheckSpec(
            http=HttpRequest(url=f"http://127.0.0.1:{port}/"), timeout_seconds=0.2, retries=0
        )
        assert "timed out" in result(slow, place()).message
    assert "refused" in result(http_check(port), place()).message.lower()


class Greeter(socketserver.StreamRequestHandler):
    """Greets, then says what it heard."""

    def handle(self):
        self.wfile.write(b"220 hello\r\n")
        self.wfile.write(b"heard " + self.rfile.readline())


def test_tcp_says_and_hears():
    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Greeter)) as port:
        address = f"127.0.0.1:{port}"

        def tcp(**question: str) -> CheckSpec:
            return CheckSpec(tcp=TcpQuestion(address=address, **question), retries=0)

        assert result(tcp(), place()).passed
        assert result(tcp(send="EHLO\r\n", expect="heard EHLO"), place()).passed
        wrong = result(tcp(send="x\r\n", expect="250 ok"), place())
        assert "expected '250 ok'" in wrong.message


@pytest.fixture
def certificate(tmp_path):
    """A certificate for localhost that is good for ten days; the file with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.fromtimestamp(NOW, UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=10))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "pair.pem"
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    file.write_bytes(
        made.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    )
    return file


def test_certificate_that_ends_soon_or_is_anothers_fails(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving(server) as port:

        def tls(**question: object) -> CheckSpec:
            found = {"server_name": "localhost", "ca_file": str(certificate), **question}
            return CheckSpec(tls=TlsQuestion(address=f"127.0.0.1:{port}", **found), retries=0)

        good = result(tls(min_days=5), place())
        assert good.passed
        assert 9 < good.days_left <= 10
        soon = result(tls(min_days=14), place())
        assert (soon.passed, soon.message) == (False, "good for 10.0 days only, expected 14")
        assert "not trusted" in result(tls(ca_file=""), place()).message
        assert "not trusted" in result(tls(server_name="other.example"), place()).message


class Names(socketserver.BaseRequestHandler):
    """A DNS server that knows shop.example, and nothing else."""

    def handle(self):
        data, line = self.request
        question_end = data.index(b"\0", 12) + 5
        known = data[12:question_end].startswith(b"\4shop\7example\0")
        flags = 0x8180 if known else 0x8183
        head = data[:2] + struct.pack(">HHHHH", flags, 1, known, 0, 0)
        answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + bytes([192, 0, 2, 7])
        line.sendto(head + data[12:question_end] + answer * known, self.client_address)


def test_name_is_asked_of_the_server_that_was_chosen():
    with serving(socketserver.ThreadingUDPServer(("127.0.0.1", 0), Names)) as port:

        def dns(name: str, *expect: str) -> CheckSpec:
            question = DnsQuestion(name=name, server="127.0.0.1", port=port, expect=expect)
            return CheckSpec(dns=question, retries=0, timeout_seconds=5)

        assert result(dns("shop.example", "192.0.2.7"), place()).passed
        other = result(dns("shop.example", "192.0.2.8"), place())
        assert other.message == "192.0.2.8 is missing; there is 192.0.2.7"
        assert result(dns("shelf.example"), place()).message == "there is no name shelf.example"
