"""Passwords: salted, slow on purpose, and told apart whatever was stored."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from andon.adapters.passwords import Cost, Passwords, _read
from andon.testing.clock import SeededRandomness

CHEAP = Cost(log2_n=4, r=1, p=1)


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(SeededRandomness(), CHEAP)


def test_password_matches_its_own_hash_only(passwords: Passwords):
    stored = passwords.hash("correct horse battery")
    assert stored.startswith("scrypt$4$1$1$")
    assert passwords.matches("correct horse battery", stored)
    for wrong in ("correct horse batterz", "", "correct horse battery "):
        assert not passwords.matches(wrong, stored)


def test_same_password_has_another_hash_each_time(passwords: Passwords):
    assert passwords.hash("the same one") != passwords.hash("the same one")


def test_hash_is_scrypt_of_rfc_7914(passwords: Passwords):
    found = _read(passwords.hash("pleaseletmein"))
    assert found is not None
    expected = Scrypt(salt=found.salt, length=32, n=16, r=1, p=1).derive(b"pleaseletmein")
    assert found.key == expected


def test_same_letters_of_another_keyboard_match(passwords: Passwords):
    assert passwords.matches(
        "Ünïcödé wörds", passwords.hash("U\u0308ni\u0308co\u0308de\u0301 wo\u0308rds")
    )


@pytest.mark.parametrize(
    "stored", ["", "x", "scrypt$4$1$1$??$??", "scrypt$a$1$1$AA==$AA==", "md5$4$1$1$AA==$AA=="]
)
def test_what_is_no_hash_is_nobodys(passwords: Passwords, stored: str):
    assert not passwords.matches("", stored)
    assert not passwords.matches("password", stored)
    assert not passwords.is_current(stored)


def test_hash_keeps_its_own_parameters_and_is_known_as_old(passwords: Passwords):
    stored = passwords.hash("correct horse battery")
    dearer = Passwords(SeededRandomness(), Cost(log2_n=5, r=1, p=1))
    assert passwords.is_current(stored)
    assert dearer.matches("correct horse battery", stored)
    assert not dearer.is_current(stored)


def test_guess_costs_32_mebibytes_unless_a_test_says_otherwise():
    cost = Cost()
    assert 128 * (1 << cost.log2_n) * cost.r == 32 << 20
    assert Passwords(SeededRandomness()).hash("x").startswith("scrypt$15$8$3$")
