"""Where calls may lead, and that they lead nowhere else than where was looked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

import pytest

from andon.adapters.outbound import LOCAL, Answer, Guard, exchange, post, web_address
from andon.kernel.errors import AndonError, Denied, Unavailable, UsageError
from andon.testing.webhook import WebhookReceiver

INTERNAL = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "64:ff9b:1:a00:0:100::",
    "::ffff:0:a9fe:a9fe",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "2001:0:102:304::f5ff:fffe",
    "fe80::1",
    "fe80::1%1",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "9.9.9.9", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]


def answering(*addresses: str) -> Callable[[str, int], Sequence[str]]:
    return lambda host, port: addresses


def refused(guard: Guard, host: str = "hooks.example") -> bool:
    try:
        guard.addresses(host, 443)
    except Denied as error:
        return "--allow-internal" in error.hint
    return False


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    opened = WebhookReceiver()
    opened.start()
    yield opened
    opened.kill()


@pytest.mark.parametrize("address", INTERNAL)
def test_name_that_leads_inside_is_refused(address: str) -> None:
    assert refused(Guard(lookup=answering(address)))


@pytest.mark.parametrize("address", PUBLIC)
def test_name_that_leads_outside_is_called(address: str) -> None:
    assert Guard(lookup=answering(address)).addresses("hooks.example", 443) == [address]


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost"])
def test_other_ways_to_write_an_address_are_seen_through(host: str) -> None:
    assert refused(Guard(), host)


def test_only_public_addresses_of_a_name_are_called() -> None:
    mixed = Guard(lookup=answering("10.0.0.1", "1.1.1.1", "::1", "9.9.9.9"))
    assert mixed.addresses("a", 1) == ["1.1.1.1", "9.9.9.9"]


def test_loopback_is_allowed_by_itself_and_lets_nothing_else_through() -> None:
    own = Guard(loopback=True, lookup=answering("127.0.0.1", "::1"))
    assert len(own.addresses("localhost", 80)) == 2
    for address in set(INTERNAL) - {"127.0.0.1", "127.255.255.254", "::1"}:
        assert refused(Guard(loopback=True, lookup=answering(address))), address


@pytest.mark.parametrize(
    ("allowed", "address", "through"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "192.168.1.1", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("fd00::/8", "fd00::1", True),
        ("10.0.0.0/8", "::ffff:10.0.0.1", False),
        ("hooks.example", "10.1.2.3", True),
        ("HOOKS.example.", "10.1.2.3", True),
        ("*.example", "10.1.2.3", True),
        ("*.other", "10.1.2.3", False),
        ("*", "10.1.2.3", True),
        ("*", "169.254.169.254", False),
        ("*", "fe80::1", False),
        ("*", "0.0.0.0", False),
        ("*", "224.0.0.1", False),
        ("*", "127.0.0.1", False),
        ("127.0.0.0/8", "127.0.0.1", True),
        ("169.254.169.254/32", "169.254.169.254", True),
    ],
)
def test_what_is_allowed_is_let_through_and_no_more(
    allowed: str, address: str, through: bool
) -> None:
    assert refused(Guard([allowed], lookup=answering(address))) is not through


@pytest.mark.parametrize("pattern", ["", "http://h", "10.0.0.0/33", "a b", "h/x"])
def test_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match="no network"):
        Guard([pattern])


def test_name_is_resolved_once_and_what_was_looked_at_is_called(
    receiver: WebhookReceiver,
) -> None:
    """A name server that says something else the second time changes nothing."""
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["192.0.2.1"]

    url = web_address(f"http://hooks.example:{receiver.port}/secret")
    guard = Guard(["127.0.0.1"], lookup=rebinding)
    assert post(url, b"{}", {}, guard=guard, timeout_seconds=60) == 204
    assert asked == ["hooks.example"]
    assert receiver.requests[0].headers["host"] == f"hooks.example:{receiver.port}"


def test_nothing_is_sent_to_an_internal_address(receiver: WebhookReceiver) -> None:
    for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
        url = web_address(f"http://{host}:{receiver.port}/")
        with pytest.raises(Denied, match="internal"):
            post(url, b"{}", {}, guard=Guard(), timeout_seconds=60)
    assert receiver.requests == []


def test_redirect_is_not_followed(receiver: WebhookReceiver) -> None:
    receiver.status = lambda request: 307
    receiver.headers = {"Location": f"http://127.0.0.1:{receiver.port}/inside"}
    assert post(web_address(receiver.url), b"", {}, guard=LOCAL, timeout_seconds=60) == 307
    assert len(receiver.requests) == 1


def test_name_that_does_not_exist_is_unavailable() -> None:
    def nowhere(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(Unavailable, match=r"a\.example cannot be resolved"):
        Guard(lookup=nowhere).addresses("a.example", 1)
    with pytest.raises(AndonError):
        Guard().addresses("a" * 70 + ".example", 1)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\0\xff" * 100,
        b"HTTP/1.1 999999999999999999999 \r\n\r\n",
        b"HTTP/1.1 -1 x\r\n\r\n",
        b"HTTP/1.1 200 ok\r\n" + b"x" * 70000,
        b"HTTP/1.1 200 ok\r\n" + b"a: b\r\n" * 300,
        b"x" * 70000,
    ],
)
def test_answer_that_is_none_is_unavailable(said: bytes) -> None:
    with _speaking(said) as url, pytest.raises(Unavailable, match="does not answer"):
        post(urlsplit(url), b"{}", {}, guard=LOCAL, timeout_seconds=60)


def test_side_that_says_continue_for_ever_is_given_up() -> None:
    with (
        _speaking(b"HTTP/1.1 100 Continue\r\n\r\n", forever=True) as url,
        pytest.raises(Unavailable),
    ):
        post(urlsplit(url), b"{}", {}, guard=LOCAL, timeout_seconds=0.3)


def test_silent_side_of_tls_is_given_up() -> None:
    with _speaking(b"\x16", forever=True) as url:
        secret = urlsplit(url.replace("http", "https"))
        with pytest.raises(Unavailable):
            post(secret, b"{}", {}, guard=LOCAL, timeout_seconds=0.3)


def asked(url: str, most_bytes: int, timeout_seconds: float = 60) -> Answer:
    headers = {"Accept": "text/plain"}
    return exchange(
        *("GET", urlsplit(url), None, headers),
        guard=LOCAL,
        timeout_seconds=timeout_seconds,
        most_bytes=most_bytes,
    )


def test_answer_is_read_up_to_what_was_allowed() -> None:
    said = b"HTTP/1.1 200 ok\r\nContent-Type: Text/Plain; charset=utf-8\r\n\r\nhello"
    with _speaking(said) as url:
        assert asked(url, 5) == Answer(200, "text/plain", b"hello")
    with _speaking(said) as url, pytest.raises(Unavailable, match="more than 4 bytes"):
        asked(url, 4)


def test_answer_that_never_ends_is_given_up() -> None:
    said = b"HTTP/1.1 200 ok\r\n\r\n"
    with _speaking(said, forever=True) as url, pytest.raises(Unavailable, match="timed out"):
        asked(url, 1 << 30, timeout_seconds=0.3)


class _speaking:  # noqa: N801 - used as a function
    """A server that says the same to whoever comes, once or until they leave."""

    def __init__(self, said: bytes, *, forever: bool = False) -> None:
        self._said, self._forever = said, forever
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def __exit__(self, *_: object) -> None:
        self._thread.join(60)
        self._listener.close()
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        gone = threading.Event()
        with connection:
            try:
                connection.sendall(self._said)
                while self._forever and not gone.wait(0.01):
                    connection.sendall(self._said)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 16):
                    pass
            except OSError:
                pass
