"""The log masker: whatever is printed, in whatever pieces, no secret comes through and nothing hangs."""

from __future__ import annotations

import base64
import html
import itertools
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

from hypothesis import assume, given
from hypothesis import strategies as st
from material import every, files, mutated

from andon.kernel.escapes import views
from andon.kernel.masking import SHORTEST_SECRET, Masker, patterns

PASSWORD = "pä$$ 'w\"ö/rd+x\\y%41&"
TOKEN = "sEKret-0123456789abcdefXYZ_aaaa"
KEY = (
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\n"
    "AgEAAoIBAQC7VJTUt9Us8cKjMzEfYyjiWA4R4/M2\nbS1GB4t7NXp98C3S\n-----END PRIVATE KEY-----\n"
)
SECRETS = [PASSWORD, TOKEN, KEY, "abababab", "ababa-" + TOKEN, TOKEN[5:20]]
PIECES = [
    TOKEN.encode(), TOKEN[:9].encode(), TOKEN[9:].encode(), PASSWORD.encode(), b"abab", b"\\", b"%",
    b"&", b"'", b"\\u00", b"\\ud83d\\ude00", b"%2", b"&#", b"'\\''", b"\n", json.dumps(PASSWORD).encode(),
    quote(PASSWORD).encode(), base64.b64encode(TOKEN.encode()),
]  # fmt: skip


def _escaped(text: str) -> str:
    return "".join(f"\\u{ord(c):04X}" if c < "\U00010000" else c for c in text)


ENCODINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "json": json.dumps,
    "json-utf8": lambda text: json.dumps(text, ensure_ascii=False),
    "json-slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "json-all": _escaped,
    "json-twice": lambda text: json.dumps(json.dumps(text)),
    "json-html": lambda text: html.escape(json.dumps(text)),
    "url": quote,
    "url-all": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "url-form": quote_plus,
    "url-twice": lambda text: quote(quote(text, safe="")),
    "html": html.escape,
    "shell": shlex.quote,
    "hex": lambda text: text.encode().hex(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64-1": lambda text: base64.b64encode(b"u" + text.encode() + b"!").decode(),
    "base64-2": lambda text: base64.b64encode(b"u:" + text.encode() + b"!!").decode(),
    "base64-url": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
}

WHITE = " \t\n\r\v\f"

_lines = st.text(st.characters(codec="utf-8", exclude_characters="*\0"), min_size=SHORTEST_SECRET)
_secrets = st.lists(
    _lines.map(lambda text: text.strip(WHITE)).filter(lambda text: len(text) >= SHORTEST_SECRET),
    min_size=1,
)


def masked(secrets: list[str], chunks: list[bytes]) -> bytes:
    masker = Masker(secrets)
    return b"".join([*(masker.feed(chunk) for chunk in chunks), masker.close()])


def cut(data: bytes, places: list[float]) -> list[bytes]:
    at = [0, *sorted(int(place * len(data)) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(at)]


def leaks(secrets: list[str], told: bytes) -> list[bytes]:
    """Return what a reader of any spelling still finds."""
    found = {pattern for secret in secrets for pattern in patterns(secret)}
    return [pattern for view in views(told) for pattern in found if pattern in view.text]


def check(data: bytes, places: list[float]) -> bytes:
    told = masked(SECRETS, [data])
    assert masked(SECRETS, cut(data, places)) == told
    assert not leaks(SECRETS, told)
    assert told == data or leaks(SECRETS, data)
    return told


@every("masker")
def test_kept_output_is_masked_the_same_in_any_pieces(path: Path) -> None:
    data = path.read_bytes()
    told = check(data, [])
    assert masked(SECRETS, [bytes([byte]) for byte in data]) == told
    if path.name.startswith("good-"):
        assert told == data


@given(mutated("masker", PIECES), st.lists(st.floats(0, 1), max_size=6))
def test_changed_output_is_masked_the_same_in_any_pieces(data: bytes, places: list[float]) -> None:
    check(data[:8192], places)


@given(
    _secrets,
    st.sampled_from(sorted(ENCODINGS)),
    st.lists(st.floats(0, 1), max_size=6),
    st.data(),
)
def test_any_secret_in_any_encoding_is_masked(
    secrets: list[str], encoding: str, places: list[float], data: st.DataObject
) -> None:
    secret = data.draw(st.sampled_from(secrets))
    spelled = ENCODINGS[encoding](secret).encode()
    told = masked(secrets, cut(b"it is <" + spelled + b"> here\n", places))
    assert b"***" in told
    assert not leaks(secrets, told)


@given(
    st.lists(st.sampled_from(files("masker")), max_size=3), st.lists(st.floats(0, 1), max_size=6)
)
def test_what_is_no_secret_passes_unchanged(paths: list[Path], places: list[float]) -> None:
    secrets = ["nobody-ever-prints-this", "nor this: \\ % & '"]
    data = b"".join(path.read_bytes() for path in paths)
    assume(len(data) < 16384)
    assert masked(secrets, cut(data, places)) == data
