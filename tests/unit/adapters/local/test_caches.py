import os
from pathlib import Path

import pytest

from andon.adapters.blobs.files import FileBlobs
from andon.adapters.local.caches import Caches, key_of, scope_of
from andon.api.v1.jobs import CachePlan
from andon.kernel.errors import StepFailed

PLAN = CachePlan(name="deps", paths=("deps",), key=("lock",))


class World:
    def __init__(self, folder: Path, most_bytes: int = 1 << 20) -> None:
        self.folder = folder
        self.time = 1000.0
        self.caches = Caches(folder / "caches", lambda: self.time, most_bytes)
        self.trees = 0

    def tree(self, **files: str) -> Path:
        self.trees += 1
        tree = self.folder / str(self.trees)
        for name, text in files.items():
            (tree / name.replace("__", "/")).parent.mkdir(parents=True, exist_ok=True)
            (tree / name.replace("__", "/")).write_text(text)
        return tree

    def keep(self, key: str, text: str = "x", scope: str = "s", plan: CachePlan = PLAN) -> str:
        self.time += 1
        return self.caches.keep(plan, scope, key, self.tree(deps__a=text))

    def bring(self, key: str, scope: str = "s", plan: CachePlan = PLAN) -> tuple[str, Path]:
        self.time += 1
        tree = self.tree(lock="1")
        return self.caches.restore(plan, scope, key, tree), tree

    def blobs(self) -> int:
        return sum(len(files) for _, _, files in os.walk(self.folder / "caches" / "blobs"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_content_and_times_come_back(world: World) -> None:
    tree = world.tree(deps__a="hello", deps__b__c="x")
    os.utime(tree / "deps/a", (5, 5))
    (tree / "deps/empty").mkdir()
    (tree / "deps/b/c").chmod(0o755)
    assert world.caches.keep(PLAN, "s", "k", tree) == ""
    state, found = world.bring("k")
    assert state == "hit"
    assert (found / "deps/a").read_text() == "hello"
    assert (found / "deps/a").stat().st_mtime == 5
    assert (found / "deps/b/c").stat().st_mode & 0o100
    assert (found / "deps/empty").is_dir()


def test_other_repositories_do_not_meet(world: World) -> None:
    world.keep("k", scope=scope_of("shop", ""))
    assert world.bring("k", scope=scope_of("bank", ""))[0] == "miss"
    assert scope_of("shop", "") != scope_of("shop", "python@sha256:1")


def test_first_content_of_a_key_stays(world: World) -> None:
    world.keep("k", "first")
    world.keep("k", "second")
    assert (world.bring("k")[1] / "deps/a").read_text() == "first"


def test_least_recently_used_goes_first(tmp_path: Path) -> None:
    world = World(tmp_path, most_bytes=20_000)
    for key in ("one", "two"):
        world.keep(key, key * 1000)
    assert world.bring("one")[0] == "hit"
    world.keep("three", "3" * 5000)
    world.keep("four", "4" * 5000)
    assert [world.bring(key)[0] for key in ("one", "two", "four")] == ["hit", "miss", "hit"]
    assert world.caches.trim() <= 20_000


def test_content_that_two_keys_share_stays_while_one_of_them_does(world: World) -> None:
    world.keep("one", "same")
    world.keep("two", "same")
    assert world.blobs() == 1
    [oldest] = (world.folder / "caches/entries").rglob("one")
    os.utime(oldest, (1, 1))
    tight = Caches(world.folder / "caches", lambda: 2000.0, 8192)
    tight.keep(PLAN, "s", "three", world.tree(deps__a="3" * 2000))
    assert world.bring("two")[0] == "hit"
    assert Caches(world.folder / "caches", lambda: 1.0, 0).trim() == 0
    assert world.blobs() == 0


def test_damaged_content_is_a_miss_and_made_anew(world: World) -> None:
    world.keep("k")
    [blob] = [path for path in (world.folder / "caches/blobs").rglob("*") if path.is_file()]
    blob.write_bytes(blob.read_bytes().replace(b"deps/a", b"deps/b"))
    assert world.bring("k")[0] == "miss"
    blob.unlink()
    assert world.keep("k") == ""
    assert world.bring("k")[0] == "hit"


def test_what_is_not_kept_is_said(tmp_path: Path) -> None:
    world = World(tmp_path, most_bytes=100)
    assert "more than half" in world.keep("k", "x" * 60)
    assert "nothing at deps" in world.caches.keep(PLAN, "s", "k", world.tree(other="1"))
    tree = world.tree(deps__a="1")
    os.mkfifo(tree / "deps/pipe")
    assert "neither a file" in world.caches.keep(PLAN, "s", "k", tree)


def test_key_follows_content_names_links_and_what_is_said(world: World) -> None:
    keys = {
        key_of(PLAN, world.tree(lock="1")),
        key_of(PLAN, world.tree(lock="2")),
        key_of(PLAN, world.tree(other="1")),
        key_of(CachePlan(name="deps", paths=("deps",), key=("lock",), also=("3",)), world.tree()),
        key_of(CachePlan(name="deps", paths=("more",), key=("lock",)), world.tree(lock="1")),
    }
    linked = world.tree(x="1")
    (linked / "lock").symlink_to("x")
    keys.add(key_of(PLAN, linked))
    assert len(keys) == 6
    assert key_of(PLAN, world.tree(lock="1", other="2")) in keys


@pytest.mark.parametrize("pattern", ["../lock", "/etc/passwd"])
def test_key_of_files_outside_is_refused(world: World, pattern: str) -> None:
    with pytest.raises(StepFailed):
        key_of(CachePlan(name="deps", paths=("deps",), key=(pattern,)), world.tree(lock="1"))


def test_blobs_go_when_the_last_moment_said_of_them_is_over(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    ours, forever = blobs.put(b"artifact"), blobs.put(b"of the ledger")
    blobs.keep_until(ours, 100)
    blobs.keep_until(ours, 50)
    assert (blobs.sweep(99), blobs.has(ours)) == (0, True)
    assert (blobs.sweep(101), blobs.has(ours), blobs.has(forever)) == (1, False, True)
