"""What the machine does to us heals, or waits and says why; what runs goes on answering."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from driver import Installation, installation, started, steps_of
from project import CANARIES, Project, Shape
from traffic import Traffic, until

from andon.adapters.agentclient.wire import AgentStatus
from andon.kernel.errors import Unavailable

GATED = "until test -e go; do test -e app; sleep 0.05; done"
"""A job that goes on until the test lets it, and fails when its work tree has gone."""


@contextmanager
def serving(folder: Path, later: Shape, *options: str) -> Iterator[tuple[Installation, Project]]:
    """Have "one" in prod; what is shipped next goes by the later rules."""
    project = Project(folder / "hello", Shape(service=later.service))
    first = project.good
    project.change_rules(later)
    with installation(folder / "state", *options) as andon:
        said = andon.ship(project, first)
        assert said.code == 0, said.text
        assert andon.ask() == "one"
        yield andon, project


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, Project]]:
    """Two replicas of "one"; whatever comes next comes by canary."""
    shape = Shape(environments=CANARIES, service={"replicas": 2})
    with serving(tmp_path_factory.mktemp("heals"), shape) as both:
        yield both


def mid_canary(andon: Installation, project: Project, text: str) -> str:
    """Ship a version as far as half of the traffic; without traffic it goes no further."""
    name = andon.begin(project, project.commit(text))
    until(lambda: (andon.run(name) or {}).get("weight") == 50, f"{text} has half of the traffic")
    return name


def promoted(andon: Installation, name: str, text: str) -> dict:
    """Wait until a Change is everywhere; its rollout."""
    change = andon.ended(name)
    assert change["phase"] == "Succeeded", change
    assert andon.ask() == text
    [rollout] = [run for run in change["runs"] if run["type"] == "rollout"]
    return rollout


def address(andon: Installation) -> str:
    return str(andon.service()["address"])


def test_canary_is_judged_and_promoted(canary: tuple[Installation, Project]) -> None:
    andon, project = canary
    with Traffic(address(andon)) as traffic:
        commit = project.commit("two")
        differs = andon.andon("diff", "prod", commit, "--json", cwd=project.path)
        assert [one["service"] for one in json.loads(differs.text)["forecasts"]] == ["hello"]
        said = andon.ship(project, commit)
        assert said.code == 0, said.text
    assert re.search(r"hello in prod(, at .* requests per second)?: .* (seen|unknown)", said.text)
    assert set(traffic.answers) == {"one", "two"}
    assert traffic.failures == []


def test_judged_rollout_is_decided_again_and_the_next_one_foreseen(
    canary: tuple[Installation, Project],
) -> None:
    andon, _ = canary
    run = andon.client.get("/runs", {"type": "rollout", "environment": "prod"})[0]
    said = andon.andon("judge", "replay", run["name"], "--json")
    assert said.code == 0, said.text
    told = json.loads(said.text)
    assert told["same"]
    assert told["judges"][0]["judge"] == "andon"
    seen = andon.client.get(f"/runs/{run['name']}/rounds")
    assert seen["rounds"][-1]["verdict"] == "Advance"
    assert seen["rounds"][-1]["canaryRequests"] > 0
    assert andon.client.get(f"/changes/{run['change']}/forecast")["rollouts"] == []
    load = ("--requests-per-second", "100", "--errors", "0.001")
    ahead = andon.andon("judge", "forecast", "hello", "-e", "prod", *load)
    assert ahead.code == 0, ahead.text
    assert "a 20 % rise of errors cannot be seen in this plan" in ahead.text


def test_killed_replica_is_started_again_behind_the_gateway(
    canary: tuple[Installation, Project],
) -> None:
    andon, _ = canary
    before = andon.replica_pids()
    log, victim = next(iter(before.items()))
    with Traffic(address(andon), clients=8, pause_seconds=0) as traffic:
        traffic.more(20)
        os.kill(victim, signal.SIGKILL)
        until(lambda: andon.replica_pids().get(log, victim) != victim, "another process")
        until(lambda: andon.service()["replicas"] == {"ready": 2, "wanted": 2}, "both ready")
        traffic.more(20)
    assert traffic.failures == [], "a request in flight is tried again with the other replica"
    kept = {one: pid for one, pid in andon.replica_pids().items() if one != log}
    assert kept == {one: pid for one, pid in before.items() if one != log}


def test_killed_agent_is_started_again_at_rest_and_adopts_everything(
    canary: tuple[Installation, Project],
) -> None:
    andon, _ = canary
    status = andon.agent_status()
    pids, gateway = andon.replica_pids(), status.gateway["pid"]
    with Traffic(address(andon)) as traffic:
        traffic.more(20)
        os.kill(status.pid, signal.SIGKILL)
        until(lambda: is_gone(status.pid), "the agent is dead")
        after = until(lambda: revived(andon), "somebody starts another")
        traffic.more(20)
    assert after.pid != status.pid
    assert andon.replica_pids() == pids
    assert after.gateway["pid"] == gateway
    assert traffic.failures == []


def test_killed_agent_in_mid_canary_goes_on_where_it_was(
    canary: tuple[Installation, Project],
) -> None:
    andon, project = canary
    name = mid_canary(andon, project, "three")
    before = started(andon.run(name) or {})
    pids, agent = andon.replica_pids(), andon.agent_status().pid
    with Traffic(address(andon)) as traffic:
        traffic.more(20)
        os.kill(agent, signal.SIGKILL)
        rollout = promoted(andon, name, "three")
    assert traffic.failures == []
    assert before.items() <= started(rollout).items()
    assert andon.agent_status().pid != agent
    assert andon.replica_pids().items() <= pids.items()


def test_killed_gateway_comes_back_with_its_weights(canary: tuple[Installation, Project]) -> None:
    andon, project = canary
    name = mid_canary(andon, project, "four")
    gateway = andon.agent_status().gateway
    [weights] = [one["weights"] for one in gateway["services"]]
    assert sorted(weights.values()) == [50, 50]
    os.killpg(gateway["pid"], signal.SIGKILL)

    def healed() -> bool:
        now = andon.agent_status().gateway
        return now["pid"] not in {None, gateway["pid"]} and not now["message"]

    until(healed, "HAProxy runs again")
    [again] = [one["weights"] for one in andon.agent_status().gateway["services"]]
    assert again == weights
    with Traffic(address(andon)) as traffic:
        promoted(andon, name, "four")
    assert set(traffic.answers) == {"three", "four"}
    assert traffic.failures == []


@pytest.mark.parametrize("victim", ["master", "worker"])
def test_half_of_a_killed_gateway_does_not_stay_alone(
    canary: tuple[Installation, Project], victim: str
) -> None:
    andon, _ = canary
    master = andon.agent_status().gateway["pid"]
    [*_, worker] = children(master)  # The newest: an older one may still be on its way out.
    with Traffic(address(andon)) as traffic:
        traffic.more(20)
        os.kill(master if victim == "master" else worker, signal.SIGKILL)

        def healed() -> bool:
            now = andon.agent_status().gateway
            return now["pid"] not in {None, master} and not now["message"]

        until(healed, "HAProxy runs again")
        traffic.more(20)
        until(lambda: is_gone(worker), "no old worker is left")


def revived(andon: Installation) -> AgentStatus | None:
    """Return what the agent says of itself, once there is one again."""
    try:
        return andon.agent_status()
    except Unavailable:
        return None


def children(pid: int) -> list[int]:
    """Processes that one has started."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_killed_control_plane_in_mid_canary_takes_each_step_once(
    canary: tuple[Installation, Project],
) -> None:
    andon, project = canary
    name = mid_canary(andon, project, "five")
    before = started(andon.run(name) or {})
    andon.kill()
    with Traffic(address_of_agent(andon)) as traffic:
        traffic.more(50)
        andon.start()
        rollout = promoted(andon, name, "five")
    assert traffic.failures == []
    assert before.items() <= started(rollout).items()
    assert {step["attempt"] for step in rollout["steps"] if step["name"] in before} == {0}
    assert andon.client.get("/ledger/verify")["ok"]


def test_killed_control_plane_in_mid_build_lets_the_job_end_once(
    canary: tuple[Installation, Project],
) -> None:
    andon, project = canary
    jobs = {"unit": {"run": f"echo began; {GATED}"}}
    name = andon.begin(project, project.aside("six", replace(project.shape, jobs=jobs)))
    build = andon.running(name, "unit", "build")
    [tree] = until(lambda: andon.job_trees("unit"), "the job runs")
    andon.kill()
    (tree / "go").touch()
    until(lambda: not andon.agent_status().jobs, "the job ends by itself")
    andon.start()
    with Traffic(address(andon)):
        promoted(andon, name, "six")
    after = andon.client.get(f"/runs/{build['name']}")
    assert steps_of(after) == {"unit": "passed", "pack-hello": "passed"}
    assert started(after)["unit"] == build["steps"][0]["startedAt"]
    assert andon.andon("logs", build["name"], "unit").text == "began\n"


def test_deleted_work_tree_is_the_machines_fault_and_tried_again(
    canary: tuple[Installation, Project],
) -> None:
    andon, project = canary
    shape = replace(project.shape, jobs={"unit": {"run": f"test -e app; {GATED}"}})
    name = andon.begin(project, project.aside("seven", shape))
    andon.running(name, "unit", "build")
    [tree] = until(lambda: andon.job_trees("unit"), "the job runs")
    shutil.rmtree(tree)
    told = andon.said(name, "work tree deleted")
    assert "trying again" in told
    [fresh] = until(lambda: andon.job_trees("unit"), "the job runs again")
    assert fresh != tree
    (fresh / "go").touch()
    with Traffic(address(andon)):
        promoted(andon, name, "seven")
    assert andon.client.get("/status")["holds"] == []


def is_gone(pid: int) -> bool:
    try:
        return not Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


def address_of_agent(andon: Installation) -> str:
    """The address, while no control plane answers."""
    [one] = andon.agent_status().gateway["services"]
    return str(one["address"])
