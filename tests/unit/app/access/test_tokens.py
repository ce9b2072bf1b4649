"""Tokens let in whom they should, as long as they should, and are kept as digests only."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from andon.app.access.credentials import is_token
from andon.app.access.tokens import COMING, DAY_SECONDS, FILE
from andon.kernel.errors import Conflict, NotFound, Stale, UsageError
from andon.ports.asking import Asked

from .conftest import HERE, House, grants


async def test_token_lets_in_with_its_roles_only(house: House):
    secret = await house.add_token("ci", "developer@dev")
    who = house.door.of_token(secret)
    assert who is not None
    assert (who.name, who.via) == ("service:ci", "token ci")
    assert who.may("ship", "dev")
    assert not who.may("ship", "prod")
    assert not who.may("administer")


async def test_only_the_digest_of_a_token_is_kept_and_answers_do_not_show_it(house: House):
    secret = await house.add_token("ci", "viewer")
    assert is_token(secret)
    assert secret.encode() not in house.bytes_on_disk()
    (token,) = [one for one in await house.door.tokens() if one["name"] == "ci"]
    assert "secret" not in token
    assert "digest" not in token
    assert secret not in str(await house.told("access"))


async def test_slip_in_a_token_is_seen_without_looking_it_up(house: House):
    secret = await house.add_token("ci", "viewer")
    other = "A" if secret[10] != "A" else "B"
    for wrong in (secret[:-1], secret[:10] + other + secret[11:], "", "Bearer", secret + "x", "ä"):
        assert not is_token(wrong)
        assert house.door.of_token(wrong) is None


async def test_expired_token_lets_nobody_in(house: House):
    secret = await house.add_token("ci", "viewer", expires_seconds=60)
    cookie = (await house.door.log_in_with_token(secret, address=HERE)).cookie
    house.clock.advance(59.9)
    assert house.door.of_token(secret) is not None
    assert house.door.of_session(cookie) is not None
    house.clock.advance(0.1)
    assert house.door.of_token(secret) is None
    assert house.door.of_session(cookie) is None


async def test_token_lasts_90_days_unless_said_and_never_more_than_366(house: House):
    made = await house.door.make_token("ci", asked=house.asked, grants=grants("viewer"))
    assert made["expiresAt"] == house.clock.now() + 90 * DAY_SECONDS
    for seconds in (367 * DAY_SECONDS, -1, float("nan"), float("inf")):
        with pytest.raises(UsageError):
            await house.add_token("other", "viewer", expires_seconds=seconds)


async def test_revoked_token_lets_nobody_in_once_the_answer_is_given(house: House):
    secret = await house.add_token("ci", "viewer")
    cookie = (await house.door.log_in_with_token(secret, address=HERE)).cookie
    revoked = await house.door.revoke_token("ci", asked=house.asked)
    assert revoked["revokedAt"] == house.clock.now()
    assert house.door.of_token(secret) is None
    assert house.door.of_session(cookie) is None
    house.clock.advance(5)
    again = await house.door.revoke_token("ci", asked=house.asked)
    assert again["revokedAt"] == revoked["revokedAt"]


async def test_name_of_a_token_is_unique_until_it_counts_no_more(house: House):
    old = await house.add_token("ci", "viewer")
    with pytest.raises(Conflict):
        await house.add_token("ci", "viewer")
    await house.door.revoke_token("ci", asked=house.asked)
    new = await house.add_token("ci", "viewer", expires_seconds=60)
    assert house.door.of_token(old) is None
    assert house.door.of_token(new) is not None
    house.clock.advance(61)
    await house.add_token("ci", "viewer")


async def test_owned_token_acts_as_its_owner_within_the_owners_rights(house: House):
    await house.add_user("ann", "developer", emails=["ann@example.com"])
    secret = await house.add_token("hers", "admin", owner="ann")
    who = house.door.of_token(secret)
    assert who is not None
    assert (who.name, who.emails) == ("person:ann", ("ann@example.com",))
    assert who.may("ship", "dev")
    assert not who.may("administer")
    await house.change_user("ann", grants=grants("viewer"))
    who = house.door.of_token(secret)
    assert who is not None
    assert not who.may("ship", "dev")
    await house.change_user("ann", disabled=True)
    assert house.door.of_token(secret) is None
    with pytest.raises(Conflict, match="disabled"):
        await house.add_token("another", "viewer", owner="ann")
    with pytest.raises(NotFound):
        await house.add_token("another", "viewer", owner="zoe")


async def test_token_without_a_role_is_refused(house: House):
    with pytest.raises(UsageError, match="without a role"):
        await house.add_token("ci")


async def test_secret_is_not_told_to_who_sends_the_same_wish_again(house: House):
    asked = Asked(by="person:root", key="k", fingerprint="f")
    first = await house.door.make_token("ci", asked=asked, grants=grants("viewer"))
    again = await house.door.make_token("ci", asked=asked, grants=grants("viewer"))
    assert again == {name: value for name, value in first.items() if name != "secret"}
    assert house.door.of_token(first["secret"]) is not None


# --- the administrator's --------------------------------------------------------------------------


def admin_secret(folder: Path) -> str:
    return (folder / FILE).read_text().strip()


async def test_admin_token_is_made_once_and_readable_by_its_owner_only(house: House):
    secret = admin_secret(house.folder)
    assert stat.S_IMODE((house.folder / FILE).stat().st_mode) == 0o600
    restarted = house.another_door()
    await restarted.open()
    who = restarted.of_token(secret)
    assert who is not None
    assert who.name == "service:admin"
    assert who.may("administer")
    house.clock.advance(3650 * DAY_SECONDS)
    assert restarted.of_token(secret) is not None
    assert secret.encode() not in house.bytes_on_disk()


async def test_deleting_the_file_makes_a_new_admin_token_and_the_old_counts_no_more(house: House):
    old = admin_secret(house.folder)
    (house.folder / FILE).unlink()
    restarted = house.another_door()
    await restarted.open()
    assert restarted.of_token(old) is None
    assert restarted.of_token(admin_secret(house.folder)) is not None
    assert ("changed", "token/admin") in [one[:2] for one in await house.told("access")]


async def test_admin_token_of_the_file_counts_in_another_database(house: House, tmp_path: Path):
    secret = admin_secret(house.folder)
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / FILE).write_text(secret)
    (folder / FILE).chmod(0o644)
    house.folder = folder
    restarted = house.another_door()
    await restarted.open()
    assert restarted.of_token(secret) is not None
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600


async def test_file_that_holds_something_else_is_refused(house: House):
    (house.folder / FILE).write_text("hello")
    with pytest.raises(Conflict, match="does not hold a token"):
        await house.another_door().open()


async def test_admin_token_can_be_rotated_while_andon_runs(house: House):
    old = admin_secret(house.folder)
    by_token = (await house.door.log_in_with_token(old, address=HERE)).cookie
    here = house.door.of_peer(0)
    code = (await house.door.one_time_code(house.asked, here))["code"]
    by_socket = (await house.door.log_in_with_code(code, address=HERE)).cookie
    answer = await house.door.rotate_admin_token(asked=house.asked)
    new = admin_secret(house.folder)
    assert answer["file"] == str(house.folder / FILE)
    assert new not in str(answer)
    assert house.door.of_token(old) is None
    assert house.door.of_token(new) is not None
    assert house.door.of_session(by_token) is None
    assert house.door.of_session(by_socket) is None
    assert not (house.folder / COMING).exists()


async def test_rotations_at_the_same_time_leave_the_token_that_counts(house: House):
    await asyncio.gather(*(house.door.rotate_admin_token(asked=house.asked) for _ in range(3)))
    assert house.door.of_token(admin_secret(house.folder)) is not None


async def test_rotation_that_is_refused_changes_nothing(house: House):
    old = admin_secret(house.folder)
    with pytest.raises(Stale):
        await house.door.rotate_admin_token(asked=Asked(by="person:root", expect="77"))
    restarted = house.another_door()
    await restarted.open()
    assert admin_secret(house.folder) == old
    assert restarted.of_token(old) is not None
    assert not (house.folder / COMING).exists()


async def test_rotation_cut_short_by_a_crash_is_finished_at_the_next_start(house: House):
    old = admin_secret(house.folder)
    await house.door.rotate_admin_token(asked=house.asked)
    new = admin_secret(house.folder)
    (house.folder / FILE).rename(house.folder / COMING)
    (house.folder / FILE).write_text(old)
    restarted = house.another_door()
    await restarted.open()
    assert admin_secret(house.folder) == new
    assert restarted.of_token(old) is None


async def test_admin_token_is_neither_made_nor_revoked_by_name(house: House):
    with pytest.raises(Conflict):
        await house.add_token("admin", "viewer")
    with pytest.raises(Conflict, match="always"):
        await house.door.revoke_token("admin", asked=house.asked)
