"""A state folder has an identity of its own, whole, whoever asks first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from andon.app.home import IDENTITY, this_home
from andon.testing.clock import SeededRandomness


def test_identity_stays_as_it_was_made(tmp_path: Path) -> None:
    first = this_home(tmp_path, SeededRandomness(1))
    assert len(first.id) == 16
    assert this_home(tmp_path, SeededRandomness(2)) == first
    assert (tmp_path / IDENTITY).stat().st_mode & 0o777 == 0o600


def test_all_who_ask_at_the_same_time_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        homes = pool.map(lambda seed: this_home(tmp_path, SeededRandomness(seed)), range(64))
        assert len({home.id for home in homes}) == 1
    assert [one.name for one in tmp_path.iterdir()] == [IDENTITY]


def test_one_that_a_crash_left_empty_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / IDENTITY).touch()
    found = this_home(tmp_path, SeededRandomness(1))
    assert len(found.id) == 16
    assert this_home(tmp_path, SeededRandomness(2)) == found
