"""What is sealed opens under its own name with its own key only."""

from __future__ import annotations

import json

import pytest

from andon.adapters.sealing import Envelopes, Key
from andon.kernel.errors import Unavailable, Untrusted
from andon.runtime.system import SystemRandomness

OLD, NEW = Key(b"o" * 32), Key(b"n" * 32)


class Ring:
    """Keys by name; the first is the one to begin with."""

    def __init__(self, *keys: Key) -> None:
        self.keys = {key.id: key for key in reversed(keys)}

    def find(self, key_id: str) -> Key:
        found = self.keys.get(key_id) if key_id else list(self.keys.values())[-1]
        if found is None:
            raise Unavailable("the key is missing")
        return found


def envelopes(*keys: Key) -> Envelopes:
    return Envelopes(Ring(*keys), SystemRandomness())


def test_what_is_sealed_opens_and_is_never_the_same_twice():
    one = envelopes(OLD)
    first, second = (one.seal("höchst geheim", "a", OLD.id) for _ in range(2))
    assert first != second
    assert [one.open(text, "a") for text in (first, second)] == ["höchst geheim"] * 2
    assert "geheim" not in first


def test_it_opens_for_nothing_else():
    one = envelopes(OLD)
    text = one.seal("hush hush", "sealed:secret/dev/db/1", OLD.id)
    with pytest.raises(Untrusted, match="belongs elsewhere"):
        one.open(text, "sealed:secret/prod/db/1")


@pytest.mark.parametrize("part", ["data_key", "value", "key"])
def test_what_was_altered_does_not_open(part: str):
    one = envelopes(OLD, NEW)
    sealed = json.loads(one.seal("hush hush", "a", OLD.id))
    other = json.loads(one.seal("hush hush", "a", NEW.id))
    with pytest.raises(Untrusted):
        one.open(json.dumps({**sealed, part: other[part]}), "a")


@pytest.mark.parametrize(
    "text", ["", "{}", "hush", '{"format":2,"key":"","data_key":"","value":""}']
)
def test_what_is_no_envelope_does_not_open(text: str):
    with pytest.raises(Untrusted):
        envelopes(OLD).open(text, "a")


def test_without_its_key_it_does_not_open():
    text = envelopes(OLD).seal("hush hush", "a", OLD.id)
    with pytest.raises(Unavailable, match="missing"):
        envelopes(NEW).open(text, "a")


def test_another_key_seals_the_small_key_only():
    text = envelopes(OLD).seal("hush hush", "a", OLD.id)
    again = envelopes(NEW).reseal(text, "a", NEW, OLD)
    assert json.loads(again)["value"] == json.loads(text)["value"]
    assert envelopes(NEW).open(again, "a") == "hush hush"
    assert envelopes(NEW).reseal(again, "a", NEW) == again
    with pytest.raises(Unavailable):
        envelopes(NEW).reseal(text, "a", NEW)


def test_a_fingerprint_depends_on_the_key():
    assert len({envelopes(key).fingerprint("hush", "") for key in (OLD, NEW)}) == 2
