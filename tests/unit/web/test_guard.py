from __future__ import annotations

from typing import Any

import pytest

from andon.api.configuration import Address
from andon.api.v1.installation import InstallationSpec, ProxySpec
from andon.web.guard import Forwarded, guarded, known_names

LOOPBACK, EVERYWHERE = Address("127.0.0.1", 7411), Address("0.0.0.0", 443)


def scope(peer: str, *headers: tuple[str, str]) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "GET",
        "path": "/",
        "scheme": "http",
        "client": (peer, 5),
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }


async def seen(app_of: Any, asked: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the application behind was asked; nothing if it was not."""
    got: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        got.append(scope)

    async def send(message: Any) -> None:
        pass

    await app_of(app)(asked, None, send)
    return got[0] if got else None


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("1.1.1.1, 192.0.2.7", "192.0.2.7"),
        ("192.0.2.7, 10.1.2.3", "192.0.2.7"),
        ("1.1.1.1, 192.0.2.7, 10.1.2.3, 10.9.9.9", "192.0.2.7"),
        ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("192.0.2.7:4711", "192.0.2.7"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("192.0.2.7, unknown", "10.0.0.1"),
        ("nonsense", "10.0.0.1"),
        ("", "10.0.0.1"),
    ],
)
async def test_the_client_is_the_first_from_the_right_that_is_no_proxy(
    said: str, client: str
) -> None:
    asked = scope("10.0.0.1", ("x-forwarded-for", said))
    got = await seen(lambda app: Forwarded(app, ["10.0.0.0/8"]), asked)
    assert got
    assert got["client"][0] == client


async def test_several_headers_count_as_one_list() -> None:
    lines = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "192.0.2.7")]
    got = await seen(lambda app: Forwarded(app, ["10.0.0.0/8"]), scope("10.0.0.1", *lines))
    assert got
    assert got["client"] == ("192.0.2.7", 0)


@pytest.mark.parametrize("peer", ["192.0.2.1", "11.0.0.1", "2001:db8::1"])
async def test_a_stranger_says_nothing_about_itself(peer: str) -> None:
    lines = [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "https")]
    got = await seen(lambda app: Forwarded(app, ["10.0.0.0/8"]), scope(peer, *lines))
    assert got
    assert (got["client"][0], got["scheme"]) == (peer, "http")


@pytest.mark.parametrize(
    ("said", "scheme"),
    [("https", "https"), ("HTTPS", "https"), ("http, https", "https"), ("javascript", "http")],
)
async def test_a_proxy_says_how_it_was_asked(said: str, scheme: str) -> None:
    asked = {**scope("10.0.0.1"), "headers": [(b"x-forwarded-proto", said.encode())]}
    got = await seen(lambda app: Forwarded(app, ["10.0.0.1"]), asked)
    assert got
    assert got["scheme"] == scheme


@pytest.mark.parametrize(
    ("url", "address", "host", "answered"),
    [
        (None, LOOPBACK, "localhost:1", True),
        (None, LOOPBACK, "andon.example", False),
        ("https://andon.example:8443/", LOOPBACK, "Andon.example", True),
        ("https://andon.example", LOOPBACK, "127.0.0.1:7411", True),
        ("https://andon.example", LOOPBACK, "127.0.0.1.evil.example", False),
        ("https://andon.example", EVERYWHERE, "andon.example:443", True),
        ("https://andon.example", EVERYWHERE, "localhost", False),
        ("https://andon.example", EVERYWHERE, "", False),
        (None, EVERYWHERE, "anything.example", True),
    ],
)
async def test_only_known_names_are_answered(
    url: str | None, address: Address, host: str, answered: bool
) -> None:
    told = InstallationSpec(url=url)
    asked = scope("192.0.2.1", *([("host", host)] if host else []))
    assert bool(await seen(lambda app: guarded(app, told, address), asked)) is answered


async def test_a_name_is_not_taken_from_a_proxys_other_headers() -> None:
    told = InstallationSpec(proxy=ProxySpec(trusted=("10.0.0.1",)))
    lines = [("host", "evil.example"), ("x-forwarded-host", "localhost")]
    assert not await seen(lambda app: guarded(app, told, LOOPBACK), scope("10.0.0.1", *lines))


def test_another_loopback_address_is_a_name_of_its_own() -> None:
    assert "127.0.0.2" in known_names(InstallationSpec(), Address("127.0.0.2", 1))
