"""Notices to a chat and by e-mail, over real sockets."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.adapters.notices import Chat, Mail
from andon.adapters.outbound import LOCAL, Guard
from andon.api.v1.installation import MailSpec
from andon.kernel.errors import Denied, Unavailable, UsageError
from andon.ports.notices import Notice
from andon.testing.certificates import make_certificate
from andon.testing.children import free_port
from andon.testing.mailbox import Mailbox
from andon.testing.webhook import WebhookReceiver

NOTICE = Notice(
    id="change/c1/finished",
    subject="stopped: <!channel> fix\r\nBcc: everybody@example.com",
    lines=("build: unit failed", "andon why c1"),
    url="https://andon.example/#/changes/c1",
)


@pytest.fixture
def encrypted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    certificate, key = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    opened = Mailbox((certificate, key))
    yield opened
    opened.close()


def mail(mailbox: Mailbox, **more: object) -> Mail:
    return Mail(MailSpec(server=mailbox.address, sender="andon@example.com", **more))


async def test_chat_gets_one_text_with_a_link(receiver: WebhookReceiver):
    await Chat(LOCAL).send(receiver.url, NOTICE)
    (request,) = receiver.requests
    assert request.headers["content-type"] == "application/json"
    text = json.loads(request.body)["text"]
    assert text.endswith("\nhttps://andon.example/#/changes/c1")
    assert "&lt;!channel&gt;" in text
    assert "<" not in text


@pytest.mark.parametrize(("status", "error"), [(404, Denied), (410, Denied), (429, Unavailable), (500, Unavailable)])  # fmt: skip
async def test_chat_that_refuses(receiver: WebhookReceiver, status: int, error: type[Exception]):
    receiver.status = lambda request: status
    with pytest.raises(error, match=r"127\.0\.0\.1 answered") as caught:
        await Chat(LOCAL).send(receiver.url, NOTICE)
    assert "/events" not in str(caught.value)


async def test_chat_is_not_called_at_internal_addresses(receiver: WebhookReceiver):
    with pytest.raises(Denied):
        await Chat(Guard()).send(receiver.url, NOTICE)
    assert not receiver.requests


async def test_chat_at_no_address():
    with pytest.raises(UsageError):
        await Chat(LOCAL).send("https://", NOTICE)


async def test_mail_is_encrypted_and_logged_in(encrypted: Mailbox, tmp_path: Path):
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    sender = mail(encrypted, user="andon", password_file=str(password))
    await sender.send("ann@example.com", NOTICE)
    (letter,) = encrypted.letters
    assert letter.encrypted
    assert base64.b64decode(letter.login) == b"\0andon\0s3cret"
    assert (letter.sender, letter.recipients) == ("andon@example.com", ("ann@example.com",))


async def test_text_of_others_becomes_no_header(mailbox: Mailbox):
    await mail(mailbox, start_tls=False).send("ann@example.com", NOTICE)
    (letter,) = mailbox.letters
    assert letter.recipients == ("ann@example.com",)
    assert letter.message["Bcc"] is None
    assert letter.message["Subject"] == "stopped: <!channel> fix  Bcc: everybody@example.com"
    assert letter.message["Auto-Submitted"] == "auto-generated"
    assert "andon why c1" in letter.message.get_content()
    assert NOTICE.url in letter.message.get_content()


async def test_the_same_notice_is_the_same_message(mailbox: Mailbox):
    for _ in range(2):
        await mail(mailbox, start_tls=False).send("ann@example.com", NOTICE)
    first, second = mailbox.letters
    assert first.message["Message-ID"] == second.message["Message-ID"]


async def test_nothing_is_sent_in_the_clear_where_encryption_is_asked_for(mailbox: Mailbox):
    with pytest.raises(Denied, match="STARTTLS"):
        await mail(mailbox).send("ann@example.com", NOTICE)
    assert not mailbox.letters


async def test_a_certificate_nobody_vouches_for_is_not_talked_to(
    encrypted: Mailbox, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(Unavailable, match="certificate"):
        await mail(encrypted).send("ann@example.com", NOTICE)
    assert not encrypted.letters


@pytest.mark.parametrize(("answer", "error"), [("550 nobody here", Denied), ("450 later", Unavailable)])  # fmt: skip
async def test_recipient_refused(mailbox: Mailbox, answer: str, error: type[Exception]):
    mailbox.refuse = lambda recipient: answer
    with pytest.raises(error, match=answer[:3]):
        await mail(mailbox, start_tls=False).send("ann@example.com", NOTICE)


async def test_no_server():
    spec = MailSpec(server=f"127.0.0.1:{free_port()}", sender="andon@example.com")
    with pytest.raises(Unavailable, match="does not answer"):
        await Mail(spec).send("ann@example.com", NOTICE)
