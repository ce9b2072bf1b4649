"""What every DesiredState must do; a plugin's tests subclass this and provide the fixture."""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

import pytest

from andon.api.v1.actions import Intent, WriteDesired
from andon.api.v1.records import Version
from andon.kernel.errors import Conflict, Fenced, UsageError
from andon.ports import DesiredState

ONE = Version(digest="sha256:" + "1" * 64, config_hash="aaaaaaaaaaaa", change="c1")
TWO = Version(digest="sha256:" + "2" * 64, config_hash="bbbbbbbbbbbb", change="c2")


def writing(
    version: Version | None,
    expected: Version | None = None,
    *,
    service: str = "shop",
    environment: str = "prod",
    force: bool = False,
) -> WriteDesired:
    """Ask for a version."""
    return WriteDesired(
        environment=environment, service=service, version=version, expected=expected, force=force
    )


def by(key: str, epoch: int = 1) -> Intent:
    """Name a worker's intent; ``epoch`` is its fencing token."""
    return Intent(key=key, epoch=epoch)


class DesiredSuite:
    """Fixture to provide: ``desired``."""

    def test_nothing_is_desired_at_first(self, desired: DesiredState) -> None:
        assert desired.read("prod") == {}

    async def test_what_was_written_is_read(self, desired: DesiredState) -> None:
        await desired.write_desired(writing(ONE), by("1"))
        await desired.write_desired(writing(TWO, service="cart"), by("2"))
        await desired.write_desired(writing(TWO, environment="dev"), by("3"))
        assert desired.read("prod") == {"shop": ONE, "cart": TWO}
        assert desired.read("dev") == {"shop": TWO}

    async def test_stale_expectation_conflicts_and_changes_nothing(
        self, desired: DesiredState
    ) -> None:
        await desired.write_desired(writing(ONE), by("1"))
        with pytest.raises(Conflict):
            await desired.write_desired(writing(TWO), by("2"))
        assert desired.read("prod") == {"shop": ONE}

    async def test_force_writes_whatever_is_there(self, desired: DesiredState) -> None:
        await desired.write_desired(writing(ONE), by("1"))
        await desired.write_desired(writing(TWO, force=True), by("2"))
        assert desired.read("prod") == {"shop": TWO}

    async def test_same_key_answers_the_same_commit(self, desired: DesiredState) -> None:
        once = await desired.write_desired(writing(ONE), by("1"))
        await desired.write_desired(writing(TWO, ONE), by("2"))
        assert await desired.write_desired(writing(ONE), by("1")) == once
        assert desired.read("prod") == {"shop": TWO}

    async def test_no_version_takes_the_service_out(self, desired: DesiredState) -> None:
        await desired.write_desired(writing(ONE), by("1"))
        await desired.write_desired(writing(None, ONE), by("2"))
        assert desired.read("prod") == {}

    async def test_older_token_is_fenced(self, desired: DesiredState) -> None:
        await desired.write_desired(writing(ONE), by("1", epoch=2))
        with pytest.raises(Fenced):
            await desired.write_desired(writing(TWO, ONE, force=True), by("2", epoch=1))
        assert desired.read("prod") == {"shop": ONE}

    async def test_equal_and_newer_tokens_may_write(self, desired: DesiredState) -> None:
        await desired.write_desired(writing(ONE), by("1", epoch=2))
        await desired.write_desired(writing(TWO, ONE), by("2", epoch=2))
        await desired.write_desired(writing(ONE, TWO), by("3", epoch=3))
        assert desired.read("prod") == {"shop": ONE}

    async def test_token_fences_its_own_service_and_environment_only(
        self, desired: DesiredState
    ) -> None:
        await desired.write_desired(writing(ONE), by("1", epoch=9))
        await desired.write_desired(writing(ONE, service="cart"), by("2", epoch=1))
        await desired.write_desired(writing(ONE, environment="dev"), by("3", epoch=1))
        assert desired.read("prod") == {"shop": ONE, "cart": ONE}
        assert desired.read("dev") == {"shop": ONE}

    async def test_repetition_under_an_older_token_is_fenced_too(
        self, desired: DesiredState
    ) -> None:
        await desired.write_desired(writing(ONE), by("1", epoch=1))
        await desired.write_desired(writing(TWO, ONE), by("2", epoch=2))
        with pytest.raises(Fenced):
            await desired.write_desired(writing(ONE), by("1", epoch=1))

    @pytest.mark.parametrize("name", ["..", "a/b", "-x", "", "A", ".git"])
    async def test_name_that_is_none_is_refused(self, desired: DesiredState, name: str) -> None:
        with pytest.raises(UsageError):
            await desired.write_desired(writing(ONE, environment=name), by("1"))
