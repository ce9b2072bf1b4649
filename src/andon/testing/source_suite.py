"""What every Source must do; a plugin's tests subclass this and provide the fixtures."""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import Struct

from andon.kernel.errors import Conflict, NotFound, UsageError
from andon.ports import Source


class SourceSample(Struct, frozen=True, kw_only=True):
    """A repository with a branch ``main`` of two commits, and a tag ``v1`` on the first.

    The first commit has ``greeting.txt`` ("one"), the second changes it to "two" and adds an executable
    ``bin/run`` and a link ``link`` to ``greeting.txt``.
    """

    repository: str
    first: str
    second: str


class SourceSuite:
    """Fixtures to provide: ``source``, ``sample`` and ``missing`` (a repository that is not there)."""

    def test_resolves_branch_tag_and_abbreviated_sha(
        self, source: Source, sample: SourceSample
    ) -> None:
        assert source.resolve(sample.repository, "main").sha == sample.second
        assert source.resolve(sample.repository, "v1").sha == sample.first
        assert source.resolve(sample.repository, sample.first[:10]).sha == sample.first
        assert source.resolve(sample.repository, "HEAD").sha == sample.second

    def test_commit_knows_parents_author_and_time(
        self, source: Source, sample: SourceSample
    ) -> None:
        commit = source.resolve(sample.repository, "main")
        assert commit.parents == (sample.first,)
        assert commit.author
        assert commit.committer
        assert commit.message
        assert commit.committed_at > 0

    def test_unknown_ref_names_the_nearest(self, source: Source, sample: SourceSample) -> None:
        with pytest.raises(NotFound, match="nearest: main"):
            source.resolve(sample.repository, "mian")

    def test_unknown_repository_is_reported(self, source: Source, missing: str) -> None:
        with pytest.raises(NotFound):
            source.resolve(missing, "main")

    @pytest.mark.parametrize("ref", ["--upload-pack=touch x", "-h", "", "a\nb"])
    def test_what_is_no_ref_is_refused(
        self, source: Source, sample: SourceSample, ref: str
    ) -> None:
        with pytest.raises(UsageError):
            source.resolve(sample.repository, ref)

    def test_reads_a_file_at_a_commit(self, source: Source, sample: SourceSample) -> None:
        assert source.read(sample.repository, sample.first, "greeting.txt") == b"one"
        assert source.read(sample.repository, sample.second, "greeting.txt") == b"two"
        assert source.read(sample.repository, sample.first, "bin/run") is None
        assert source.read(sample.repository, sample.second, "bin") is None

    def test_reading_an_unknown_commit_is_not_found(
        self, source: Source, sample: SourceSample
    ) -> None:
        with pytest.raises(NotFound):
            source.read(sample.repository, "0" * 39 + "1", "greeting.txt")

    def test_checkout_writes_files_links_and_modes(
        self, source: Source, sample: SourceSample, tmp_path: Path
    ) -> None:
        into = tmp_path / "tree"
        source.checkout(sample.repository, sample.second, into)
        assert sorted(path.name for path in into.iterdir()) == ["bin", "greeting.txt", "link"]
        assert (into / "link").is_symlink()
        assert (into / "link").read_text() == "two"
        assert (into / "bin/run").stat().st_mode & 0o777 == 0o755
        assert (into / "greeting.txt").stat().st_mode & 0o777 == 0o644

    def test_checkout_into_a_full_folder_is_refused(
        self, source: Source, sample: SourceSample, tmp_path: Path
    ) -> None:
        (tmp_path / "mine").write_text("precious")
        with pytest.raises(Conflict):
            source.checkout(sample.repository, sample.second, tmp_path)

    def test_heads_lists_branches_only(self, source: Source, sample: SourceSample) -> None:
        assert source.heads(sample.repository) == {"main": sample.second}

    def test_paths_that_differ_are_those_of_either_commit(
        self, source: Source, sample: SourceSample
    ) -> None:
        both = source.changed(sample.repository, sample.first, sample.second)
        back = source.changed(sample.repository, sample.second, sample.first)
        assert both is not None
        assert back is not None
        assert sorted(both) == sorted(back) == ["bin/run", "greeting.txt", "link"]
        assert source.changed(sample.repository, sample.first, sample.first) == ()

    def test_what_differs_from_a_commit_that_is_gone_is_not_known(
        self, source: Source, sample: SourceSample
    ) -> None:
        assert source.changed(sample.repository, "0" * 39 + "1", sample.second) is None
        with pytest.raises(NotFound):
            source.changed(sample.repository, sample.first, "0" * 39 + "1")

    def test_digests_tell_content_and_mode_of_every_file(
        self, source: Source, sample: SourceSample
    ) -> None:
        first = source.digests(sample.repository, sample.first)
        second = source.digests(sample.repository, sample.second)
        assert sorted(second) == ["bin/run", "greeting.txt", "link"]
        assert list(first) == ["greeting.txt"]
        assert first["greeting.txt"] != second["greeting.txt"]
        assert first == source.digests(sample.repository, sample.first)
