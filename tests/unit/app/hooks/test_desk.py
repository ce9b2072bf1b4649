"""Hooks as administrators manage them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hook_site import ADMIN, Site
from msgspec.structs import replace

from andon.app.hooks.reporter import reports_name
from andon.kernel.errors import Conflict, Denied, NotFound, UsageError
from andon.testing import forges

API = {"api": "https://api.forge.example", "project": "team/shop", "token": "api-t0ken"}


async def test_a_new_hook_says_where_to_post_and_its_secret_once(site: Site):
    made = await site.hooks.add(
        "shop", asked=ADMIN, forge="github", repository=str(site.repository.path)
    )
    assert made["url"] == "https://andon.example/api/v1/hooks/shop/deliveries"
    assert made["secret"].startswith("whsec_")
    assert made["createdBy"] == "person:root"
    shown = await site.hooks.show("shop")
    assert shown == {key: value for key, value in made.items() if key != "secret"}
    assert await site.hooks.list() == [shown]


async def test_secrets_lie_sealed_and_in_no_event(site: Site, tmp_path: Path):
    secret = await site.add(**API)
    await site.push(secret)
    site.store.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("a.db*"))
    assert b"hook/github/secret" in kept
    assert secret.encode() not in kept
    assert b"api-t0ken" not in kept


async def test_a_secret_of_ones_own_is_not_shown(site: Site):
    made = await site.hooks.add(
        "shop",
        asked=ADMIN,
        forge="gitea",
        repository=str(site.repository.path),
        secret="something-long-enough",
    )
    assert "secret" not in made
    sent = forges.push("gitea", "something-long-enough")
    assert (await site.take(sent, "shop"))["taken"]


async def test_rotated_secret_counts_alone(site: Site):
    old = await site.add()
    new = (await site.hooks.rotate("github", asked=ADMIN))["secret"]
    with pytest.raises(Denied):
        await site.push(old)
    assert (await site.push(new))["taken"]


async def test_removed_hook_leaves_nothing(site: Site):
    secret = await site.add(**API)
    assert (await site.hooks.show("github"))["statuses"]["state"] == "active"
    await site.hooks.remove("github", asked=ADMIN)
    with pytest.raises(Denied):
        await site.push(secret)
    with pytest.raises(NotFound, match="no hook github"):
        await site.hooks.show("github")
    left = await site.look(
        lambda tx: (tx.subscriber(reports_name("github")), tx.settings("sealed:vault/hook/"))
    )
    assert left == (None, {})


async def test_every_act_is_an_event_with_its_actor(site: Site):
    await site.add()
    await site.hooks.rotate("github", asked=ADMIN)
    await site.hooks.remove("github", asked=ADMIN)
    for verb in ("added", "rotated", "removed"):
        (event,) = await site.told(f"andon-hook.{verb}")
        assert "person:root" in event
    assert await site.told("andon-access.used")


async def test_changes_on_an_old_look_are_refused(site: Site):
    await site.add()
    with pytest.raises(Conflict, match="not at 99"):
        await site.hooks.remove("github", asked=replace(ADMIN, expect="99"))


async def test_names_are_taken_once(site: Site):
    await site.add()
    with pytest.raises(Conflict, match="already"):
        await site.add()


@pytest.mark.parametrize(
    "odd",
    [
        {"forge": "sourceforge"},
        {"repository": "-u"},
        {"repository": "ext::sh -c x"},
        {"api": "https://f.example"},
        {"token": "t0ken"},
        {**API, "api": "forge.example"},
        {**API, "api": "https://ann:pw@forge.example"},
        {**API, "project": "../../user"},
        {**API, "project": "team/shop?x"},
        {**API, "token": "two words"},
        {**API, "token": "line\r\nX: y"},
        {"secret": "short"},
        {"secret": "whsec_not-base64-at-all!"},
    ],
    ids=str,
)
async def test_odd_hooks_are_refused_with_what_to_type(site: Site, odd: dict[str, Any]):
    plain = {"forge": "github", "repository": str(site.repository.path)}
    with pytest.raises(UsageError):
        await site.hooks.add("shop", asked=ADMIN, **{**plain, **odd})
    for name in ("", "Shop", "a.b", "-", "x" * 64):
        with pytest.raises(UsageError):
            await site.hooks.add(name, asked=ADMIN, **plain)
    assert await site.hooks.list() == []
