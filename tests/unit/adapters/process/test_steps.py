from pathlib import Path

import pytest

from andon.adapters.process import beside, script
from andon.adapters.process.steps import read_note, read_steps
from andon.api.v1.actions import StepDone
from andon.api.v1.jobs import BesidePlan, JobPlan, SecretRef, StepPlan
from andon.kernel.errors import StepFailed

NAMES = ("a", "b", "c")


def states(tmp_path: Path, notes: str, state) -> list[str]:
    file = tmp_path / "steps"
    file.write_text(notes)
    return [step.state for step in read_steps(file, NAMES, state)]


def test_steps_of_a_pass_have_passed_whatever_is_noted(tmp_path):
    assert states(tmp_path, "1\n1 7 3\n", "passed") == ["passed"] * 3


def test_step_under_way_ended_as_the_job_did(tmp_path):
    notes = "1\n1 0 150\n2\n"
    assert states(tmp_path, notes, "cancelled") == ["passed", "cancelled", "not-run"]
    [first, *_] = read_steps(tmp_path / "steps", NAMES, "cancelled")
    assert first == StepDone(name="a", state="passed", seconds=1.5, exit_code=0)


@pytest.mark.parametrize("notes", ["", "nonsense\n\0\xff", "9 9 9\n" * 1000, "1 0\n2 x 3\n"])
def test_notes_that_mean_nothing_say_nothing(tmp_path, notes):
    assert states(tmp_path, notes, "failed") == ["not-run"] * 3


def test_note_is_never_read_through_a_link(tmp_path):
    (tmp_path / "key").write_text("hunter22")
    (tmp_path / "said").symlink_to(tmp_path / "key")
    assert read_note(tmp_path / "said") == ""


def test_names_and_values_are_quoted():
    steps = (StepPlan(name="it's\n$(x)", run="true", env={"A": "'; exit 3; '"}),)
    text = script.text(JobPlan(name="unit", steps=steps), {}, own_logs=True)
    assert "'it'\"'\"'s $(x)'" in text


@pytest.mark.parametrize("env", [{"A=B": "x"}, {"A;true": "x"}, {"": "x"}])
def test_variable_that_is_none_is_refused(env):
    job = JobPlan(name="unit", steps=(StepPlan(name="a", run="true", env=env),))
    with pytest.raises(StepFailed, match="environment variable"):
        script.text(job, {}, own_logs=True)


@pytest.mark.parametrize("text", ["x" * 200_000, "a\0b"])
def test_text_that_no_shell_takes_is_the_changes_failure(text):
    with pytest.raises(StepFailed, match="shell text"):
        script.text(JobPlan(name="unit", run=text), {}, own_logs=True)


def test_services_do_not_know_the_jobs_secrets():
    job = JobPlan(
        name="unit",
        run="true",
        services=(BesidePlan(name="db", run="serve"),),
        secrets={"TOKEN": SecretRef(name="npm", environment="pipelines")},
    )
    assert "unset TOKEN" in script.text(job, {"db": 20001}, own_logs=False)


@pytest.mark.parametrize(
    "service", [BesidePlan(name="db", image="postgres@sha256:1"), BesidePlan(name="../x", run="x")]
)
def test_service_that_cannot_be_beside_a_process_is_refused(service):
    with pytest.raises(StepFailed):
        beside.choose_ports([service], "k", (), own_network=True)


def test_services_of_jobs_that_share_a_network_have_ports_of_their_own():
    services = [BesidePlan(name="db", run="x"), BesidePlan(name="web", run="x")]
    first = beside.choose_ports(services, "k", (), own_network=False)
    again = beside.choose_ports(services, "k", first.values(), own_network=False)
    assert len({*first.values(), *again.values()}) == 4
    assert beside.told({"my-db": 5}) == {"MY_DB_HOST": "127.0.0.1", "MY_DB_PORT": "5"}


@pytest.mark.parametrize(("code", "is_said"), [("0", False), ("143", False), ("1", True)])
def test_service_that_failed_is_said(tmp_path, code, is_said):
    (tmp_path / "db.exit").write_text(f"{code}\n")
    assert bool(beside.died(tmp_path, ["db", "web"])) is is_said
