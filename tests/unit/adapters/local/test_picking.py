import io
import os
import tarfile
from pathlib import Path

import pytest

from andon.adapters.local.picking import Putting, pick
from andon.kernel.errors import StepFailed, Untrusted


def names(root: Path, *patterns: str) -> list[str]:
    return [os.fsdecode(member.name) for member in pick(os.fsencode(root), patterns)]


def test_patterns_take_files_and_whole_folders_but_never_git(tmp_path: Path) -> None:
    for name in ("a.xml", "out/b.xml", "out/deep/c.txt", ".git/config", "out/.git/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert names(tmp_path, "*.xml") == ["a.xml"]
    assert names(tmp_path, "out") == ["out", "out/b.xml", "out/deep", "out/deep/c.txt"]
    assert names(tmp_path, "**/*.xml") == ["a.xml", "out/b.xml"]
    assert names(tmp_path, "nothing/**") == []


def test_nothing_is_taken_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/key").touch()
    (tmp_path / "tree/link").symlink_to(tmp_path / "outside")
    assert names(tmp_path / "tree", "link/**", "link/key", "**/key") == []
    assert names(tmp_path / "tree", "**") == ["link"]


def test_tree_that_is_too_deep_is_said(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(400):
        os.mkdir("d", dir_fd=folder)
        below = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    with pytest.raises(StepFailed, match="folders deep"):
        names(tmp_path, "**")


def put(root: Path, *members: tuple[str, bytes, str], replacing: bool = True) -> None:
    """Put a tar of (name, type, content or target) there."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            content = b""
            if kind == tarfile.REGTYPE:
                content = text.encode()
                info.size = len(content)
            else:
                info.linkname = text
            tar.addfile(info, io.BytesIO(content))
    size_bytes = made.tell()
    made.seek(0)
    Putting(os.fsencode(root), replacing=replacing, any_links=False).put(made, size_bytes)


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", ".git/hooks/pre-commit", "a/.GIT/x"])
def test_names_that_reach_outside_are_refused(tmp_path: Path, name: str) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    with pytest.raises(Untrusted):
        put(tree, (name, tarfile.REGTYPE, "x"))
    assert list(tree.iterdir()) == []
    assert list(tmp_path.iterdir()) == [tree]


def test_file_behind_a_link_of_the_tree_replaces_the_link(tmp_path: Path) -> None:
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    tree.mkdir()
    outside.mkdir()
    (tree / "link").symlink_to(outside)
    put(tree, ("link/x", tarfile.REGTYPE, "x"))
    assert list(outside.iterdir()) == []
    assert (tree / "link/x").read_text() == "x"


def test_file_behind_a_link_stays_away_where_nothing_is_replaced(tmp_path: Path) -> None:
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    tree.mkdir()
    outside.mkdir()
    (tree / "link").symlink_to(outside)
    put(tree, ("link/x", tarfile.REGTYPE, "x"), ("y", tarfile.REGTYPE, "y"), replacing=False)
    assert list(outside.iterdir()) == []
    assert (tree / "link").is_symlink()
    assert (tree / "y").read_text() == "y"


def test_link_and_file_of_one_archive_do_not_meet_outside(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    with pytest.raises(Untrusted, match="leads outside"):
        put(
            tree,
            ("up", tarfile.SYMTYPE, ".."),
            ("up/pwned", tarfile.REGTYPE, "x"),
        )
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_anything_but_files_folders_and_links_is_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(Untrusted):
        put(tmp_path, ("x", kind, "/etc/passwd"))


def test_file_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x/y").mkdir(parents=True)
    put(tmp_path, ("x", tarfile.REGTYPE, "x"))
    assert (tmp_path / "x").read_text() == "x"
