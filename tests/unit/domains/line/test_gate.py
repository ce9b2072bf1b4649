"""A gate counts what was found, not what was left out, and only consent that is meant for it."""

from __future__ import annotations

from andon.api.v1.control import NewObject
from andon.api.v1.records import ApprovalSpec, ApprovalStatus, Object, Subject, Verdict
from andon.domains.line.evidence import claim
from andon.domains.line.gate import Gate, judge_gate

NOW = 1000.0
SHOP = Subject(service="web", digest="sha256:ab", environment="prod", change="c1")
ABOUT = Subject(service="web", digest="sha256:ab")


def stored(new: NewObject) -> Object:
    return Object(kind=new.kind, name=new.name, uid=new.name, spec=new.spec, status=new.status)


def said(verdict: Verdict, at: float, **value: str) -> Object:
    message = value.get("skipped", "")
    made = claim(
        name=f"e{at}",
        subject=ABOUT,
        check="e2e",
        verdict=verdict,
        source="run:build/e2e",
        now=at,
        message=message,
        value=dict(value),
    )
    return stored(made)


def gate(*claims: Object, skippable: tuple[str, ...] = (), requires: str = "e2e") -> Gate:
    return judge_gate(SHOP, [requires], claims, (), NOW, 500, skippable=skippable)


def test_a_skip_opens_a_gate_only_where_the_policy_lists_it():
    skip = said("Inconclusive", 900, skipped="if: `false` is false")
    (lack,) = gate(skip).missing
    assert lack.reason == "e2e was skipped: if: `false` is false"
    assert "skippable: [e2e]" in lack.opens
    assert gate(skip, skippable=("e2e",)).open
    assert not gate(skip, skippable=("unit",)).open
    assert not gate(said("Inconclusive", 900), skippable=("e2e",)).open
    assert not gate(said("Inconclusive", 100, skipped="old"), skippable=("e2e",)).open
    assert not gate(skippable=("e2e",)).open


def test_a_later_skip_hides_neither_a_failure_nor_a_pass():
    skip = said("Inconclusive", 950, skipped="rule")
    assert gate(said("Fail", 900), skip, skippable=("e2e",)).explain() == "e2e says Fail"
    assert gate(said("Pass", 900), skip).open


def test_consent_to_a_job_is_none_to_go_into_an_environment():
    def consent(job: str) -> Object:
        spec = ApprovalSpec(
            subject=Subject(change="c1"), by="person:bob", reason="", approved_at=900, job=job
        )
        return Object(kind="Approval", name=f"a-{job}", uid=job, spec=spec, status=ApprovalStatus())

    assert not gate(consent("look"), requires="approval").open
    assert gate(consent(""), requires="approval").open
