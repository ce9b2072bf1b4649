from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.cli.demo.receiver import Notices, Receiver


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with Receiver(Notices(tmp_path / "told.json")) as receiver:
        thread = threading.Thread(target=receiver.serve_forever, args=(0.01,))
        thread.start()
        yield receiver
        receiver.shutdown()
        thread.join()


def tell(receiver: Receiver, body: bytes, key: str | None = "k1") -> int:
    headers = {} if key is None else {"Idempotency-Key": key}
    request = urllib.request.Request(receiver.url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_notice_is_in_the_file_once_answered(receiver: Receiver, tmp_path: Path) -> None:
    assert tell(receiver, b'{"verdict": "Fail"}') == 201
    kept = json.loads((tmp_path / "told.json").read_bytes())
    assert [notice["body"] for notice in kept] == [{"verdict": "Fail"}]


def test_notice_told_again_is_kept_once(receiver: Receiver) -> None:
    assert [tell(receiver, b"{}", key) for key in ("k1", "k1", "k2")] == [201, 200, 201]
    with urllib.request.urlopen(receiver.url, timeout=60) as answer:
        assert [notice["key"] for notice in json.load(answer)] == ["k1", "k2"]


@pytest.mark.parametrize(("body", "key"), [(b"{}", None), (b"not JSON", "k1"), (b"", "k1")])
def test_notice_that_is_none_is_refused(receiver: Receiver, body: bytes, key: str | None) -> None:
    assert tell(receiver, body, key) == 400
    assert receiver.notices.all() == []


def test_keys_are_remembered_over_a_restart(receiver: Receiver, tmp_path: Path) -> None:
    tell(receiver, b"{}")
    again = Notices(tmp_path / "told.json")
    assert again.all() == receiver.notices.all()
    assert not again.add(again.all()[0])
