"""Events of others: what is refused, what is kept, and what becomes Evidence that gates see."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from andon.api.v1.control import Selector
from andon.app.events.intake import MOST_EVENTS, Intake, ledger_id
from andon.app.why import gate_of
from andon.domains.line.events import purl
from andon.kernel.errors import InvalidDocument, UsageError
from andon.testing.cdevents import check_event
from andon.testing.scenario import Scenario

FOLDER = Path(__file__).parents[3] / "scenario"
SOURCE = "/ci/acceptance"


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[Scenario]:
    opened = Scenario(
        {"play": [{"ship": "v1"}, {"wait": "until change v1 is over"}]}, FOLDER, tmp_path / "a.db"
    )
    assert not opened.play()
    yield opened
    opened.close()


@pytest.fixture
def take(scenario: Scenario) -> Callable[..., Any]:
    intake = Intake(scenario.line.store, scenario.line.turns, scenario.line.clock)
    return lambda *events: scenario.line._runner.run(intake.take(events))["events"]


def finished(id: str = "1", *, outcome: str = "success", **context: Any) -> dict[str, Any]:
    about = {
        "specversion": "0.5.1",
        "id": id,
        "source": SOURCE,
        "type": "dev.cdevents.testsuiterun.finished.0.3.0",
        "timestamp": "2020-01-01T00:00:00Z",
        **context,
    }
    content = {
        "outcome": outcome,
        "environment": {"id": "dev"},
        "testSuite": {"id": "acceptance"},
        "reason": "why",
    }
    return wrapped({"context": about, "subject": {"id": "run-7", "content": content}})


def wrapped(cdevent: dict[str, Any]) -> dict[str, Any]:
    attributes = {name: cdevent["context"][name] for name in ("id", "source", "type")}
    return {
        "specversion": "1.0",
        **attributes,
        "datacontenttype": "application/json",
        "data": cdevent,
    }


def change_of(scenario: Scenario) -> Any:
    return read(scenario, lambda tx: tx.list(Selector(kind="Change")))[0]


def read(scenario: Scenario, fn: Callable[[Any], Any]) -> Any:
    return scenario.line._runner.run(scenario.line.store.read(fn))


def test_verdict_of_others_is_evidence_that_a_gate_may_ask_for(
    scenario: Scenario, take: Callable[..., Any]
):
    change = change_of(scenario)
    (answer,) = take(finished(chainId=change.name))
    assert answer["created"]
    assert answer["change"] == change.name
    assert answer["checks"] == ["reported/acceptance"]
    runs = read(scenario, lambda tx: tx.list(Selector(kind="Run", labels={"type": "rollout"})))
    (name,) = answer["evidence"]
    evidence = read(scenario, lambda tx: tx.get("Evidence", name))
    assert (evidence.spec.verdict, evidence.spec.source) == ("Pass", f"event:{SOURCE}")
    assert evidence.spec.subject.digest == runs[0].spec.rollout.version.digest
    assert evidence.spec.value["event"] == ledger_id(SOURCE, "1")
    assert read(scenario, lambda tx: gate_of(tx, runs[0], evidence.spec.observed_at)) is not None


def test_no_event_passes_for_a_check_of_our_own(scenario: Scenario, take: Callable[..., Any]):
    document = finished(chainId=change_of(scenario).name)
    for suite in ("approval", "deployed/dev", "tests"):
        document["data"]["subject"]["content"]["testSuite"]["id"] = suite
        document["id"] = document["data"]["context"]["id"] = suite
        (answer,) = take(document)
        assert answer["checks"] == [f"reported/{suite}"]


def test_moment_in_the_future_is_not_believed(scenario: Scenario, take: Callable[..., Any]):
    (answer,) = take(finished(chainId=change_of(scenario).name, timestamp="2999-01-01T00:00:00Z"))
    evidence = read(scenario, lambda tx: tx.get("Evidence", answer["evidence"][0]))
    assert evidence.spec.observed_at == scenario.line.clock.now()


def test_change_is_found_by_link_by_digest_and_by_sha(scenario: Scenario, take: Callable[..., Any]):
    change = change_of(scenario)
    (artifact, *_) = read(scenario, lambda tx: tx.list(Selector(kind="Artifact")))
    link = {"linkType": "PATH", "from": {"contextId": f"change/{change.name}/merged"}}
    by_link = finished("link", links=[link])
    second = {"linkType": "RELATION", "linkKind": "X", "target": {"contextId": "link"}}
    by_their_own = finished("second", links=[second])
    signed = finished("signed", type="dev.cdevents.artifact.signed.0.3.0")
    signed["data"]["subject"] = {
        "id": purl("shop", artifact.spec.digest),
        "content": {"signature": "x"},
    }
    by_sha = finished("sha", chainId=change.spec.sha)
    answers = take(by_link, by_their_own, signed, by_sha)
    assert [one["change"] for one in answers] == [change.name] * 4
    assert answers[2]["checks"] == ["reported/signed"]
    _, effects = read(scenario, lambda tx: tx.linked(f"change/{change.name}/merged"))
    assert ledger_id(SOURCE, "link") in effects


def test_same_event_twice_is_kept_once_and_says_what_it_said_first(
    scenario: Scenario, take: Callable[..., Any]
):
    name = change_of(scenario).name
    (first,) = take(finished(outcome="failure", chainId=name))
    (second,) = take(finished(outcome="success", chainId=name))
    assert (first["created"], second["created"]) == (True, False)
    assert first["evidence"] == second["evidence"]
    evidence = read(scenario, lambda tx: tx.get("Evidence", first["evidence"][0]))
    assert (evidence.spec.verdict, evidence.spec.message) == ("Fail", "why")


def test_what_is_not_understood_is_kept_and_said(
    scenario: Scenario, take: Callable[..., Any], conformance_data: Path
):
    folder = conformance_data / "cdevents-0.5.1" / "conformance"
    seen = []
    for path in sorted(folder.glob("*.json")):
        event = json.loads(path.read_text())
        event["context"]["id"] = path.stem
        (answer,) = take(wrapped(event))
        assert answer["created"]
        assert answer["evidence"] == []
        assert answer["notes"], path
        seen.append(read(scenario, lambda tx, id=answer["event"]: tx.event(id)))
    for row in seen:
        envelope = json.loads(row.body)
        check_event(conformance_data, envelope)
        assert envelope["data"]["customData"]["event"]["data"]["subject"]
        assert row.stream == f"in/{envelope['data']['customData']['event']['source']}"


def test_older_words_are_understood_and_kept_as_they_came(
    scenario: Scenario, take: Callable[..., Any]
):
    document = finished(chainId=change_of(scenario).name, outcome="pass")
    context = document["data"]["context"]
    context["version"] = "0.4.1"
    del context["specversion"]
    context["type"] = document["type"] = "dev.cdevents.testsuiterun.finished.0.2.0"
    document["data"]["subject"]["type"] = "testSuiteRun"
    (answer,) = take(document)
    row = read(scenario, lambda tx: tx.event(answer["event"]))
    assert json.loads(row.body)["data"]["customData"]["event"] == document
    assert (
        read(scenario, lambda tx: tx.get("Evidence", answer["evidence"][0])).spec.verdict == "Pass"
    )


def test_one_wrong_event_keeps_all_out_and_every_problem_is_told(
    scenario: Scenario, take: Callable[..., Any]
):
    wrong = finished("2", outcome="fine")
    wrong["source"] = "/other"
    del wrong["data"]["subject"]["id"]
    before = read(scenario, lambda tx: tx.last_seq())
    with pytest.raises(InvalidDocument) as refused:
        take(finished("1"), wrong)
    assert refused.value.message.splitlines()[1:] == [
        "event 1: source: differs from data.context.source",
        "event 1: data.subject.id: is missing",
        "event 1: data.subject.content.outcome: must be one of success, failure, cancel, error",
    ]
    assert read(scenario, lambda tx: tx.last_seq()) == before


def test_too_much_is_refused(take: Callable[..., Any]):
    deep: dict[str, Any] = {}
    for _ in range(50):
        deep = {"a": deep}
    with pytest.raises(InvalidDocument, match="nested deeper"):
        take({**finished(), "data": deep})
    with pytest.raises(InvalidDocument, match="1 to 512"):
        take(finished("x" * 600))
    with pytest.raises(UsageError, match="at once"):
        take(*[finished(str(number)) for number in range(MOST_EVENTS + 1)])
    with pytest.raises(UsageError, match="at once"):
        take()
