"""What is taken of what forges send: signed, once, and only as a reason to look at the branch."""

from __future__ import annotations

import asyncio
import json

import pytest
from hook_site import Site

from andon.api.v1.control import Selector
from andon.api.v1.records import BUILD_ONLY
from andon.app.hooks.deliveries import KEPT_SECONDS, SKEW_SECONDS
from andon.kernel.errors import Conflict, Denied, InvalidDocument, NotFound, UsageError
from andon.ports.hooks import MOST_BYTES
from andon.testing import forges
from andon.testing.forges import Sent

KINDS = ["gitea", "github", "gitlab"]
WRONG = "wrong-but-long-enough"


@pytest.mark.parametrize("forge", KINDS)
async def test_push_ships_the_branch_as_it_is_here(site: Site, forge: str):
    secret = await site.add(forge)
    head = site.repository.git("rev-parse", "main")
    answer = await site.take(forges.push(forge, secret, after="e" * 40), forge)
    assert answer["taken"]
    assert answer["created"]
    assert (answer["sha"], answer["ref"]) == (head, "main")
    (change,) = await site.changes()
    assert change.spec.sha == head
    assert change.spec.until == ""
    assert change.labels["by"] == f"forge:{forge}/ann"
    assert "ann@example.com" in change.spec.brought_by


@pytest.mark.parametrize("forge", KINDS)
async def test_unsigned_is_refused_and_written_down(site: Site, forge: str):
    await site.add(forge)
    for _ in range(3):
        with pytest.raises(Denied, match="not signed"):
            await site.take(forges.push(forge, WRONG), forge)
    assert not await site.changes()
    (event,) = await site.told("andon-access.denied")
    assert f"forge:{forge}" in event


async def test_unknown_hooks_are_refused_like_unsigned_messages(site: Site):
    for number in range(3):
        with pytest.raises(Denied, match="not signed"):
            await site.take(forges.push("github", WRONG), f"other-{number}")
    (event,) = await site.told("andon-access.denied")
    assert "forge:unknown" in event


async def test_signature_is_checked_before_anything_is_read(site: Site):
    await site.add()
    with pytest.raises(Denied):
        await site.take(Sent({"X-GitHub-Event": "push"}, b"["))


async def test_signed_nonsense_is_said_to_be_that(site: Site):
    secret = await site.add()
    with pytest.raises(InvalidDocument, match="signed, but not as"):
        await site.take(forges.send("github", secret, "push", []))


@pytest.mark.parametrize("forge", KINDS)
async def test_the_same_message_is_taken_once(site: Site, forge: str):
    secret = await site.add(forge)
    sent = forges.push(forge, secret)
    answer = await site.take(sent, forge)
    with pytest.raises(Conflict, match=answer["change"]):
        await site.take(sent, forge)
    assert len(await site.changes()) == 1


async def test_the_same_message_at_the_same_time_is_taken_once(site: Site):
    secret = await site.add()
    sent = forges.push("github", secret)
    answers = await asyncio.gather(*[site.take(sent) for _ in range(4)], return_exceptions=True)
    assert [type(one) for one in answers if not isinstance(one, dict)] == [Conflict] * 3
    assert len(await site.changes()) == 1


async def test_another_delivery_id_makes_no_new_message(site: Site):
    secret = await site.add()
    sent = forges.push("github", secret)
    await site.take(sent)
    again = {**sent.headers, "X-GitHub-Delivery": "another"}
    with pytest.raises(Conflict):
        await site.take(Sent(again, sent.body))


async def test_what_failed_may_be_sent_again(site: Site):
    secret = await site.add(branches=["topic"])
    sent = forges.push("github", secret, "topic")
    with pytest.raises(NotFound):
        await site.take(sent)
    site.repository.git("branch", "topic")
    assert (await site.take(sent))["taken"]


async def test_messages_are_forgotten_after_a_while_and_older_ones_refused_by_their_own_time(
    site: Site,
):
    secret = await site.add()

    def pushed(number: int, at: float) -> Sent:
        repository = {"full_name": forges.PROJECT, "pushed_at": int(at)}
        return forges.push("github", secret, repository=repository, number=number)

    first = pushed(1, site.clock.now())
    await site.take(first)
    site.clock.advance(KEPT_SECONDS + 2)
    await site.take(pushed(2, site.clock.now()))
    kept = await site.look(lambda tx: tx.list(Selector(kind="Delivery")))
    assert len(kept) == 1
    with pytest.raises(Conflict, match="too old"):
        await site.take(first)


@pytest.mark.parametrize("late", [-SKEW_SECONDS - 2, SKEW_SECONDS + 2])
async def test_signed_time_must_be_now(site: Site, late: float):
    secret = await site.add("gitlab")
    message = json.loads(forges.push("gitlab", secret).body)
    now = site.clock.now()
    with pytest.raises(Denied, match="just now"):
        await site.take(
            forges.send_by_standard(secret, "Push Hook", message, at=now + late), "gitlab"
        )
    sent = forges.send_by_standard(secret, "Push Hook", message, at=now)
    assert (await site.take(sent, "gitlab"))["taken"]
    # Tried again by the forge: signed anew, and yet the same message.
    again = forges.send_by_standard(secret, "Push Hook", message, at=now + 1)
    with pytest.raises(Conflict):
        await site.take(again, "gitlab")
    other = forges.send_by_standard(secret, "Push Hook", message, at=now, id="msg-2")
    assert not (await site.take(other, "gitlab"))["created"]


async def test_only_wanted_branches_are_shipped(site: Site):
    site.repository.git("branch", "release")
    site.repository.git("branch", "topic")
    secret = await site.add(branches=["release"])
    assert (await site.push(secret, "release"))["taken"]
    answer = await site.push(secret, "topic")
    assert answer == {"taken": False, "reason": "topic is not shipped: release is"}


async def test_a_tag_of_the_same_name_is_not_shipped(site: Site):
    secret = await site.add()
    site.repository.git("checkout", "--quiet", "-b", "elsewhere")
    other = site.repository.commit("elsewhere")
    site.repository.git("tag", "main")
    answer = await site.push(secret, "main")
    assert answer["sha"] != other
    assert answer["ref"] == "main"


async def test_messages_about_other_projects_are_passed_over(site: Site):
    secret = await site.add(project="team/another", api="https://f.example", token="t0ken")
    assert "about team/shop" in (await site.push(secret))["reason"]


async def test_names_of_projects_differ_in_more_than_case(site: Site):
    secret = await site.add(project="Team/Shop", api="https://f.example", token="t0ken")
    assert (await site.push(secret))["taken"]


@pytest.mark.parametrize("forge", KINDS)
async def test_proposal_is_built_and_changes_no_rules(site: Site, forge: str):
    site.repository.git("checkout", "--quiet", "-b", "topic")
    head = site.repository.commit("proposed")
    secret = await site.add(forge)
    answer = await site.take(forges.proposal(forge, secret), forge)
    assert answer["sha"] == head
    (change,) = await site.changes()
    assert change.spec.until == BUILD_ONLY
    assert (change.spec.event, change.spec.trusted) == ("pull-request", False)
    assert await site.look(lambda tx: tx.list(Selector(kind="Environment"))) == []
    policy = f"policy:{site.repository.path}"
    assert await site.look(lambda tx: tx.get_setting(policy)) is None


async def test_what_was_only_built_is_shipped_once_it_is_merged(site: Site):
    site.repository.git("checkout", "--quiet", "-b", "topic")
    site.repository.commit("proposed")
    secret = await site.add()
    await site.take(forges.proposal("github", secret))
    site.repository.git("checkout", "--quiet", "main")
    site.repository.git("merge", "--quiet", "--ff-only", "topic")
    answer = await site.push(secret)
    assert answer["created"]
    built, shipped = sorted(await site.changes(), key=lambda one: len(one.name))
    assert built.spec.sha == shipped.spec.sha
    assert shipped.spec.until == ""
    assert (shipped.spec.event, shipped.spec.trusted) == ("push", True)


@pytest.mark.parametrize("forge", KINDS)
async def test_what_strangers_propose_is_left_to_a_person(site: Site, forge: str):
    secret = await site.add(forge)
    answer = await site.take(forges.proposal(forge, secret, fork=True), forge)
    assert not answer["taken"]
    assert "comes from a fork" in answer["reason"]
    sha, fork = "b" * 40, "https://forge.example/stranger/shop.git"
    assert answer["command"] == f"andon ship {sha} --repository {fork} --until @build"
    assert not await site.changes()


async def test_command_for_a_person_is_quoted(site: Site):
    secret = await site.add()
    sent = forges.proposal("github", secret, fork=True)
    message = json.loads(sent.body)
    message["pull_request"]["head"]["repo"]["clone_url"] = "x; rm -rf ~"
    answer = await site.take(forges.send("github", secret, "pull_request", message))
    assert "'x; rm -rf ~'" in answer["command"]


async def test_fork_that_is_gone_leaves_nothing_to_type(site: Site):
    secret = await site.add()
    message = json.loads(forges.proposal("github", secret, fork=True).body)
    message["pull_request"]["head"]["repo"] = None
    answer = await site.take(forges.send("github", secret, "pull_request", message))
    assert not answer["taken"]
    assert "command" not in answer


async def test_proposals_are_not_built_where_nobody_wants_that(site: Site):
    secret = await site.add(pull_requests=False)
    assert "--no-pull-requests" in (await site.take(forges.proposal("github", secret)))["reason"]


async def test_ping_is_answered(site: Site):
    secret = await site.add()
    answer = await site.take(forges.send("github", secret, "ping", {"zen": "x"}))
    assert answer == {"taken": False, "reason": "a ping: the hook is set up"}


async def test_endless_messages_are_not_looked_at(site: Site):
    await site.add()
    with pytest.raises(UsageError, match="longer"):
        await site.take(Sent({}, b"x" * (MOST_BYTES + 1)))
