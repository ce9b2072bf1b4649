"""A work tree as a source: what lies there, named as git names it."""

from __future__ import annotations

import os
import subprocess

import pytest

from andon.adapters.git import GitSource
from andon.adapters.git.working import WorkingTree
from andon.kernel.errors import NotFound, StepFailed, Unavailable


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    (folder / "deep/er").mkdir(parents=True)
    (folder / "deep/er/tool").write_text("#!/bin/sh\n")
    (folder / "deep/er/tool").chmod(0o755)
    (folder / "deep.txt").write_text("sorts between")
    (folder / "link").symlink_to("deep/er/tool")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return folder


def git(folder, *arguments):
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@localhost"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode().strip()


def tree_of(project, tmp_path):
    return WorkingTree(project, tmp_path / "kept")


def test_a_clean_work_tree_is_its_commit(project, tmp_path):
    tree = tree_of(project, tmp_path)
    taken = tree.take()
    assert taken.clean
    assert taken.sha == git(project, "rev-parse", "HEAD")
    assert taken.tree == git(project, "rev-parse", "HEAD^{tree}")
    assert taken.branch == "main"
    other = GitSource(tmp_path / "cache").digests(str(project), taken.sha)
    assert tree.digests("", taken.sha) == other


def test_what_is_not_committed_counts_and_what_is_ignored_does_not(project, tmp_path):
    (project / ".gitignore").write_text("*.log\n")
    (project / "new").write_text("new")
    (project / "a.log").write_text("ignored")
    (project / "deep.txt").unlink()
    taken = tree_of(project, tmp_path).take()
    assert not taken.clean
    assert [one.path for one in taken.files] == [".gitignore", "deep/er/tool", "link", "new"]
    git(project, "add", "-A")
    assert taken.tree == git(project, "write-tree")


def test_what_was_taken_stays_as_it_was(project, tmp_path):
    tree = tree_of(project, tmp_path)
    taken = tree.take()
    (project / "deep.txt").write_text("changed since")
    again = tree_of(project, tmp_path)
    again.checkout("", taken.sha, tmp_path / "out")
    assert (tmp_path / "out/deep.txt").read_text() == "sorts between"
    assert os.access(tmp_path / "out/deep/er/tool", os.X_OK)
    assert os.readlink(tmp_path / "out/link") == "deep/er/tool"
    assert again.read("", taken.sha, "deep.txt") == b"sorts between"
    assert again.read("", taken.sha, "nothing") is None


def test_nothing_that_the_repository_names_is_run(project, tmp_path):
    spy = tmp_path / "spy"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {spy}\ncat\n")
    program.chmod(0o755)
    (project / ".gitattributes").write_text("* filter=spy\n")
    for name in ("filter.spy.clean", "core.fsmonitor", "filter.spy.process", "diff.external"):
        git(project, "config", name, str(program))
    tree_of(project, tmp_path).take()
    assert not spy.exists()


def test_a_link_that_leads_outside_is_refused(project, tmp_path):
    (project / "out").symlink_to("../../etc")
    with pytest.raises(StepFailed, match="leads outside"):
        tree_of(project, tmp_path).take()


def test_a_name_that_is_no_text_is_refused(project, tmp_path):
    (project / os.fsdecode(b"caf\xe9")).write_text("x")
    with pytest.raises(StepFailed, match="caf"):
        tree_of(project, tmp_path).take()


def test_what_was_kept_and_damaged_is_noticed(project, tmp_path):
    tree = tree_of(project, tmp_path)
    taken = tree.take()
    one = next(file for file in taken.files if file.path == "deep.txt")
    (tmp_path / "kept" / one.id[:2] / one.id).write_text("")
    with pytest.raises(Unavailable, match="damaged"):
        tree.checkout("", taken.sha, tmp_path / "out")


def test_only_what_is_kept_on_purpose_stays(project, tmp_path):
    tree = tree_of(project, tmp_path)
    old = tree.take()
    (project / "deep.txt").write_text("second")
    new = tree.take()
    tree.sweep([new.sha])
    again = tree_of(project, tmp_path)
    assert again.read("", new.sha, "deep.txt") == b"second"
    with pytest.raises(NotFound):
        again.read("", old.sha, "deep.txt")


def test_a_folder_without_git_is_taken_whole(tmp_path):
    folder = tmp_path / "plain"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/a").write_text("a")
    (folder / ".andon").mkdir()
    (folder / ".andon/state").write_text("ours")
    tree = tree_of(folder, tmp_path)
    assert tree.git_dir is None
    assert [one.path for one in tree.take().files] == ["sub/a"]
