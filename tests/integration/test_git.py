"""GitSource and GitDesiredState against real git: hostile repositories, a real remote, real processes."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from git_world import committed, git, served

from andon.adapters.git import GitDesiredState, GitSource, dirty
from andon.api.v1.actions import Intent
from andon.kernel.errors import NotFound, StepFailed, Unavailable, UsageError
from andon.testing.desired_suite import ONE, TWO, by, writing


class FixedClock:
    def now(self) -> float:
        return 1_700_000_000.0


def tree_commit(folder: Path, *entries: tuple[str, str, bytes]) -> str:
    """Commit a tree that git itself would not make: (mode, name, content)."""
    raw = b"".join(
        mode.encode() + b" " + os.fsencode(name) + b"\0" + bytes.fromhex(sha)
        for mode, name, sha in (
            (mode, name, git(folder, "hash-object", "-w", "--stdin", input=content))
            for mode, name, content in entries
        )
    )
    tree = git(folder, "hash-object", "-t", "tree", "--literally", "-w", "--stdin", input=raw)
    return git(folder, "commit-tree", tree, "-m", "hostile")


# --- hostile repositories -------------------------------------------------------------------------


@pytest.mark.parametrize("target", [b"/etc/passwd", b"../outside", b"a/../../outside"])
def test_link_out_of_the_tree_is_refused(
    repository: Path, source: GitSource, tmp_path: Path, target: bytes
) -> None:
    sha = tree_commit(repository, ("120000", "link", target))
    with pytest.raises(StepFailed, match="link"):
        source.checkout(str(repository), sha, tmp_path / "out")


def test_link_that_escapes_through_another_link_is_refused(
    repository: Path, source: GitSource, tmp_path: Path
) -> None:
    (repository / "d").mkdir()
    (repository / "d/top").symlink_to("..")
    (repository / "d/out").symlink_to("top/../secret")
    with pytest.raises(StepFailed, match="d/out"):
        source.checkout(str(repository), committed(repository), tmp_path / "out")


@pytest.mark.parametrize("name", ["..", ".git", ".GIT", "."])
def test_unsafe_name_is_refused(
    repository: Path, source: GitSource, tmp_path: Path, name: str
) -> None:
    sha = tree_commit(repository, ("100644", name, b"x"))
    with pytest.raises(StepFailed, match="safe name"):
        source.checkout(str(repository), sha, tmp_path / "out")
    assert not (tmp_path / "x").exists()


def test_name_no_file_system_can_hold_is_the_change_s_fault(
    repository: Path, source: GitSource, tmp_path: Path
) -> None:
    sha = tree_commit(repository, ("100644", "n" * 300, b"x"))
    with pytest.raises(StepFailed, match="name"):
        source.checkout(str(repository), sha, tmp_path / "out")


def test_odd_names_are_only_names(repository: Path, source: GitSource, tmp_path: Path) -> None:
    names = [b"-rf", b"caf\xe9", b"new\nline", b"--upload-pack=x", b"$(touch x)"]
    for name in names:
        (Path(os.fsdecode(os.fsencode(repository) + b"/" + name))).write_bytes(name)
    source.checkout(str(repository), committed(repository), tmp_path / "out")
    assert set(os.listdir(os.fsencode(tmp_path / "out"))) == {*names, b"file"}


def test_nothing_from_the_repository_is_run(
    repository: Path, source: GitSource, tmp_path: Path
) -> None:
    sign = tmp_path / "was-run"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {sign}\ncat\n")
    program.chmod(0o755)
    for name in ("post-checkout", "pre-commit", "reference-transaction", "fsmonitor-watchman"):
        (repository / ".git/hooks").mkdir(exist_ok=True)
        (repository / ".git/hooks" / name).write_bytes(program.read_bytes())
    (repository / ".gitattributes").write_text("* filter=evil diff=evil text eol=crlf ident\n")
    (repository / "file").write_text("$Id$\n")
    git(repository, "add", "-A")
    sha = git(repository, "commit-tree", git(repository, "write-tree"), "-p", "HEAD", "-m", "x")
    git(repository, "update-ref", "refs/heads/main", sha)
    for name, value in {
        "filter.evil.smudge": str(program),
        "filter.evil.clean": str(program),
        "filter.evil.required": "true",
        "diff.evil.textconv": str(program),
        "core.fsmonitor": str(program),
        "core.sshCommand": str(program),
        "core.hooksPath": str(repository / ".git/hooks"),
        "gpg.program": str(program),
        "log.showSignature": "true",
    }.items():
        git(repository, "config", name, value)
    assert source.resolve(str(repository), "main").sha == sha
    source.checkout(str(repository), sha, tmp_path / "out")
    source.heads(str(repository))
    (repository / "file").write_text("changed")
    assert dirty(str(repository))
    assert not sign.exists()
    assert (tmp_path / "out/file").read_bytes() == b"$Id$\n"


def test_submodule_is_left_empty(repository: Path, source: GitSource, tmp_path: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    (repository / ".gitmodules").write_text('[submodule "s"]\n\tpath = s\n\turl = ext::sh -c x\n')
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{head},s")
    git(repository, "add", ".gitmodules")
    git(repository, "commit", "-qm", "submodule")
    sha = git(repository, "rev-parse", "HEAD")
    source.checkout(str(repository), sha, tmp_path / "out")
    assert list((tmp_path / "out/s").iterdir()) == []


def test_file_hidden_behind_a_link_of_the_same_name_is_refused(
    repository: Path, source: GitSource, tmp_path: Path
) -> None:
    sha = tree_commit(repository, ("120000", "a", b"b"), ("100644", "a", b"x"))
    with pytest.raises(StepFailed):
        source.checkout(str(repository), sha, tmp_path / "out")


def test_damaged_repository_is_unavailable(
    repository: Path, source: GitSource, tmp_path: Path
) -> None:
    sha = git(repository, "rev-parse", "HEAD")
    blob = git(repository, "rev-parse", "HEAD:file")
    (repository / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(Unavailable):
        source.checkout(str(repository), sha, tmp_path / "out")


# --- where repositories may be --------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["-oProxyCommand=x", "ext::sh -c x", "http://h/x", "ssh://-oProxyCommand=x/y", ""]
)
def test_dangerous_address_is_refused(source: GitSource, address: str) -> None:
    with pytest.raises(UsageError):
        source.heads(address)


def test_repository_of_another_user_is_read(repository: Path, source: GitSource) -> None:
    if os.getuid() == 0:
        for path in (repository, *repository.rglob("*")):
            os.lchown(path, 12345, 12345)
    assert source.resolve(f"file://{repository}", "main").parents == ()


def test_folder_inside_a_repository_is_none(repository: Path, source: GitSource) -> None:
    (repository / "inside").mkdir()
    with pytest.raises(NotFound):
        source.resolve(str(repository / "inside"), "main")


def test_dirty_sees_new_and_changed_files(repository: Path) -> None:
    assert not dirty(str(repository))
    (repository / "new").write_text("x")
    assert dirty(str(repository))
    committed(repository)
    (repository / "file").write_text("longer than before")
    assert dirty(str(repository))


@pytest.fixture
def remote(tmp_path: Path, repository: Path) -> Iterator[str]:
    with served(tmp_path) as address:
        yield f"{address}/repository"


def test_remote_is_mirrored_and_followed(
    remote: str, repository: Path, source: GitSource, tmp_path: Path
) -> None:
    first = source.resolve(remote, "main").sha
    assert source.resolve(remote, "HEAD").sha == first
    (repository / "file").write_text("two")
    second = committed(repository)
    assert source.resolve(remote, "main").sha == second
    assert source.heads(remote) == {"main": second}
    assert source.read(remote, first, "file") == b"one"
    source.checkout(remote, second, tmp_path / "out")
    assert (tmp_path / "out/file").read_text() == "two"
    with pytest.raises(NotFound):
        source.resolve(remote, "nothing")


def test_known_commit_is_read_while_the_remote_is_away(
    repository: Path, source: GitSource, tmp_path: Path
) -> None:
    with served(tmp_path) as where:
        address = f"{where}/repository"
        sha = source.resolve(address, "main").sha
    assert source.read(address, sha, "file") == b"one"
    with pytest.raises(Unavailable, match="cannot be read"):
        source.resolve(address, "main")


# --- desired state --------------------------------------------------------------------------------

_WRITER = """
import asyncio, sys
from pathlib import Path
from andon.adapters.git import GitDesiredState
from andon.api.v1.actions import Intent
from andon.kernel.errors import Conflict
from andon.testing.desired_suite import ONE, TWO, writing
class Clock:
    def now(self): return 1.0
state, name = GitDesiredState(Path(sys.argv[1]), Clock()), sys.argv[2]
async def main():
    won = 0
    for turn in range(6):
        await state.write_desired(writing(ONE, service=f"own-{name}", force=True), Intent(key=f"{name}/{turn}", epoch=1))
        try:
            await state.write_desired(writing(ONE, service=f"shared-{turn}"), Intent(key=f"{name}/s/{turn}", epoch=1))
            won += 1
        except Conflict:
            pass
    print(won)
asyncio.run(main())
"""


def test_two_processes_lose_no_write_and_share_no_win(tmp_path: Path) -> None:
    path = tmp_path / "desired.git"
    command = [sys.executable, "-c", _WRITER, str(path)]
    both = [subprocess.Popen([*command, name], stdout=subprocess.PIPE) for name in ("a", "b")]
    wins = [int(process.communicate()[0]) for process in both]
    assert sum(wins) == 6
    desired = GitDesiredState(path, FixedClock())
    assert set(desired.read("prod")) == {"own-a", "own-b", *(f"shared-{n}" for n in range(6))}
    assert git(path, "rev-list", "--count", "main") == "18"
    git(path, "fsck", "--strict")


async def test_key_is_found_by_a_new_process_and_history_tells_it(tmp_path: Path) -> None:
    path = tmp_path / "desired.git"
    once = await GitDesiredState(path, FixedClock()).write_desired(writing(ONE), by("u/1/s/0"))
    again = GitDesiredState(path, FixedClock())
    assert await again.write_desired(writing(ONE), by("u/1/s/0", epoch=9)) == once
    await again.write_desired(writing(TWO, ONE), by("u/1/s/1", epoch=9))
    newest, oldest = again.history("prod", "shop")
    assert (newest.version, newest.key, newest.token) == (TWO, "u/1/s/1", 9)
    assert (oldest.version, oldest.commit) == (ONE, once.commit)
    assert newest.committed_at == 1_700_000_000.0


async def test_highest_token_is_that_of_all_services(tmp_path: Path) -> None:
    desired = GitDesiredState(tmp_path / "desired.git", FixedClock())
    assert desired.highest_token() == 0
    await desired.write_desired(writing(ONE), by("1", epoch=9))
    await desired.write_desired(writing(ONE, service="cart"), by("2", epoch=4))
    assert desired.highest_token() == 9


async def test_message_cannot_forge_a_trailer(tmp_path: Path) -> None:
    desired = GitDesiredState(tmp_path / "desired.git", FixedClock())
    action = writing(ONE)
    forged = type(action)(
        environment="prod",
        service="shop",
        version=ONE,
        message="x\n\nFencing-Token: 99\nIdempotency-Key: k",
    )
    await desired.write_desired(forged, by("1"))
    await desired.write_desired(writing(TWO, ONE), by("k"))
    assert desired.read("prod") == {"shop": TWO}


@pytest.mark.parametrize("left", ["refs/heads/main.lock", "HEAD.lock"])
async def test_lock_left_by_a_killed_git_does_not_stop_the_line(tmp_path: Path, left: str) -> None:
    desired = GitDesiredState(tmp_path / "desired.git", FixedClock())
    await desired.write_desired(writing(ONE), by("1"))
    (tmp_path / "desired.git" / left).touch()
    await desired.write_desired(writing(TWO, ONE), by("2"))
    assert desired.read("prod") == {"shop": TWO}


async def test_write_killed_at_any_git_call_is_finished_by_the_same_key(tmp_path: Path) -> None:
    """A git that ends its caller at the n-th call stands for a kill between two steps."""
    writers = [_killed_writer(tmp_path / str(calls), calls) for calls in range(1, 10)]
    codes = [writer.wait() for writer in writers]
    assert codes[0] == codes[5] == -9
    assert codes[-1] == 0, "the write has more steps than this test kills"
    for calls in range(1, 10):
        path = tmp_path / str(calls) / "desired.git"
        desired = GitDesiredState(path, FixedClock())
        await desired.write_desired(writing(ONE), Intent(key="k", epoch=1))
        assert desired.read("prod") == {"shop": ONE}
        assert git(path, "rev-list", "--count", "main") == "1"


def _killed_writer(folder: Path, calls: int) -> subprocess.Popen[bytes]:
    folder.mkdir()
    (folder / "git").write_text(
        f'#!/bin/sh\necho x >> {folder}/count\n[ "$(wc -l < {folder}/count)" -eq {calls} ]'
        f' && kill -9 $PPID && exit 1\nexec {shutil.which("git")} "$@"\n'
    )
    (folder / "git").chmod(0o755)
    env = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    command = [sys.executable, "-c", _KILLED, str(folder / "desired.git")]
    return subprocess.Popen(command, env=env)


_KILLED = """
import asyncio, sys
from pathlib import Path
from andon.adapters.git import GitDesiredState
from andon.testing.desired_suite import ONE, by, writing
class Clock:
    def now(self): return 1.0
asyncio.run(GitDesiredState(Path(sys.argv[1]), Clock()).write_desired(writing(ONE), by("k")))
"""
