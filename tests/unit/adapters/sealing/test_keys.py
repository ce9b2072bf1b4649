"""Where the installation's key comes from, and what is no key."""

from __future__ import annotations

import base64
import stat
import sys
from pathlib import Path

import pytest

from andon.adapters.sealing import Key, key_source, parse_key
from andon.adapters.sealing.keys import KeyFile
from andon.api.v1.installation import SecretsKeySpec
from andon.kernel.errors import Unavailable
from andon.runtime.system import SystemRandomness

TEXT = base64.b64encode(b"k" * 32).decode()
RANDOMNESS = SystemRandomness()


def source(state: Path, **spec: object):
    return key_source(SecretsKeySpec(**spec), state, RANDOMNESS)


def test_the_first_key_is_made_in_a_file_nobody_else_reads(tmp_path: Path):
    made = source(tmp_path).find("")
    file = tmp_path / "secrets.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert source(tmp_path).find("").id == source(tmp_path).find(made.id).id == made.id
    assert repr(made) == f"Key({made.id})"


def test_no_key_is_made_where_another_has_sealed(tmp_path: Path):
    with pytest.raises(Unavailable, match="is missing") as refused:
        source(tmp_path).find("0123456789abcdef")
    assert "rewrap --old-key-file" in refused.value.hint
    assert list(tmp_path.iterdir()) == []
    source(tmp_path).find("")
    with pytest.raises(Unavailable, match="holds another key"):
        source(tmp_path).find("0123456789abcdef")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int):
    source(tmp_path).find("")
    (tmp_path / "secrets.key").chmod(mode)
    with pytest.raises(Unavailable, match="others") as refused:
        source(tmp_path).find("")
    assert "chmod 600" in refused.value.hint


def test_a_key_is_found_while_and_after_it_is_replaced(tmp_path: Path):
    keys = KeyFile(tmp_path / "secrets.key", RANDOMNESS)
    old = keys.find("")
    new = keys.begin_change()
    assert keys.begin_change().id == new.id, "a change that was broken off goes on"
    assert {keys.find(one.id).id for one in (old, new)} == {old.id, new.id}
    keys.end_change(new)
    keys.end_change(new)
    assert keys.find("").id == new.id
    assert {keys.find(one.id).id for one in (old, new)} == {old.id, new.id}


def test_a_variable_holds_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("THE_KEY", TEXT)
    assert source(tmp_path, environment="THE_KEY").find("").id == Key(b"k" * 32).id
    with pytest.raises(Unavailable, match="sealed the secrets"):
        source(tmp_path, environment="THE_KEY").find("another")
    with pytest.raises(Unavailable, match="is not set"):
        source(tmp_path, environment="NO_KEY").find("")


def command(script: str) -> tuple[str, ...]:
    return (sys.executable, "-c", script)


def test_a_command_prints_the_key_and_is_no_shell(tmp_path: Path):
    found = source(tmp_path, command=(*command("import sys; print(sys.argv[1])"), TEXT)).find("")
    assert found.id == Key(b"k" * 32).id


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("print('hush'); raise SystemExit(3)", "exit code 3"),
        ("print('hush' * 100000)", "more than a key"),
        ("print('hush')", "holds no key"),
    ],
)
def test_a_command_that_prints_no_key_is_not_quoted(tmp_path: Path, script: str, why: str):
    with pytest.raises(Unavailable, match=why) as refused:
        source(tmp_path, command=command(script)).find("")
    assert "hush" not in str(refused.value).replace(script, "")


def test_a_command_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("andon.adapters.sealing.keys.COMMAND_SECONDS", 0.2)
    with pytest.raises(Unavailable, match="no answer"):
        source(tmp_path, command=command("import time; time.sleep(60)")).find("")
    with pytest.raises(Unavailable, match="failed"):
        source(tmp_path, command=("/nowhere/keys",)).find("")


@pytest.mark.parametrize("text", [b"", b"hush", TEXT.encode() + b"AAAA", b"\xff" * 44])
def test_what_is_no_key_is_refused_without_being_shown(text: bytes):
    with pytest.raises(Unavailable, match="the file holds no key") as refused:
        parse_key(text, "the file")
    assert "hush" not in str(refused.value)
