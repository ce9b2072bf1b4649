"""The masker: what it lets pass at once, what it holds back, what counts as a secret."""

import pytest

from andon.kernel.masking import SHORTEST_SECRET, Masker, patterns

TOKEN = "tok-0123456789"
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w\n}\nAgEAAoIBAQC7VJTUt9Us\n-----END KEY-----\n"


def masked(secrets, *chunks):
    masker = Masker(secrets)
    return b"".join([*(masker.feed(chunk) for chunk in chunks), masker.close()])


def test_text_passes_at_once():
    masker = Masker([TOKEN])
    assert masker.feed(b"line one\n") == b"line one\n"
    assert masker.feed(b"100 % of a\\b & c\n") == b"100 % of a\\b & c\n"


def test_only_what_may_become_a_secret_is_held_back():
    masker = Masker([TOKEN])
    assert masker.feed(b"it is tok-01") == b"it is "
    assert masker.feed(b"23, not 45\n") == b"tok-0123, not 45\n"
    assert masker.feed(b"tok-012345678") == b""
    assert masker.feed(b"9\n") == b"***\n"


def test_secret_that_a_longer_one_begins_with_waits_for_what_follows():
    masker = Masker([TOKEN, TOKEN + "-and-more"])
    assert masker.feed(TOKEN.encode()) == b""
    assert masker.feed(b"-and-less\n") == b"***-and-less\n"
    assert masker.feed(TOKEN.encode() + b"-and-more\n") == b"***\n"


def test_secret_whose_end_another_may_begin_with_is_told_at_once_and_once():
    masker = Masker(["abcdefgh", "efghijkl"])
    assert masker.feed(b"<abcdefgh") == b"<***"
    assert masker.feed(b"ijk") == b""
    assert masker.feed(b"l>") == b">"
    assert masker.feed(b"abcdefghijk>") == b"***ijk>"


def test_escape_cut_in_two_is_held_back():
    masker = Masker(['"quoted"'])
    assert masker.feed(b"say \\") == b"say "
    assert masker.feed(b'"quoted\\') == b""
    assert masker.feed(b'" now') == b"*** now"


def test_rest_is_told_at_the_end():
    assert masked([TOKEN], b"tok-0123") == b"tok-0123"
    assert masked([TOKEN], b"half \\u00") == b"half \\u00"


def test_overlapping_secrets_leave_nothing():
    assert masked(["abcdefgh", "efghijkl"], b"<abcdefghijkl>") == b"<***>"
    assert masked(["abcabcab"], b"<abcabcabcabcabcab>") == b"<***>"
    assert masked([TOKEN], TOKEN.encode() * 2) == b"******"


def test_each_telling_line_of_a_secret_is_a_secret():
    assert masked([KEY], b"MIIEvQIBADANBgkqhkiG9w,AgEAAoIBAQC7VJTUt9Us") == b"***,***"
    assert masked([KEY], b"-----BEGIN KEY-----\n}\n") == b"-----BEGIN KEY-----\n}\n"
    assert masked([KEY.replace("\n", "\\n")], b"MIIEvQIBADANBgkqhkiG9w") == b"***"


def test_password_in_a_url_is_a_secret_by_itself():
    secrets = ["postgres://shop:hunter%2022@db:5432/shop"]
    assert masked(secrets, b"user shop, password hunter 22") == b"user shop, password ***"
    assert masked(secrets, b"PGPASSWORD=hunter%2022") == b"PGPASSWORD=***"


def test_white_space_around_a_secret_does_not_matter():
    assert masked(["\n" + TOKEN + "\n"], b"one line\n" + TOKEN.encode()) == b"one line\n***"


@pytest.mark.parametrize("secrets", [[], [""]])
def test_without_secrets_everything_passes(secrets):
    assert Masker(secrets).feed(b"\\any\\") in (b"\\any\\", b"\\any")
    assert masked(secrets, b"\\any\\") == b"\\any\\"


def test_shortest_secret_is_found_in_every_encoding():
    assert min(map(len, patterns("x" * SHORTEST_SECRET))) >= SHORTEST_SECRET


def test_hostile_output_and_secret_are_masked_in_linear_time():
    """Quadratic time would take hours here."""
    secret, size = "a" * 5000 + "b", 4_000_000
    assert masked([secret], b"a" * size) == b"a" * size
    assert masked(["a" * 5000], b"a" * size) == b"***"
    assert masked([TOKEN], b"\\" * 200_000 + b"%25" * 50_000) == b"\\" * 200_000 + b"%25" * 50_000
