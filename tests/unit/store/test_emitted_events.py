"""Every event that the line and the response write is valid by the standards' own schemas."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import fastjsonschema
import pytest

from andon.api.v1.control import Event, View
from andon.api.v1.incidents import IncidentSpec, IncidentStatus
from andon.api.v1.pipelines import PipelineSpec
from andon.api.v1.records import ChangeSpec, Object, RunSpec, RunStatus, Version
from andon.domains.line import events
from andon.domains.response.controller import IncidentController
from andon.store.ledger import cloud_event
from andon.testing.cdevents import check_event, validator

NOW = 1_700_000_000.5
VERSION = Version(digest="sha256:" + "1" * 64, config_hash="aaaaaaaaaaaa", change="c1")
STREAM, RUN, CHANGE = "env/prod", "rollout-prod-shop-c1", "c1"


def change_spec() -> ChangeSpec:
    return ChangeSpec(
        repository="https://example.com/shop.git",
        sha="a" * 40,
        ref="refs/heads/main",
        author="Ann <ann@example.com>",
        message="fix: ü\n\nmore",
        committed_at=NOW,
        policy_revision="b" * 40,
        pipeline_name="shop",
        pipeline=PipelineSpec(jobs={}),
        services={},
        environments={},
    )


def resolved() -> Event:
    """The event of an Incident whose Run was rolled back and followed by a good one."""
    spec = IncidentSpec(
        title="shop fails",
        service="shop",
        environment="prod",
        change=CHANGE,
        run=RUN,
        digest=VERSION.digest,
        config_hash=VERSION.config_hash,
        detected_at=NOW,
    )
    incident = Object(kind="Incident", name="i1", uid="u1", spec=spec, status=IncidentStatus())
    later = Object(
        kind="Run",
        name="r2",
        uid="u2",
        spec=RunSpec(type="rollout", change="c2"),
        status=RunStatus(
            phase="Succeeded", reason="Promoted", started_at=NOW + 1, finished_at=NOW + 2
        ),
    )
    view = View(object=incident, related={"recent": (later,)})
    (event,) = IncidentController().reconcile(view, NOW + 3).events
    return event


def service(predicate: str) -> Callable[[], Event]:
    return lambda: events.service_event(
        predicate,
        run=RUN,
        environment="prod",
        service="shop",
        version=VERSION,
        change=CHANGE,
        cause=f"run/{RUN}/started",
        weight=100.0,
    )


EMITTED: dict[str, Callable[[], Event]] = {
    "letter_handled": lambda: events.letter_handled(
        "Run/a", "retried", by="person:ann", at=NOW, reason="the disk is free again"
    ),
    "change_merged": lambda: events.change_merged(CHANGE, change_spec()),
    "change_finished": lambda: events.change_finished(
        CHANGE, change_spec(), "Failed", "build: unit failed"
    ),
    "run_event": lambda: events.run_event(
        RUN, "queued", STREAM, CHANGE, content={"pipelineName": "rollout"}
    ),
    "run_started": lambda: events.run_started(RUN, STREAM, CHANGE, events.merged_id(CHANGE)),
    "run_started without a cause": lambda: events.run_started(RUN, STREAM, CHANGE, ""),
    **{
        f"run_finished {outcome}": lambda outcome=outcome: events.run_finished(
            RUN, STREAM, CHANGE, outcome, "" if outcome == "success" else "because"
        )
        for outcome in ("success", "failure", "cancel", "error")
    },
    **{
        f"task_finished {outcome}": lambda outcome=outcome: events.task_finished(
            RUN, "unit", 0, STREAM, CHANGE, outcome, "" if outcome == "success" else "exit 1"
        )
        for outcome in ("success", "failure", "cancel", "error")
    },
    "artifact_packaged": lambda: events.artifact_packaged(
        CHANGE, "shop", VERSION.digest, "https://example.com/shop.git", RUN
    ),
    "artifact_packaged from a folder": lambda: events.artifact_packaged(
        CHANGE, "shop", VERSION.digest, "/srv/my repositories/shop", RUN
    ),
    "service_event deployed": service("deployed"),
    "service_event upgraded": service("upgraded"),
    "service_event rolledback": service("rolledback"),
    "incident_detected": lambda: events.incident_detected(
        "i1",
        environment="prod",
        service="shop",
        version=VERSION,
        change=CHANGE,
        title="shop fails",
        cause=f"run/{RUN}/started",
    ),
    "incident resolved": resolved,
    "extension": lambda: events.extension(
        "hold", "pulled", id="h", stream=STREAM, about="h1", content={"source": "judge"}
    ),
}


@pytest.mark.parametrize("name", EMITTED)
def test_event_is_a_valid_cdevent_in_a_valid_cloudevent(conformance_data: Path, name: str) -> None:
    envelope = cloud_event(EMITTED[name](), "/andon/line", NOW)
    check_event(conformance_data, envelope)


def test_the_schemas_do_refuse(conformance_data: Path) -> None:
    envelope = cloud_event(EMITTED["service_event deployed"](), "/andon/line", NOW)
    check = validator(conformance_data / "cdevents-0.5.1", envelope["type"])
    del envelope["data"]["subject"]["content"]["artifactId"]
    with pytest.raises(fastjsonschema.JsonSchemaValueException, match="artifactId"):
        check(envelope["data"])
    again = cloud_event(EMITTED["run_started"](), "/andon/line", NOW)
    again["data"]["context"]["links"][0]["linkType"] = "WRONG"
    with pytest.raises(fastjsonschema.JsonSchemaValueException, match="links"):
        validator(conformance_data / "cdevents-0.5.1", again["type"])(again["data"])


def test_every_builder_of_events_is_tried() -> None:
    builders = {
        name
        for name, function in inspect.getmembers(events, inspect.isfunction)
        if function.__module__ == events.__name__
        and inspect.signature(function).return_annotation == "Event"
    }
    assert builders <= {name.split()[0] for name in EMITTED}
