"""Whose consent does not count, and what they are told."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from andon.api.v1.definitions import Approvals
from andon.api.v1.pipelines import PipelineSpec
from andon.api.v1.records import ChangeSpec, Object
from andon.domains.access.own import makers, refuse_consent

SPEC = ChangeSpec(
    repository="/r",
    sha="1",
    ref="main",
    author="Ann <ann@example.com>",
    message="why",
    committed_at=0,
    policy_revision="1",
    pipeline_name="p",
    pipeline=PipelineSpec(jobs={}),
    services={},
    environments={},
)


ANYBODY = Approvals()


def refused(spec: ChangeSpec = SPEC, rule: Approvals = ANYBODY, **asked) -> tuple[str, str]:
    change = Object(
        kind="Change", name="shop-1", uid="1", spec=spec, status=None, labels={"by": "sam"}
    )
    asked = {"by": "person:bob", "teams": (), "emails": ("bob@example.com",)} | asked
    refusal = refuse_consent(change, "prod", rule, **asked)
    return (refusal.reason, refusal.hint) if refusal else ("", "")


def test_somebody_else_may_approve():
    assert refused() == ("", "")
    assert refused(rule=Approvals(people=("person:bob",))) == ("", "")
    assert refused(rule=Approvals(people=("team:sre",)), teams=("sre",)) == ("", "")


@pytest.mark.parametrize("by", ["person:sam", "sam"])
def test_who_shipped_it_may_not_even_from_the_local_socket(by):
    reason, hint = refused(by=by)
    assert reason == "sam put shop-1 on the line, and nobody approves their own change"
    assert "andon admin user add NAME" in hint


def test_who_pushed_it_to_the_forge_may_not_whatever_name_the_commit_bears():
    reason, _ = refused(replace(SPEC, brought_by=("Bob@example.com",)))
    assert reason == "bob put shop-1 on the line, and nobody approves their own change"


@pytest.mark.parametrize(
    "more",
    [
        {"author": "Bob <BOB@example.com>"},
        {"author": "Bob <ann@example.com> <bob@example.com>"},
        {"committer": "Bob <bob@example.com>"},
        {"message": "why\n\nCo-authored-by: Bob <bob@example.com>"},
        {"message": "why\n\nCo-Authored-By:Bob <Bob@Example.com>\nSigned-off-by: Ann <a@b>"},
    ],
)
def test_whoever_wrote_it_may_not(more):
    reason, _ = refused(replace(SPEC, **more), emails=("other@example.com", "bob@example.com"))
    assert reason == "bob wrote shop-1, and nobody approves their own change"


@pytest.mark.parametrize("by", ["service:ci", "service:bob"])
def test_a_service_is_no_person(by):
    assert refused(by=by)[0] == f"{by} is no person: only people approve"


def test_who_is_not_named_may_not():
    reason, hint = refused(rule=Approvals(people=("team:sre", "person:eve")), teams=("shop",))
    assert reason == "person:bob may not approve for prod: it asks for team:sre or person:eve"
    assert "andon approve shop-1 --environment prod" in hint


def test_who_cannot_be_told_from_the_author_may_not():
    assert "bob has no known address" in refused(emails=())[0]
    for author in ("Ann", "Ann <>", "A" * 300):
        assert "names no author's address" in refused(replace(SPEC, author=author))[0]
        assert makers(replace(SPEC, author=author, committer="Col <col@example.com>")) == set()
