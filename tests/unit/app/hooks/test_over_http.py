"""Messages of forges as they come over HTTP: any of GitHub's content types, and as large as it sends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from hook_site import Site

from andon.ports.hooks import MOST_BYTES
from andon.ports.offices import Offices
from andon.testing import forges
from andon.testing.forges import Sent
from andon.testing.line import StillLine
from andon.web.app import create_app
from andon.web.bodies import LARGEST_BODY_BYTES

FORM = "application/x-www-form-urlencoded"
PIECE_BYTES = 1 << 16


async def post(site: Site, sent: Sent) -> tuple[int, dict[str, str]]:
    """Send a message in pieces, as a server receives it."""
    app = create_app(Offices(line=StillLine(), access=site.door, hooks=site.hooks))
    headers = [(name.lower().encode(), text.encode()) for name, text in sent.headers.items()]
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "https",
        "path": "/api/v1/hooks/github/deliveries",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"andon.example"), *headers],
        "client": ("192.0.2.1", 40000),
        "state": {"tcp": True},
    }
    answers = []
    pieces = inbox(sent.body)

    async def receive():
        return next(pieces)

    async def send(message):
        answers.append(message)

    await app(scope, receive, send)
    body = b"".join(one.get("body", b"") for one in answers)
    return answers[0]["status"], json.loads(body)


def inbox(body: bytes) -> Iterator[dict[str, object]]:
    for begin in range(0, len(body), PIECE_BYTES):
        piece = body[begin : begin + PIECE_BYTES]
        yield {"type": "http.request", "body": piece, "more_body": True}
    yield {"type": "http.request", "body": b"", "more_body": False}


def as_form(sent: Sent, secret: str) -> Sent:
    """Send the same as GitHub's other content type: what is signed is the form, not the JSON in it."""
    body = urlencode({"payload": sent.body.decode()}).encode()
    signed = forges.send_bytes("github", secret, "push", body)
    return Sent(signed.headers | {"Content-Type": FORM}, body)


async def test_a_form_is_taken_if_all_of_it_is_signed(site: Site) -> None:
    secret = await site.add()
    status, answer = await post(site, as_form(forges.push("github", secret), secret))
    assert (status, answer["taken"], answer["ref"]) == (202, True, "main")


async def test_a_form_whose_payload_alone_is_signed_is_refused(site: Site) -> None:
    secret = await site.add()
    sent = forges.push("github", secret)
    form = urlencode({"payload": sent.body.decode()}).encode()
    status, answer = await post(site, Sent(sent.headers | {"Content-Type": FORM}, form))
    assert (status, answer["code"]) == (403, "Denied")
    assert await site.changes() == []


@pytest.mark.parametrize("is_form", [False, True], ids=["json", "form"])
async def test_a_push_of_many_commits_is_taken(site: Site, is_form: bool) -> None:
    secret = await site.add()
    commits = [{"message": 'with "quotes", + and & %41'}] * (3 * LARGEST_BODY_BYTES // 50)
    sent = forges.push("github", secret, commits=commits)
    sent = as_form(sent, secret) if is_form else sent
    assert len(sent.body) > 2 * LARGEST_BODY_BYTES
    status, answer = await post(site, sent)
    assert (status, answer["taken"]) == (202, True)


async def test_what_no_forge_sends_is_refused(site: Site) -> None:
    secret = await site.add()
    sent = forges.send_bytes("github", secret, "push", b" " * (MOST_BYTES + 1))
    status, answer = await post(site, sent)
    assert (status, answer["code"]) == (400, "UsageError")
    assert answer["detail"] == f"the request is larger than {MOST_BYTES} bytes"
