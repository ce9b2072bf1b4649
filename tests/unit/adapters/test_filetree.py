import os
from pathlib import Path

import pytest

from andon.adapters import filetree
from andon.adapters.filetree import (
    is_safe_name,
    leads_outside,
    locked,
    locked_if_free,
    making,
    remove_tree,
    settle,
)
from andon.kernel.errors import Unavailable


def test_made_folder_takes_its_place_whole(tmp_path: Path) -> None:
    with making(tmp_path / "place") as made:
        (made / "file").touch()
        assert not (tmp_path / "place").exists()
        settle(made, tmp_path / "place")
    assert [path.name for path in tmp_path.rglob("*")] == ["place", "file"]


def test_failed_making_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with making(tmp_path / "place") as made:
            (made / "file").touch()
            raise Unavailable("the disk is full")

    with pytest.raises(Unavailable):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_place_taken_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    with making(tmp_path / "place") as late, making(tmp_path / "place") as quicker:
        for made in (late, quicker):
            (made / made.name).touch()
        settle(quicker, tmp_path / "place")
        settle(late, tmp_path / "place")
    assert [path.name for path in (tmp_path / "place").iterdir()] == [quicker.name]
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_abandoned_folder_is_removed_and_a_living_makers_is_not(tmp_path: Path) -> None:
    (tmp_path / ".place.abandoned").mkdir()
    (tmp_path / ".other.abandoned").mkdir()
    with making(tmp_path / "place") as living, making(tmp_path / "place"):
        assert living.exists()
        assert not (tmp_path / ".place.abandoned").exists()
    assert [path.name for path in tmp_path.iterdir()] == [".other.abandoned"]


def test_lock_that_is_held_for_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filetree, "_PATIENCE_SECONDS", 0)
    with locked(tmp_path / "lock"):
        with locked_if_free(tmp_path / "lock", 0) as lock:
            assert lock is None
        with (
            pytest.raises(Unavailable, match="Another process has held"),
            locked(tmp_path / "lock"),
        ):
            pass
    with locked(tmp_path / "lock"), locked_if_free(tmp_path / "other", 0) as lock:
        assert lock is not None


def test_tree_deeper_than_a_path_can_be_is_removed(tmp_path: Path) -> None:
    """A job that changes into a folder it made, again and again, can make it."""
    top = tmp_path / "top"
    top.mkdir()
    (top / "link").symlink_to(tmp_path)
    here = os.open(top, os.O_RDONLY)
    for number in range(1500):
        os.mkdir("some-folder", dir_fd=here)
        below = os.open("some-folder", os.O_RDONLY, dir_fd=here)
        if number % 100 == 0:
            os.mkfifo("pipe", dir_fd=below)
            os.mkdir("read-only", 0o500, dir_fd=below)
        os.close(here)
        here = below
    os.close(here)
    remove_tree(top)
    assert list(tmp_path.iterdir()) == []
    remove_tree(top)


def test_links_that_lead_in_circles_or_far_are_judged_soon() -> None:
    circle = {b"a": b"b", b"b": b"a"}
    assert not leads_outside(b"a", circle)
    far = {b"l%d" % number: b"d/../" * 800 + b"l%d" % (number + 1) for number in range(39)}
    assert leads_outside(b"l0", far)


def test_path_too_long_or_too_deep_is_not_safe() -> None:
    assert is_safe_name(b"a/" * 255 + b"a")
    assert not is_safe_name(b"a/" * 256 + b"a")
    assert not is_safe_name(b"a" * 4001)
