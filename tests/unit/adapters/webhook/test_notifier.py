import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from andon.adapters.outbound import Guard
from andon.adapters.webhook import WebhookNotifier
from andon.api.v1.actions import Intent, Notify
from andon.kernel.errors import AndonError, Denied, Unavailable, UsageError

KEY = Intent(key="u/1/notify/0", epoch=1)


class Receiver(ThreadingHTTPServer):
    status = 204
    got: list[tuple[str, dict[str, str], bytes]]


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(("127.0.0.1", 0), Handler) as server:
        server.got = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def told(receiver: Receiver) -> Notify:
    return Notify(url=f"http://127.0.0.1:{receiver.server_port}/hook?t=s", body={"text": "café"})


async def test_body_and_key_arrive(receiver: Receiver) -> None:
    await WebhookNotifier().notify(told(receiver), KEY)
    ((path, headers, body),) = receiver.got
    assert path == "/hook?t=s"
    assert headers["Idempotency-Key"] == KEY.key
    assert headers["User-Agent"].startswith("andon/")
    assert json.loads(body) == {"text": "café"}


@pytest.mark.parametrize(
    ("status", "error"),
    [(500, Unavailable), (503, Unavailable), (429, Unavailable), (404, Denied), (302, Denied)],
)
async def test_only_what_may_pass_is_tried_again(
    receiver: Receiver, status: int, error: type[AndonError]
) -> None:
    receiver.status = status
    with pytest.raises(error) as caught:
        await WebhookNotifier().notify(told(receiver), KEY)
    assert len(receiver.got) == 1
    assert "/hook" not in str(caught.value)


async def test_repetition_carries_the_same_key_whoever_repeats_it(receiver: Receiver) -> None:
    receiver.status = 503
    with pytest.raises(Unavailable):
        await WebhookNotifier().notify(told(receiver), KEY)
    receiver.status = 204
    for token in (2, 3):
        await WebhookNotifier().notify(told(receiver), Intent(key=KEY.key, epoch=token))
    assert [headers["Idempotency-Key"] for _, headers, _ in receiver.got] == [KEY.key] * 3
    assert len({body for _, _, body in receiver.got}) == 1


async def test_nobody_there_is_unavailable() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        with pytest.raises(Unavailable):
            await WebhookNotifier().notify(Notify(url=url, body={}), KEY)


async def test_silent_or_endless_side_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_drip, args=(server,))
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with pytest.raises(Unavailable):
            await WebhookNotifier(timeout_seconds=0.3).notify(Notify(url=url, body={}), KEY)
        thread.join(timeout=60)
        assert not thread.is_alive()


def _drip(server: socket.socket) -> None:
    connection, _ = server.accept()
    gone = threading.Event()
    with connection:
        try:
            while not gone.wait(0.02):
                connection.sendall(b"H")
        except OSError:
            pass


@pytest.mark.parametrize(
    "url",
    ["", "ftp://h/", "http:///x", "http://u:p@h/", "http://h/a b", "http://h:99999/", "file:///x"],
)
async def test_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        await WebhookNotifier().notify(Notify(url=url, body={}), KEY)


async def test_internal_address_is_not_told_unless_allowed(receiver: Receiver) -> None:
    with pytest.raises(Denied, match=r"127\.0\.0\.1"):
        await WebhookNotifier(guard=Guard()).notify(told(receiver), KEY)
    assert receiver.got == []
