"""A change that fails stops where it failed and says why; what ran before goes on answering."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from driver import Installation, Json, installation, steps_of
from project import SERVER, UNIT, Project, Shape

STEP_FAILED = 8


class Line:
    """A running installation with version "one" in prod."""

    def __init__(self, andon: Installation, project: Project) -> None:
        self.andon = andon
        self.project = project

    def stopped(self, sha: str) -> tuple[str, list[Json]]:
        """Ship what cannot pass; what people are told, and the Runs of it.

        "one" answers all the same, from the same processes.
        """
        pids = self.andon.replica_pids()
        shipped = self.andon.ship(self.project, sha)
        assert shipped.code == STEP_FAILED, shipped.text
        assert self.andon.ask() == "one"
        assert self.andon.replica_pids() == pids
        why = self.andon.andon("why", sha[:12])
        assert why.code == 0
        change = self.andon.change(sha[:12])
        [line] = [
            one for one in self.andon.andon("status").text.splitlines() if change["name"] in one
        ]
        assert change["phase"] in line
        assert change["statusMessage"].partition("\n")[0] in line
        return shipped.text + why.text, self.andon.change(sha[:12])["runs"]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    folder = tmp_path_factory.mktemp("stops")
    project = Project(folder / "hello")
    with installation(folder / "state") as andon:
        said = andon.ship(project)
        assert said.code == 0, said.text
        assert andon.ask() == "one"
        yield Line(andon, project)


def jobs(**commands: str) -> Shape:
    return Shape(jobs={name: {"run": run} for name, run in commands.items()})


def test_failing_unit_test_stops_at_the_test_and_shows_it(line: Line) -> None:
    told, [build] = line.stopped(line.project.aside(""))
    assert "unit: exit code 1" in told
    assert "FAILED (failures=1)" in line.andon.andon("logs", build["name"], "unit").text
    assert steps_of(build) == {"unit": "failed", "pack-hello": "not-run"}


def test_build_error_stops_before_anything_is_packed(line: Line) -> None:
    shape = jobs(unit=UNIT, build="echo 'cannot compile: line 3' >&2; exit 4")
    told, [build] = line.stopped(line.project.aside("build", shape))
    assert "build: exit code 4" in told
    assert "cannot compile: line 3" in told
    assert steps_of(build) == {"unit": "passed", "build": "failed", "pack-hello": "not-run"}


def test_missing_command_is_named(line: Line) -> None:
    told, [build] = line.stopped(line.project.aside("tool", jobs(unit="frobnicate --all")))
    assert "unit: command not found: frobnicate" in told
    assert steps_of(build) == {"unit": "failed", "pack-hello": "not-run"}


def test_missing_artifact_folder_is_named(line: Line) -> None:
    shape = Shape(service={"artifact": {"job": "unit", "path": "dist/hello"}})
    told, [build] = line.stopped(line.project.aside("dist", shape))
    assert "dist/hello" in told
    assert steps_of(build) == {"unit": "passed", "pack-hello": "failed"}


@pytest.mark.parametrize(
    ("text", "files", "service", "reason"),
    [
        (
            "sick",
            {"app/server.py": SERVER.replace("do_GET", "do_not_GET")},
            {"health": {"path": "/", "intervalSeconds": 0.1, "readyWithinSeconds": 4}},
            "not ready within 4 s; GET /: HTTP 501",
        ),
        (
            "crash",
            {"app/server.py": "raise SystemExit('there is no database')\n"},
            {},
            "exited with code 1",
        ),
        ("program", {}, {"command": ["frobnicated", "--serve"]}, "command not found: frobnicated"),
    ],
)
def test_service_that_cannot_serve_is_latched_and_never_takes_traffic(
    line: Line, text: str, files: dict[str, str], service: Json, reason: str
) -> None:
    sha = line.project.aside(text, Shape(service=service), files)
    told, [build, rollout] = line.stopped(sha)
    assert build["phase"] == "Succeeded"
    assert reason in told
    assert steps_of(rollout)["deploy"] == "failed"
    assert steps_of(rollout)["switch"] in {"not-run", "cancelled"}
    assert rollout["weight"] == 0
    assert "held by latch" in told
    assert "andon unlatch prod hello" in told
    assert reason in line.andon.andon("status").text
    assert len(line.andon.agent_status().replicas) == 1


def test_latched_version_is_held_when_shipped_again(line: Line) -> None:
    sha = line.project.aside("twice", files={"app/server.py": "raise SystemExit('still none')\n"})
    line.stopped(sha)
    again = line.andon.ship(line.project, sha)
    assert again.code == 10, again.text
    assert "andon unlatch prod hello" in again.text
    assert line.andon.ask() == "one"


def test_all_problems_of_the_documents_come_in_one_answer(line: Line) -> None:
    shape = Shape(service={"comand": ["x"], "replicas": 0}, jobs={"unit": {"run": ""}})
    shipped = line.andon.ship(line.project, line.project.aside("wrong", shape))
    assert shipped.code == 3, shipped.text
    for field in ("comand", "replicas", "run"):
        assert field in shipped.text
    assert "andon.yaml:" in shipped.text
    broken = line.project.aside("broken", files={"andon.yaml": "kind: [Service\n"})
    assert line.andon.ship(line.project, broken).code == 3
    assert line.andon.ask() == "one"


def test_unknown_ref_and_repository_are_not_found(line: Line) -> None:
    ref = line.andon.ship(line.project, "mian")
    assert (ref.code, "mian" in ref.text, "nearest: main" in ref.text) == (4, True, True)
    nowhere = line.andon.andon("ship", "--repository", str(line.project.path / "nowhere"))
    assert nowhere.code == 4, nowhere.text
    assert "nowhere" in nowhere.text


def test_repository_out_of_reach_is_unavailable(line: Line) -> None:
    far = line.andon.andon("ship", "main", "--repository", "https://127.0.0.1:1/hello.git")
    assert far.code == 7, far.text
    assert "127.0.0.1:1/hello.git" in far.text
    assert line.andon.ask() == "one"


def test_a_fix_goes_forward_after_all_of_that(line: Line) -> None:
    sha = line.project.commit("fixed")
    shipped = line.andon.ship(line.project, sha)
    assert shipped.code == 0, shipped.text
    assert line.andon.ask() == "fixed"
