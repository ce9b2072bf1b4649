"""Users and teams: who may what, and that somebody always may administer."""

from __future__ import annotations

from functools import partial

import pytest

from andon.api.v1.access import Identity
from andon.kernel.errors import Conflict, Denied, NotFound, Stale, UsageError
from andon.ports.asking import Asked

from .conftest import HERE, PASSWORD, House, grants


async def test_rights_are_the_users_own_and_what_teams_bring(house: House):
    await house.add_user("ann", "viewer", emails=["Ann@Example.com"])
    await house.door.put_team(
        "crew", asked=house.asked, create=True, members=["ann"], grants=grants("operator@prod")
    )
    found = house.door.of_session(await house.log_in())
    assert found is not None
    who = found[0]
    assert (who.name, who.teams, who.emails) == ("person:ann", ("crew",), ("ann@example.com",))
    assert who.may("operate", "prod")
    assert not who.may("operate", "dev")
    assert (await house.door.user("ann"))["teams"] == ["crew"]
    await house.door.remove_team("crew", asked=house.asked)
    found = house.door.of_session(await house.log_in())
    assert found is not None
    assert not found[0].may("operate", "prod")


async def test_answers_show_neither_password_nor_where_a_webhook_leads(house: House):
    made = await house.add_user(
        "ann", "viewer", notify=["https://hooks.example.com/T0/s3cret", "mailto:ann@example.com"]
    )
    assert made["hasPassword"]
    assert made["notify"] == ["https://hooks.example.com/…", "mailto:ann@example.com"]
    assert "scrypt" not in str(await house.door.users())


async def test_change_leaves_what_is_not_named_and_an_empty_list_clears(house: House):
    await house.add_user("ann", "viewer", emails=["a@b.c"])
    changed = await house.change_user("ann", emails=[])
    assert (changed["emails"], changed["grants"]) == (
        [],
        [{"role": "viewer", "environment": "*"}],
    )
    assert not (await house.change_user("ann", password=""))["hasPassword"]


async def test_role_in_an_unknown_environment_is_given_with_a_note(house: House):
    made = await house.add_user("ann", "viewer@prodd")
    assert made["notes"] == ["there is no environment prodd yet; the role counts once there is"]
    assert "notes" not in await house.door.user("ann")


async def test_last_administrator_stays_one(house: House):
    await house.add_user("ann", "admin")
    for change in ({"grants": grants("viewer")}, {"disabled": True}):
        with pytest.raises(Conflict, match="no administrator"):
            await house.change_user("ann", **change)
    with pytest.raises(Conflict, match="no administrator"):
        await house.door.remove_user("ann", asked=house.asked)
    await house.add_user("bob", "viewer")
    team = {"asked": house.asked, "members": ["bob"], "grants": grants("admin")}
    await house.door.put_team("admins", create=True, **team)
    await house.door.remove_user("ann", asked=house.asked)
    with pytest.raises(Conflict, match="no administrator"):
        await house.door.put_team("admins", asked=house.asked, create=False, members=[])
    with pytest.raises(Conflict, match="no administrator"):
        await house.door.remove_team("admins", asked=house.asked)
    with pytest.raises(Conflict, match="no administrator"):
        await house.door.remove_user("bob", asked=house.asked)
    assert [one["name"] for one in await house.door.users()] == ["bob"]


async def test_removed_user_leaves_teams_tokens_and_sessions(house: House):
    await house.add_user("ann", "viewer")
    await house.door.put_team("crew", asked=house.asked, create=True, members=["ann"])
    secret = await house.add_token("mine", "viewer", owner="ann")
    cookie = await house.log_in()
    await house.door.remove_user("ann", asked=house.asked)
    assert house.door.of_session(cookie) is None
    assert house.door.of_token(secret) is None
    assert (await house.door.teams())[0]["members"] == []
    assert [one["name"] for one in await house.door.tokens()] == ["admin"]
    await house.add_user("ann", "viewer")
    assert house.door.of_session(cookie) is None


@pytest.mark.parametrize("change", [{"disabled": True}, {"password": "another long one"}])
async def test_sessions_end_when_the_user_is_disabled_or_has_a_new_password(
    house: House, change: dict[str, object]
):
    await house.add_user("ann", "viewer")
    cookie = await house.log_in()
    await house.change_user("ann", **change)
    assert house.door.of_session(cookie) is None
    await house.change_user("ann", disabled=False)
    assert house.door.of_session(cookie) is None


async def test_person_who_knows_the_old_password_has_another_and_no_session(house: House):
    await house.add_user("ann", "viewer")
    cookie = await house.log_in()
    ann = house.door.of_session(cookie)[0]
    change = partial(house.door.change_password, asked=house.asked, address=HERE)
    with pytest.raises(Denied):
        await change(ann, "not " + PASSWORD, "another long one")
    assert house.door.of_session(cookie) is not None
    with pytest.raises(UsageError):
        await change(ann, PASSWORD, "too short")
    await change(ann, PASSWORD, "another long one")
    assert house.door.of_session(cookie) is None
    with pytest.raises(Denied):
        await house.log_in()
    assert await house.log_in(password="another long one")


async def test_service_has_no_password(house: House):
    robot = Identity(name="service:robot", via="token")
    with pytest.raises(Denied, match="only a person"):
        await house.door.change_password(robot, "a", "b", asked=house.asked, address=HERE)


async def test_person_who_is_unlinked_has_no_subject_and_no_session(house: House):
    vouch = partial(house.door.log_in_as_subject, name="ann", emails=["a@b.c"], groups=["eng"])
    login = await vouch("https://id.example#1")
    name = login.identity.name.removeprefix("person:")
    assert (await house.door.user(name))["subject"] == "https://id.example#1"
    await house.change_user(name, unlink=True)
    assert (await house.door.user(name))["subject"] == ""
    assert house.door.of_session(login.cookie) is None


async def test_names_that_are_taken_unknown_or_impossible_are_said(house: House):
    await house.add_user("ann", "viewer")
    with pytest.raises(Conflict, match="already"):
        await house.add_user("ann", "viewer")
    with pytest.raises(NotFound) as caught:
        await house.change_user("anm", disabled=True)
    assert "did you mean ann" in caught.value.hint
    for name in ("Ann", "a b", "-a", "a" * 64, "", "a\0"):
        with pytest.raises(UsageError):
            await house.add_user(name, "viewer")
        with pytest.raises(NotFound):
            await house.door.user(name)
    with pytest.raises(NotFound):
        await house.door.put_team("crew", asked=house.asked, create=True, members=["zoe"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "elevenchars"},
        {"emails": ["not an address"]},
        {"notify": ["ftp://x"]},
        {"grants": grants("viewer@No Such")},
        {"emails": [f"a{n}@b.c" for n in range(17)]},
    ],
)
async def test_what_cannot_be_put_that_way_is_refused(house: House, wrong: dict[str, object]):
    with pytest.raises(UsageError) as caught:
        await house.add_user("ann", **wrong)
    assert "elevenchars" not in str(caught.value)
    assert await house.door.users() == []


async def test_wish_counts_once_and_only_on_the_revision_it_was_meant_for(house: House):
    first = await house.add_user("ann", "viewer")
    await house.change_user("ann", emails=["a@b.c"])
    late = Asked(by="person:root", expect=first["revision"])
    with pytest.raises(Stale):
        await house.door.put_user("ann", asked=late, create=False, disabled=True)


async def test_same_wish_with_a_password_is_known_again_but_not_by_a_digest_to_guess_from(
    house: House,
):
    asked = Asked(by="person:root", key="k", fingerprint="digest of a request")
    for _ in range(2):
        made = await house.door.put_user("ann", asked=asked, create=True, password=PASSWORD)
        assert made["name"] == "ann"
    assert b"digest of a request" not in house.bytes_on_disk()
    another = Asked(by="person:root", key="k", fingerprint="digest of another")
    with pytest.raises(UsageError, match="another request"):
        await house.door.put_user("ann", asked=another, create=True, password=PASSWORD)


async def test_ledger_says_who_gave_what_to_whom_and_no_secret(house: House):
    await house.add_user("ann", "admin", "viewer@prod", emails=["ann@private.example"])
    await house.change_user("ann", password="yet another password", unlock=True)
    await house.add_user("bob", "admin")
    await house.door.remove_user("ann", asked=house.asked)
    told = [one for one in await house.told("access") if one[1] == "user/ann"]
    assert [verb for verb, _, _ in told] == ["granted", "changed", "revoked"]
    assert all(content["by"] == "person:root" for _, _, content in told)
    assert told[0][2]["roles"] == ["admin", "viewer@prod"]
    assert told[1][2]["changed"] == ["password"]
    assert told[1][2]["unlocked"] is True
    assert [verb for verb, *_ in await house.told("access")].count("used") == 4
    text = str(told)
    assert PASSWORD not in text
    assert "scrypt" not in text
    assert "private.example" not in text
