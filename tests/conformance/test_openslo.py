"""OpenSLO's own examples and test data: accepted or rejected as their owner does, exceptions by reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from andon.api.openslo.translate import translate
from andon.api.openslo.write import write_openslo
from andon.api.parse import Parsed, read_documents

SDK = "openslo-go-sdk/pkg"
DATA = f"{SDK}/openslosdk/test_data"
OSLO = "openslo-oslo/test"
GOLDEN = Path(__file__).parent / "golden" / "openslo_alerts.json"

REJECTED: dict[str, tuple[str, ...]] = {
    # The specification's example has `op` beside a ratio, which the SDK forbids.
    f"{SDK}/openslo/v1/examples/slos.yaml": ("[0].spec.objectives[0].op",),
    # Of these the SDK only decodes and encodes: none has the `timeWindow` that it asks for.
    f"{DATA}/decode/v1_slos.yaml": ("[0].spec.timeWindow",),
    f"{DATA}/encode/v1_slo.yaml": ("[0].spec.timeWindow",),
    f"{DATA}/encode/v1_slo.json": ("[0].spec.timeWindow",),
    # oslo's expected output; the time zone that it complains of, too, only its container does not know.
    f"{OSLO}/inputs/validate/v1.yaml": ("[0].spec.objectives[0].op", "[2].metadata.name"),
    f"{OSLO}/inputs/validate/mix/2.yaml": ("[0].metadata.name",),
    f"{OSLO}/inputs/validate/recursive/1.yaml": ("[0].metadata.name",),
    f"{OSLO}/inputs/validate/unknown-field.yaml": ("spec.markdown",),
}
"""Fields that strict mode refuses."""
OTHER_VERSIONS = {
    f"{DATA}/decode/v2alpha_data_source.yaml",
    f"{DATA}/decode/v2alpha_slos.yaml",
    f"{OSLO}/inputs/validate/invalid-apiversion.yaml",
    f"{OSLO}/inputs/validate/mix/1.yaml",
    f"{OSLO}/inputs/validate/mix/3.yaml",
    f"{OSLO}/inputs/validate/recursive/nested/2.yaml",
    f"{OSLO}/inputs/validate/recursive/nested/nested2/nested3/3.yaml",
    f"{OSLO}/inputs/validate/v1alpha.yaml",
    f"{OSLO}/inputs/validate/v2alpha.yaml",
}
"""Valid or not, they are not OpenSLO v1."""
UNDERSTOOD_WITH_WARNINGS = set(REJECTED) - {f"{OSLO}/inputs/validate/unknown-field.yaml"}
DANGLING = {
    f"{DATA}/inline/inputs/v1_alert_policies_invalid_condition.yaml": "cpu-usage-breach",
    f"{DATA}/inline/inputs/v1_alert_policies_invalid_target.yaml": "devs-email-notification",
    f"{DATA}/inline/inputs/v1_slo_invalid_policy.yaml": "no-policy",
    f"{DATA}/inline/inputs/v1_slo_invalid_sli.yaml": "no-sli",
    f"{DATA}/inline/inputs/v1_slo_invalid_target.yaml": "devs-email-notification",
}
"""What the SDK cannot put in place, as it is not there."""


def read(folder: Path, name: str) -> Parsed:
    return read_documents((folder / name).read_bytes(), name)


def files(folder: Path) -> list[str]:
    found = [*folder.glob("openslo-*/**/*.yaml"), *folder.glob("openslo-*/**/*.json")]
    return sorted(str(file.relative_to(folder)) for file in found)


def test_every_file_is_accepted_or_rejected_as_its_owner_does(conformance_data: Path):
    told = {}
    for name in files(conformance_data):
        parsed = read(conformance_data, name)
        told[name] = tuple(one.field for one in (*parsed.problems, *parsed.warnings))
    assert {name for name, found in told.items() if found} == {*REJECTED, *OTHER_VERSIONS}
    assert {name: told[name] for name in REJECTED} == REJECTED
    assert len(told) > 35


@pytest.mark.parametrize("name", sorted(OTHER_VERSIONS))
def test_another_version_is_refused_by_name(name: str, conformance_data: Path):
    problems = read(conformance_data, name).problems
    assert problems
    assert any(problem.field.endswith("apiVersion") for problem in problems)


@pytest.mark.parametrize("name", sorted(UNDERSTOOD_WITH_WARNINGS))
def test_in_warning_mode_what_can_be_understood_is(name: str, conformance_data: Path):
    parsed = read(conformance_data, name)
    assert not parsed.problems
    assert parsed.openslo
    assert all(problem.line for problem in parsed.warnings)


@pytest.mark.parametrize("name", sorted(DANGLING))
def test_what_is_referred_to_and_not_there_is_told(name: str, conformance_data: Path):
    told = translate(read(conformance_data, name).openslo)
    messages = [one.message for one in (*told.problems, *told.warnings)]
    assert any(f"`{DANGLING[name]}`" in message for message in messages)


@pytest.mark.parametrize("kind", ["custom_config", "v1_slo"])
def test_references_written_out_or_not_mean_the_same(kind: str, conformance_data: Path):
    inline = translate(read(conformance_data, f"{DATA}/export/inputs/{kind}.yaml").openslo)
    assert not inline.problems
    exported = read(conformance_data, f"{DATA}/export/outputs/{kind}.yaml")
    apart = translate(exported.openslo)
    assert [one.spec for one in inline.definitions] == [one.spec for one in apart.definitions]


def alert_files(folder: Path) -> list[str]:
    return [name for name in files(folder) if b"kind: Alert" in (folder / name).read_bytes()]


def understood(folder: Path, name: str) -> dict[str, Any]:
    """Return what becomes of the alert policies of a file, and what is said of the rest."""
    told = translate(read(folder, name).openslo)
    return {
        "alerts": {
            one.metadata.name: msgspec.json.decode(msgspec.json.encode(one.spec.alerts))
            for one in told.definitions
        },
        "problems": [f"{one.field}: {one.message}" for one in told.problems],
        "warnings": [f"{one.field}: {one.message}" for one in told.warnings],
        "notes": [f"{one.field}: {one.message}" for one in told.notes],
    }


def test_alert_policies_of_the_examples_are_understood_as_written_down(conformance_data: Path):
    golden = json.loads(GOLDEN.read_text())
    found = {name: understood(conformance_data, name) for name in alert_files(conformance_data)}
    assert found == golden
    assert len(found) > 10


def test_what_was_understood_is_written_and_read_again(conformance_data: Path):
    for name in alert_files(conformance_data):
        for one in translate(read(conformance_data, name).openslo).definitions:
            written = write_openslo({one.metadata.name: one.spec})
            again = read_documents(written.text.encode(), name)
            assert again.problems == again.warnings == ()
            told = translate(again.openslo)
            assert [each.spec.alerts for each in told.definitions] == [one.spec.alerts]
            assert not told.notes


def test_the_same_in_json_and_in_yaml(conformance_data: Path):
    one = read(conformance_data, f"{DATA}/encode/v1_slo.json").openslo
    other = read(conformance_data, f"{DATA}/encode/v1_slo.yaml").openslo
    assert [(d.kind, d.metadata, d.spec) for d in one] == [
        (d.kind, d.metadata, d.spec) for d in other
    ]


def test_a_repository_takes_openslo_documents_as_they_are(conformance_data: Path):
    name = f"{DATA}/export/inputs/v1_slo.yaml"
    (definition,) = translate(read(conformance_data, name).openslo).definitions
    assert definition.kind == "Objective"
    assert definition.spec.budgeting == "Timeslices"
