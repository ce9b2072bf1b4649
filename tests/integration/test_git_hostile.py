"""Repositories that somebody made to break whoever reads them: real git, real objects, real tricks."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from git_world import committed, git

from andon.adapters.git import GitSource, dirty
from andon.adapters.git.command import objects, run
from andon.adapters.git.tree import Limits, write_tree
from andon.kernel.errors import AndonError, NotFound, StepFailed, Unavailable, UsageError
from andon.ports import Commit


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that nobody may run; ``tmp_path/was-run`` says that somebody did."""
    path = tmp_path / "program"
    path.write_text(f"#!/bin/sh\ntouch {tmp_path}/was-run\ncat\n")
    path.chmod(0o755)
    return path


def stored(folder: Path, kind: str, raw: bytes) -> str:
    """Store an object as it is, which git itself might not make."""
    return git(folder, "hash-object", "-t", kind, "--literally", "-w", "--stdin", input=raw)


def tree(folder: Path, *entries: tuple[bytes, bytes, str]) -> str:
    raw = b"".join(mode + b" " + name + b"\0" + bytes.fromhex(sha) for mode, name, sha in entries)
    return stored(folder, "tree", raw)


def commit(folder: Path, tree: str) -> str:
    return git(folder, "commit-tree", tree, "-m", "hostile")


def raw_commit(folder: Path, *, date: bytes = b"1", headers: bytes = b"", message: bytes) -> Commit:
    root = git(folder, "rev-parse", "HEAD^{tree}").encode()
    raw = b"tree %s\nauthor A\x1b[2J <a> 1 +0000\ncommitter C <c> %s +0000\n%s\n%s"
    sha = stored(folder, "commit", raw % (root, date, headers, message))
    return GitSource(folder.parent / "cache").resolve(str(folder), sha)


# --- size and depth -------------------------------------------------------------------------------


def test_tree_that_names_itself_ten_billion_times_is_refused(
    repository: Path, tmp_path: Path
) -> None:
    sha = tree(repository, (b"100644", b"f", git(repository, "rev-parse", "HEAD:file")))
    for _ in range(10):
        sha = tree(repository, *((b"40000", b"%d" % number, sha) for number in range(10)))
    (tmp_path / "out").mkdir()
    with pytest.raises(StepFailed, match="more than 2000 files"):
        write_tree(repository / ".git", commit(repository, sha), tmp_path / "out", Limits(2000))
    assert list((tmp_path / "out").iterdir()) == []


def test_tree_deeper_than_any_stack_is_refused(
    repository: Path, source: GitSource, tmp_path: Path
) -> None:
    sha = tree(repository, (b"100644", b"f", git(repository, "rev-parse", "HEAD:file")))
    for _ in range(300):
        sha = tree(repository, (b"40000", b"d", sha))
    with pytest.raises(StepFailed, match="no safe name"):
        source.checkout(str(repository), commit(repository, sha), tmp_path / "out")


def test_more_bytes_than_allowed_are_not_written(repository: Path, tmp_path: Path) -> None:
    """Git packs zeros a thousand times smaller."""
    (repository / "zeros").write_bytes(bytes(4 << 20))
    sha = committed(repository)
    (tmp_path / "out").mkdir()
    with pytest.raises(StepFailed, match="more than 1000000 bytes"):
        write_tree(repository / ".git", sha, tmp_path / "out", Limits(size_bytes=1_000_000))
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) < 1000


def test_link_longer_than_a_path_is_refused(
    repository: Path, source: GitSource, tmp_path: Path
) -> None:
    target = stored(repository, "blob", b"a/" * 5000)
    sha = commit(repository, tree(repository, (b"120000", b"l", target)))
    with pytest.raises(StepFailed, match="no link"):
        source.checkout(str(repository), sha, tmp_path / "out")


def test_file_larger_than_a_document_is_not_read(repository: Path, source: GitSource) -> None:
    (repository / "andon.yaml").write_bytes(bytes(17 << 20))
    with pytest.raises(Unavailable, match="at most"):
        source.read(str(repository), committed(repository), "andon.yaml")


def test_git_that_says_too_much_or_nothing_is_ended(repository: Path) -> None:
    listing = [f"--git-dir={repository}/.git", "cat-file", "-p", "HEAD"]
    assert b"tree" in run(listing)
    with pytest.raises(Unavailable, match="more than 10 bytes"):
        run(listing, most_bytes=10)
    os.mkfifo(repository / "pipe")
    with pytest.raises(Unavailable, match="no answer"):
        run(["hash-object", str(repository / "pipe")], timeout_seconds=0.2)


def test_object_that_is_a_pipe_stops_nobody_for_ever(repository: Path) -> None:
    sha = git(repository, "rev-parse", "HEAD:file")
    place = repository / ".git/objects" / sha[:2] / sha[2:]
    place.unlink()
    os.mkfifo(place)
    with (
        objects(repository / ".git", longest_seconds=0.3) as reader,
        pytest.raises(Unavailable, match="stopped reading"),
    ):
        reader.content(sha)


# --- objects that are not what they seem ----------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"100644 f", "damaged"),
        (b"100644 f\0abc", "damaged"),
        (b"mode f\0" + bytes(20), "damaged"),
        (b"888 f\0" + bytes(20), "damaged"),
        (b"20644 tty\0" + bytes(20), "no file, folder or link"),
        (b"100644 a/b\0" + bytes(20), "no safe name"),
        (b"40000 ..\0" + bytes(20), "no safe name"),
        (b"40000 .git\0" + bytes(20), "no safe name"),
        (b"100644 \0" + bytes(20), "no safe name"),
    ],
)
def test_tree_that_is_none_is_refused(
    repository: Path, source: GitSource, tmp_path: Path, raw: bytes, why: str
) -> None:
    root = tree(repository, (b"40000", b"inner", stored(repository, "tree", raw)))
    with pytest.raises(StepFailed, match=why):
        source.checkout(str(repository), commit(repository, root), tmp_path / "out")


def test_folder_that_is_called_a_file_is_refused(
    repository: Path, source: GitSource, tmp_path: Path
) -> None:
    inner = git(repository, "rev-parse", "HEAD^{tree}")
    for mode in (b"100644", b"120000"):
        sha = commit(repository, tree(repository, (mode, b"f", inner)))
        with pytest.raises(StepFailed, match="f is"):
            source.checkout(str(repository), sha, tmp_path / "out")


def test_submodules_of_any_name_stay_empty_and_inside(
    repository: Path, source: GitSource, tmp_path: Path
) -> None:
    head = git(repository, "rev-parse", "HEAD")
    modules = b'[submodule "../../x"]\n\tpath = -s\n\turl = -u./evil\n\tupdate = !touch x\n'
    blob = stored(repository, "blob", modules)
    root = tree(repository, (b"160000", b"-s", head), (b"100644", b".gitmodules", blob))
    source.checkout(str(repository), commit(repository, root), tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").rglob("*")} == {"-s", ".gitmodules"}
    outside = commit(repository, tree(repository, (b"160000", b"..", head)))
    with pytest.raises(StepFailed, match="no safe name"):
        source.checkout(str(repository), outside, tmp_path / "other")


# --- programs in the repository's configuration ---------------------------------------------------


def test_filter_whose_name_is_no_text_is_not_run(repository: Path, program: Path) -> None:
    (repository / ".gitattributes").write_bytes(b"* filter=\xff\n")
    committed(repository)
    with (repository / ".git/config").open("ab") as config:
        config.write(b'[filter "\xff"]\n\tclean = %s\n' % os.fsencode(program))
        config.write(b'[FILTER "a\\"b"]\n\tPROCESS = %s\n' % os.fsencode(program))
    (repository / "file").write_text("two")
    assert dirty(str(repository))
    assert not (program.parent / "was-run").exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "ext::{program}"},
        {"url": "{repository}", "uploadpack": "{program}"},
        {"url": "x", "vcs": "ext"},
        {"url": "ssh://localhost/x"},
        {"url": "git://localhost/x"},
    ],
)
def test_missing_object_is_not_fetched_by_the_repository_s_own_means(
    repository: Path, source: GitSource, program: Path, tmp_path: Path, settings: dict[str, str]
) -> None:
    blob, sha = git(repository, "rev-parse", "HEAD:file"), git(repository, "rev-parse", "HEAD")
    (repository / ".git/objects" / blob[:2] / blob[2:]).unlink()
    for name, value in {
        "core.repositoryformatversion": "1",
        "core.sshCommand": str(program),
        "core.gitProxy": str(program),
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        **{
            f"remote.origin.{key}": text.format(program=program, repository=repository)
            for key, text in settings.items()
        },
    }.items():
        git(repository, "config", name, value)
    with pytest.raises(Unavailable, match="missing"):
        source.checkout(str(repository), sha, tmp_path / "out")
    assert not (tmp_path / "was-run").exists()


def test_configuration_that_cannot_be_read_is_the_repository_s_fault(
    repository: Path, source: GitSource
) -> None:
    (repository / ".git/config").write_bytes(b"[include]\n\tpath = /etc/hostname\n[\xff")
    for ask in (lambda: dirty(str(repository)), lambda: source.heads(str(repository))):
        with pytest.raises(Unavailable):
            ask()


def test_more_filters_than_a_process_takes_are_no_crash(repository: Path) -> None:
    lines = "".join(f'[filter "{number:01000}"]\n\tclean = x\n' for number in range(3000))
    with (repository / ".git/config").open("a") as config:
        config.write(lines)
    with pytest.raises(Unavailable, match="cannot be started"):
        dirty(str(repository))


# --- names, refs and messages ---------------------------------------------------------------------


def test_branch_with_a_line_separator_in_its_name_hides_no_other(
    repository: Path, source: GitSource
) -> None:
    head = git(repository, "rev-parse", "HEAD")
    for name in ("a\u2028b", "caf\u00e9", "\u0085"):
        git(repository, "update-ref", f"refs/heads/{name}", head)
    subprocess.run(["git", "-C", repository, "update-ref", b"refs/heads/\xff", head], check=True)
    heads = source.heads(str(repository))
    assert heads == {"main": head, "caf\u00e9": head, "\\xff": head}
    with pytest.raises(NotFound, match="no branch"):
        source.resolve(str(repository), "nothing")


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "-x",
        "--upload-pack=x",
        "a b",
        "a\nb",
        "a\0b",
        "HEAD:file",
        ":/one",
        "HEAD^{/(a*)*$}",
        "main@{upstream}",
        "main@{1 second ago}",
        "\ud800",
        "x" * 5000,
    ],
)
def test_ref_that_is_none_or_a_search_is_refused(
    repository: Path, source: GitSource, ref: str
) -> None:
    with pytest.raises(UsageError, match="is not a branch"):
        source.resolve(str(repository), ref)


@pytest.mark.parametrize("ref", ["HEAD~99", "HEAD^9", "a..b", "^HEAD", "HEAD^!", "a\\b", "..", "@"])
def test_any_other_ref_is_found_or_not(repository: Path, source: GitSource, ref: str) -> None:
    try:
        assert source.resolve(str(repository), ref).sha
    except NotFound:
        pass


@pytest.mark.parametrize(
    "path", ["", "..", "/file", "a\nb", "\ud800", "file/x", "x missing", "x" * 9000]
)
def test_path_that_is_not_there_reads_nothing(
    repository: Path, source: GitSource, path: str
) -> None:
    sha = git(repository, "rev-parse", "HEAD")
    assert source.read(str(repository), sha, path) == (b"one" if path == "/file" else None)


@pytest.mark.parametrize(
    "address",
    [
        "\ud800",
        "a\nb",
        "x" * 5000,
        "file://",
        "file://host/x",
        "file:///a%00b",
        "https://[x",
    ],
)
def test_address_that_is_none_is_an_answer(source: GitSource, address: str) -> None:
    for ask in (lambda: source.heads(address), lambda: dirty(address)):
        with pytest.raises((UsageError, NotFound)):
            ask()


def test_id_with_a_line_after_it_is_none(repository: Path, source: GitSource) -> None:
    sha = git(repository, "rev-parse", "HEAD")
    with pytest.raises(UsageError, match="full commit id"):
        source.read(str(repository), f"{sha}\n", "file")


def test_message_and_author_are_fit_to_be_shown(repository: Path) -> None:
    message = "\x1b]0;x\x07fine\r\n\u202ereversed\x85\u2028next\ttab caf\u00e9".encode()
    found = raw_commit(repository, message=message)
    assert found.author == "A [2J <a>"
    assert found.message == "]0;x fine \n reversed  next\ttab caf\u00e9"
    assert len(raw_commit(repository, message=b"x" * 1_000_000).message) == 10_000


@pytest.mark.parametrize("date", [b"9" * 30, b"9" * 400, b"9" * 5000, b"-1", b"x", b""])
def test_moment_that_no_calendar_has_is_none(repository: Path, date: bytes) -> None:
    assert raw_commit(repository, date=date, message=b"x").committed_at == 0.0


@pytest.mark.parametrize("encoding", [b"unicode_escape", b"base64", b"undefined", b"idna", b"\xff"])
def test_message_in_no_real_encoding_is_still_text(repository: Path, encoding: bytes) -> None:
    found = raw_commit(
        repository, headers=b"encoding " + encoding + b"\n", message=b"\\ud800 x\xff"
    )
    assert found.message.encode()
    assert found.message.endswith(("x\ufffd", "x\u00ff"))


def test_git_folder_that_is_a_trap_is_an_answer(tmp_path: Path, source: GitSource) -> None:
    for number, make in enumerate(
        (
            lambda path: path.symlink_to(path),
            lambda path: path.write_bytes(b"gitdir: " + b"../" * 3000),
            lambda path: path.write_bytes(b"gitdir: .git\n"),
            lambda path: path.write_bytes(b"\xff\0"),
            lambda path: path.symlink_to("/etc"),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        make(folder / ".git")
        for ask in (lambda f=folder: source.heads(str(f)), lambda f=folder: dirty(str(f))):
            with pytest.raises(AndonError):
                ask()
