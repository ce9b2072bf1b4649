"""A gate counts what was found, not what was left out, and only consent that is meant for it."""

from __future__ import annotations

from andon.api.v1.approvals import ApprovalSpec, ApprovalStatus
from andon.api.v1.control import NewObject
from andon.api.v1.records import HoldSpec, HoldStatus, Object, Subject, Verdict
from andon.domains.line.evidence import claim
from andon.domains.line.gate import Gate, Passage, judge_gate, stopping_holds

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


# --- Holds that stop some deeds only --------------------------------------------------------------


def held(pulled_at: float = 0, passes: tuple[str, ...] = (), **effects: str) -> Object:
    spec = HoldSpec(
        scope=Subject(service="shop", environment="prod"),
        reason="2 % of the budget is left",
        source="budget:all",
        created_at=pulled_at,
        effects={name.replace("_", "-"): effect for name, effect in effects.items()},
        pace_seconds=100,
        passes=passes,
    )
    return Object(kind="Hold", name="hold-1", uid="h", spec=spec, status=HoldStatus())


def consent_of(by: str, at: float, fix: str = "") -> Object:
    spec = ApprovalSpec(subject=Subject(change="c1"), by=by, reason="r", approved_at=at, fix=fix)
    return Object(kind="Approval", name=by, uid=by, spec=spec, status=ApprovalStatus())


def holds_at(hold: Object, *claims: Object, last_at: float = 0, deed: str = "deploy") -> bool:
    subject = Subject(service="shop", environment="prod", digest="d", change="c1")
    passage = Passage(subject=subject, deed=deed, claims=claims, last_at=last_at, since=500)
    return bool(stopping_holds(passage, [hold], NOW))


def test_hold_that_denies_a_deed_stops_it_and_no_other():
    hold = held(deploy="deny")
    assert holds_at(hold)
    assert not holds_at(hold, deed="raise-weight")
    assert holds_at(held(), deed="anything"), "a plain Hold stops all"


def test_hold_that_asks_for_consent_is_opened_by_consent_given_since():
    hold = held(pulled_at=900, deploy="approval")
    assert holds_at(hold)
    assert holds_at(hold, consent_of("person:bob", 899))
    assert not holds_at(hold, consent_of("person:bob", 901))
    assert holds_at(held(deploy="deny"), consent_of("person:bob", 901))


def test_hold_that_slows_lets_one_after_the_other_pass():
    hold = held(deploy="slow")
    assert not holds_at(hold)
    assert holds_at(hold, last_at=NOW - 99)
    assert not holds_at(hold, last_at=NOW - 100)


def test_fix_passes_once_another_person_calls_it_one():
    hold = held(pulled_at=900, passes=("security",), deploy="deny")
    assert holds_at(hold, consent_of("person:bob", 950))
    assert not holds_at(hold, consent_of("person:bob", 950, fix="security"))
    assert not holds_at(hold, consent_of("person:bob", 600, fix="security")), "said before, too"
    assert holds_at(hold, consent_of("person:bob", 400, fix="security")), "too old"
    assert holds_at(hold, consent_of("service:ci", 950, fix="security")), "only people say so"
    assert holds_at(held(deploy="deny"), consent_of("person:bob", 950, fix="security"))


def test_gate_that_only_asks_for_consent_waits_for_people():
    subject = Subject(service="shop", environment="prod", change="c1")
    asking = judge_gate(subject, (), (), [held(deploy="approval")], NOW, 500)
    assert asking.waits_for_people
    assert not judge_gate(subject, (), (), [held(deploy="deny")], NOW, 500).waits_for_people
