"""What each forge signs, what its messages say, and how it is told of a status."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from msgspec.structs import replace

from andon.adapters.forges import FORGES
from andon.adapters.forges.reading import api_address
from andon.api.v1.forges import HookSpec
from andon.kernel.errors import InvalidDocument, UsageError
from andon.ports.hooks import CommitStatus, Passed, Proposed, Pushed, Told
from andon.testing import forges
from andon.testing.forges import Sent

SECRET = "whsec_" + "c2VjcmV0IG9mIGEgaG9vaywgMzIgYnl0ZXMgbG9uZyE="
OTHER = "whsec_" + "YW5vdGhlciBzZWNyZXQsIGFsc28gMzIgYnl0ZXMgbG8="
KINDS = sorted(FORGES)
NOW = 1_700_000_000.0
STATUS = CommitStatus(
    state="pending", description="waiting for Evidence: tests\nmore", url="https://a.example/#/c"
)


def lower(sent: Sent) -> dict[str, str]:
    return {name.lower(): value for name, value in sent.headers.items()}


def is_signed(forge: str, sent: Sent, secret: str = SECRET) -> bool:
    return FORGES[forge].signed(secret, lower(sent), sent.body) is not None


def read(forge: str, sent: Sent) -> Told:
    return FORGES[forge].read(lower(sent), sent.body)


def hook(forge: str, **more: str) -> HookSpec:
    return HookSpec(forge=forge, repository="/srv/shop", **{"api": "https://forge.example", **more})


@pytest.mark.parametrize("forge", KINDS)
def test_only_who_knows_the_secret_signs(forge: str):
    assert is_signed(forge, forges.push(forge, SECRET))
    assert not is_signed(forge, forges.push(forge, OTHER))
    assert not is_signed(forge, forges.push(forge, SECRET), OTHER)
    unsigned = {"x-github-event": "push", "x-gitlab-event": "Push Hook", "x-gitea-event": "push"}
    assert FORGES[forge].signed(SECRET, unsigned, b"{}") is None


@pytest.mark.parametrize("forge", ["github", "gitea"])
def test_a_changed_byte_breaks_the_signature(forge: str):
    sent = forges.push(forge, SECRET)
    assert not is_signed(forge, Sent(sent.headers, sent.body + b" "))


@pytest.mark.parametrize(
    ("forge", "header"),
    [
        ("github", "X-Hub-Signature-256"),
        ("gitea", "X-Gitea-Signature"),
        ("gitlab", "X-Gitlab-Token"),
    ],
)
def test_odd_signatures_are_none(forge: str, header: str):
    sent = forges.push(forge, SECRET)
    for odd in ("", "sha256=", "ü", "\ud800", "sha1=" + "0" * 40, sent.headers[header][:-1]):
        assert not is_signed(forge, Sent({**sent.headers, header: odd}, sent.body))


def test_gitlab_signing_token_covers_id_time_and_body():
    sent = forges.send_by_standard(SECRET, "Push Hook", {"ref": "refs/heads/main"}, at=NOW)
    signed = FORGES["gitlab"].signed(SECRET, lower(sent), sent.body)
    assert signed is not None
    assert signed.signed_at == NOW
    assert signed.content == b"msg-1." + sent.body
    for name, value in {"webhook-id": "msg-2", "webhook-timestamp": str(int(NOW) + 1)}.items():
        assert not is_signed("gitlab", Sent({**sent.headers, name: value}, sent.body))
    assert not is_signed("gitlab", Sent(sent.headers, sent.body + b" "))


def test_gitlab_bad_signature_is_not_made_good_by_anything_else():
    sent = forges.send_by_standard(OTHER, "Push Hook", {}, at=NOW)
    both = {**sent.headers, "X-Gitlab-Token": SECRET}
    assert not is_signed("gitlab", Sent(both, sent.body))
    assert not is_signed("gitlab", sent, "no-standard-secret-at-all")


@pytest.mark.parametrize("forge", KINDS)
def test_push_names_branch_and_person(forge: str):
    told = read(forge, forges.push(forge, SECRET, "release/1"))
    assert told == Pushed(
        branch="release/1", project="team/shop", login="ann", emails=("ann@example.com",)
    )


@pytest.mark.parametrize("forge", KINDS)
def test_tags_and_deleted_branches_are_passed_over(forge: str):
    assert isinstance(read(forge, forges.push(forge, SECRET, ref="refs/tags/v1")), Passed)
    assert isinstance(read(forge, forges.push(forge, SECRET, after="0" * 40)), Passed)


@pytest.mark.parametrize("forge", KINDS)
@pytest.mark.parametrize("action", ["opened", "synchronize"])
def test_proposal_of_the_repository_itself(forge: str, action: str):
    told = read(forge, forges.proposal(forge, SECRET, action=action))
    assert isinstance(told, Proposed)
    assert (told.branch, told.number, told.login, told.fork) == ("topic", 7, "ann", "")


@pytest.mark.parametrize("forge", KINDS)
def test_proposal_of_a_fork_names_it(forge: str):
    told = read(forge, forges.proposal(forge, SECRET, fork=True))
    assert isinstance(told, Proposed)
    assert (told.fork, told.sha) == ("https://forge.example/stranger/shop.git", "b" * 40)


@pytest.mark.parametrize("forge", ["github", "gitea"])
def test_proposal_of_a_fork_that_is_gone_is_of_a_fork(forge: str):
    sent = forges.proposal(forge, SECRET, fork=True)
    message = json.loads(sent.body)
    message["pull_request"]["head"]["repo"] = None
    told = read(forge, Sent(sent.headers, json.dumps(message).encode()))
    assert isinstance(told, Proposed)
    assert told.fork


@pytest.mark.parametrize("forge", KINDS)
@pytest.mark.parametrize("action", ["closed", "labeled", "approved"])
def test_what_leaves_the_commit_as_it_is_is_passed_over(forge: str, action: str):
    assert isinstance(read(forge, forges.proposal(forge, SECRET, action=action)), Passed)


@pytest.mark.parametrize("forge", KINDS)
@pytest.mark.parametrize("event", ["ping", "issues", "", "Tag Push Hook"])
def test_other_events_are_passed_over(forge: str, event: str):
    assert isinstance(read(forge, forges.send(forge, SECRET, event, {})), Passed)


@pytest.mark.parametrize("forge", KINDS)
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'{"ref": 1}', b"\xff", b"[" * 100_000, b'{"ref":"\\ud800"}']
)
def test_signed_nonsense_is_no_document(forge: str, body: bytes):
    event = "Push Hook" if forge == "gitlab" else "push"
    headers = {f"x-{forge}-event": event}
    with pytest.raises(InvalidDocument):
        FORGES[forge].read(headers, body)


def test_github_form_is_read_as_json():
    sent = forges.push("github", SECRET)
    form = urlencode({"payload": sent.body.decode()}).encode()
    headers = {**lower(sent), "content-type": "application/x-www-form-urlencoded"}
    assert isinstance(FORGES["github"].read(headers, form), Pushed)


def test_github_says_when_it_was_pushed():
    repository = {"full_name": "team/shop", "pushed_at": 1_600_000_000}
    told = read("github", forges.push("github", SECRET, repository=repository))
    assert isinstance(told, Pushed)
    assert told.sent_at == 1_600_000_000


def test_names_of_others_are_made_safe():
    told = read("github", forges.push("github", SECRET, "main\n\x1b[31m" + "x" * 999))
    assert isinstance(told, Pushed)
    assert told.branch.startswith("main??[31mxxx")
    assert len(told.branch) == 255


@pytest.mark.parametrize(
    ("forge", "url", "header"),
    [
        ("github", "https://forge.example/repos/team/shop/statuses/", ("Authorization", "Bearer t")),
        ("gitea", "https://forge.example/api/v1/repos/team/shop/statuses/", ("Authorization", "token t")),
        ("gitlab", "https://forge.example/api/v4/projects/team%2Fshop/statuses/", ("PRIVATE-TOKEN", "t")),
    ],
)  # fmt: skip
def test_status_goes_to_the_commit(forge: str, url: str, header: tuple[str, str]):
    call = FORGES[forge].status_call(hook(forge, project="team/shop"), "t", "a" * 40, STATUS)
    assert call.url == url + "a" * 40
    assert call.headers[header[0]] == header[1]
    body = json.loads(call.body)
    assert body["description"] == "waiting for Evidence: tests"
    assert body["target_url"] == "https://a.example/#/c"
    assert body["state"] == ("running" if forge == "gitlab" else "pending")
    assert "andon" in (body.get("context"), body.get("name"))
    assert "Bearer" not in repr(call)


def test_long_reasons_are_cut_to_what_a_forge_takes():
    status = replace(STATUS, description="x" * 1000)
    call = FORGES["github"].status_call(hook("github", project="team/shop"), "t", "a" * 40, status)
    said = json.loads(call.body)["description"]
    assert len(said) == 140
    assert said.endswith("…")


def test_gitlab_saying_a_state_twice_is_no_failure():
    gitlab = FORGES["gitlab"]
    assert gitlab.knows_already(
        400, b'{"message":"Cannot transition status via :run from :running"}'
    )
    assert not gitlab.knows_already(400, b"{}")
    assert not gitlab.knows_already(403, b"Cannot transition status")


@pytest.mark.parametrize(
    "text",
    ["", "forge.example", "ftp://forge.example", "https://ann:pw@forge.example", "https://f?x=1", "https://[", "http://:1"],
)  # fmt: skip
def test_odd_api_addresses_are_refused(text: str):
    with pytest.raises(UsageError):
        api_address(text, "/api/v1")


def test_bare_host_gets_the_usual_path():
    assert api_address("https://f.example/", "/api/v1") == "https://f.example/api/v1"
    assert api_address("https://f.example/git/api/v1/", "/api/v1") == "https://f.example/git/api/v1"
