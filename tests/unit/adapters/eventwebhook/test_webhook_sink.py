"""What a webhook is told, what its answers mean, and what is never done."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from andon.adapters.eventwebhook import WebhookSink, new_secret, read_secret, signature
from andon.kernel.errors import AndonError, Denied, Unavailable, UsageError
from andon.ports.sinks import Gone, NotTaken, Outgoing, Receiver
from andon.testing.clock import FakeClock
from andon.testing.webhook import WebhookReceiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENT = Outgoing(id="run/a/finished", type="dev.cdevents.build.queued.0.3.0", body=b"{}")


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    opened = WebhookReceiver()
    opened.start()
    yield opened
    opened.kill()


def sink(url: str, *secrets: str, timeout_seconds: float = 60) -> WebhookSink:
    spec = Receiver(name="a", url=url, secrets=secrets or (SECRET,))
    return WebhookSink(spec, FakeClock(1614265330.7), timeout_seconds)


def test_signature_is_the_one_of_the_standards_own_example():
    signed = signature(
        [SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}'
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_made_secret_is_read_and_others_are_refused():
    assert read_secret(new_secret(bytes(32)) + "\n") == bytes(32)
    for text in ("", "whsec_", "whsec_c2hvcnQ=", "secret", new_secret(bytes(65)), "whsec_ü"):
        with pytest.raises(UsageError, match="24 to 64 bytes"):
            read_secret(text)


async def test_both_secrets_sign_while_one_is_replaced(receiver: WebhookReceiver):
    newer = new_secret(bytes(range(32)))
    await sink(receiver.url, newer, SECRET).deliver(EVENT)
    (request,) = receiver.requests
    at = request.headers["webhook-timestamp"]
    both = signature([newer, SECRET], EVENT.id, at, request.body)
    assert at == "1614265330"
    assert request.headers["webhook-signature"] == both
    assert len(both.split()) == 2


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (301, Denied),
        (400, Denied),
        (404, Denied),
        (408, Unavailable),
        (410, Gone),
        (422, Denied),
        (429, Unavailable),
        (500, NotTaken),
        (503, Unavailable),
    ],
)
async def test_answer_says_whether_to_try_again(
    receiver: WebhookReceiver, status: int, error: type[AndonError]
):
    receiver.status = lambda request: status
    receiver.headers = {"Location": f"{receiver.url}/elsewhere"}
    with pytest.raises(error, match=str(status)) as raised:
        await sink(receiver.url).deliver(EVENT)
    assert raised.type is error
    assert len(receiver.requests) == 1
    assert "/events" not in str(raised.value)


async def test_silent_side_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(Unavailable, match="does not answer"):
            await sink(url, timeout_seconds=0.2).deliver(EVENT)


@pytest.mark.parametrize(
    "url", ["http://", "http://a:b@c/", "http://a b/", "http://[x/", "ftp://a"]
)
def test_address_that_is_none_is_refused(url: str):
    with pytest.raises(UsageError, match="not usable"):
        sink(url)
