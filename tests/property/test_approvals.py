"""No sequence of consents opens a gate that asks for more people, or with one's own."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from andon.api.v1.approvals import ApprovalSpec, ApprovalStatus
from andon.api.v1.definitions import Approvals
from andon.api.v1.pipelines import PipelineSpec
from andon.api.v1.records import ChangeSpec, EvidenceSpec, Object, Subject
from andon.domains.access.own import refuse_consent
from andon.domains.line.gate import judge_gate

NOW = 1_000_000.0
AGE = 3600.0
ASKING = Subject(service="web", environment="prod", digest="sha256:1", config_hash="x", change="c")
CHANGE = Object(
    kind="Change",
    name="c",
    uid="1",
    labels={"by": "person:sam"},
    spec=ChangeSpec(
        repository="/r",
        sha="1",
        ref="main",
        author="Ann <Ann@example.com>",
        committer="Col <col@example.com>",
        message="why\n\nco-authored-BY: Cat <cat@Example.com>\n",
        committed_at=NOW,
        policy_revision="1",
        pipeline_name="p",
        pipeline=PipelineSpec(jobs={}),
        services={},
        environments={},
    ),
    status=None,
)
TEAMS = {"ann": ["sre"], "cat": ["sre"], "bob": ["sre"], "eve": ["sre", "shop"], "fay": ["shop"]}
PEOPLE = [f"person:{name}" for name in ("ann", "cat", "col", "sam", "bob", "eve", "fay", "gus")]
OWN = {"person:ann", "person:cat", "person:col", "person:sam"}


class Wish(Struct, frozen=True):
    by: str
    withdraw: bool = False
    change: str = "c"
    environment: str = "prod"
    at: float = NOW


wishes = st.builds(
    Wish,
    st.sampled_from([*PEOPLE, "service:ci", "forge:hook/ann"]),
    st.booleans(),
    st.sampled_from(["c", "c", "d"]),
    st.sampled_from(["prod", "prod", "dev"]),
    st.floats(NOW - 2 * AGE, NOW),
)
rules = st.builds(
    Approvals,
    count=st.integers(1, 4),
    people=st.lists(st.sampled_from(["team:sre", "team:shop", "person:gus", "person:ann"])).map(
        tuple
    ),
)


def teams_of(by: str) -> list[str]:
    return TEAMS.get(by.removeprefix("person:"), [])


def recorded(rule: Approvals, sequence: list[Wish]) -> list[Object]:
    """What lies in the store after people have consented and changed their minds, in that order."""
    found: list[Object] = []
    for wish in sequence:
        if wish.withdraw:
            gone = ApprovalStatus(withdrawn_at=NOW)
            found = [replace(o, status=gone) if o.spec.by == wish.by else o for o in found]
            continue
        emails = [f"{wish.by.removeprefix('person:').upper()}@example.com"]
        refusal = refuse_consent(
            CHANGE, "prod", rule, by=wish.by, teams=teams_of(wish.by), emails=emails
        )
        if refusal is None:
            spec = ApprovalSpec(
                subject=Subject(change=wish.change, environment=wish.environment),
                by=wish.by,
                reason="seen",
                approved_at=wish.at,
                teams=tuple(teams_of(wish.by)),
            )
            name = f"approval-{len(found)}"
            found.append(
                Object(kind="Approval", name=name, uid=name, spec=spec, status=ApprovalStatus())
            )
    return found


def counted(rule: Approvals, sequence: list[Wish]) -> set[str]:
    """Whose consent should count: different people, not the makers, who are named and still consent."""
    given: set[str] = set()
    for wish in sequence:
        named = {wish.by, *(f"team:{team}" for team in teams_of(wish.by))} & {*rule.people}
        if wish.withdraw:
            given.discard(wish.by)
        elif (
            wish.by.startswith("person:")
            and wish.by not in OWN
            and (named or not rule.people)
            and (wish.change, wish.environment) == ("c", "prod")
            and wish.at >= NOW - AGE
        ):
            given.add(wish.by)
    return given


@given(rules, st.lists(wishes, max_size=12))
@example(Approvals(count=2), [Wish("person:bob"), Wish("person:bob")])
@example(Approvals(count=1), [Wish("person:ann"), Wish("person:cat"), Wish("person:sam")])
def test_a_gate_opens_with_so_many_different_people_who_did_not_make_the_change(
    rule: Approvals, sequence: list[Wish]
):
    said = EvidenceSpec(
        subject=ASKING, check="approval", verdict="Pass", source="run:x", observed_at=NOW
    )
    job = Object(kind="Evidence", name="e", uid="e", spec=said, status=None)
    claims = [*recorded(rule, sequence), job]
    gate = judge_gate(ASKING, ["approval"], claims, [], NOW, AGE, rule)
    given = counted(rule, sequence)
    assert gate.open == (len(given) >= rule.count)
    assert gate.open or f"{len(given)} of {rule.count} approval" in gate.explain()


@given(st.lists(wishes))
def test_where_nobody_is_named_one_person_is_enough_and_less_is_not(sequence: list[Wish]):
    claims = recorded(Approvals(), sequence)
    gate = judge_gate(ASKING, ["approval"], claims, [], NOW, AGE)
    assert gate.open == bool(counted(Approvals(), sequence))
