"""Ports, disks and restarts: the machine's trouble is said, and goes away with its cause."""

from __future__ import annotations

import socket
from pathlib import Path

from driver import Installation, installation, processes_of
from project import CANARIES, ROLLING, UNIT, Project, Shape
from traffic import Traffic, request, until

from andon.testing.disks import fill, small_disk


def test_taken_port_is_named_and_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        project = Project(tmp_path / "hello")
        first = project.good
        project.change_rules(Shape(route={"listen": {"prod": port}}))
        with installation(tmp_path / "state") as andon:
            assert andon.ship(project, first).code == 0
            before = andon.service()["address"]
            name = andon.begin(project, project.commit("two"))
            told = andon.said(name, f"Port {port} of 127.0.0.1 cannot be used")
            assert "another program listens there" in told
            assert request(before) == (200, "one")
            other.close()
            assert andon.ended(name)["phase"] == "Succeeded"
            assert request(f"http://127.0.0.1:{port}") == (200, "two")
            assert andon.client.get("/status")["holds"] == []


def test_port_taken_while_all_was_down_is_named_and_waited_for(tmp_path: Path) -> None:
    project = Project(tmp_path / "hello")
    with installation(tmp_path / "state") as andon:
        assert andon.ship(project).code == 0
        address = andon.service()["address"]
        assert andon.down().code == 0
        port = int(address.rpartition(":")[2])
        with socket.create_server(("127.0.0.1", port)):
            andon.start()
            until(lambda: f"Port {port}" in andon.andon("status").text, "status names the port")
            assert not andon.client.get("/health")["ok"]
        until(lambda: request(address) == (200, "one"), "one is back")
        until(lambda: andon.client.get("/health")["ok"], "all is well")
        until(lambda: f"Port {port}" not in andon.andon("status").text, "nothing more to say")


def test_full_disk_is_said_and_the_line_goes_on_when_there_is_room(tmp_path: Path) -> None:
    project = Project(tmp_path / "hello")
    first = project.good
    project.change_rules(Shape(environments=CANARIES))
    with small_disk(tmp_path / "disk") as disk, installation(disk / "state") as andon:
        assert andon.ship(project, first).code == 0
        address = andon.service()["address"]
        name = andon.begin(project, project.commit("two"))
        until(lambda: (andon.run(name) or {}).get("weight") == 50, "half of the traffic")
        pids = andon.replica_pids()
        with Traffic(address) as traffic:
            ballast = fill(disk)
            refused = andon.ship(project, project.commit("three"))
            assert refused.code == 7, refused.text
            assert "full" in refused.text
            until(lambda: "full" in andon.andon("status").text, "status says that the disk is full")
            traffic.more(50)
            assert andon.replica_pids() == pids
            ballast.unlink()
            assert andon.ended(name)["phase"] == "Succeeded"
            shipped = andon.ship(project)
            assert shipped.code == 0, shipped.text
        assert traffic.failures == []
        assert set(traffic.answers) == {"one", "two", "three"}
        assert andon.client.get("/status")["holds"] == []
        assert andon.client.get("/ledger/verify")["ok"]


def test_disk_that_fills_up_under_a_job_is_not_the_changes_fault(tmp_path: Path) -> None:
    build = "until test -e go; do sleep 0.05; done; head -c 1000000 /dev/zero > out"
    shape = Shape(jobs={"unit": {"run": UNIT}, "build": {"run": build}})
    project = Project(tmp_path / "hello")
    with small_disk(tmp_path / "disk") as disk, installation(disk / "state") as andon:
        assert andon.ship(project).code == 0
        name = andon.begin(project, project.commit("two", shape))
        [tree] = until(lambda: andon.job_trees("build"), "the job runs")
        ballast = fill(disk)
        (tree / "go").touch()
        until(lambda: not andon.agent_status().jobs, "the job ends")
        assert andon.ask() == "one"
        ballast.unlink()
        [fresh] = until(lambda: andon.job_trees("build"), "the job runs again")
        assert fresh != tree
        assert "is full" in andon.said(name, "trying again")
        (fresh / "go").touch()
        assert andon.ended(name)["phase"] == "Succeeded"
        assert andon.ask() == "two"
        assert andon.client.get("/status")["holds"] == []


def test_down_leaves_nothing_and_up_brings_back_what_is_desired(tmp_path: Path) -> None:
    project = Project(tmp_path / "hello")
    with installation(tmp_path / "state") as andon:
        assert andon.ship(project).code == 0
        bad = project.aside(
            "two", Shape(service={"postDeploy": [{"name": "look", "run": "exit 1"}]})
        )
        stopped = andon.ship(project, bad)
        assert stopped.code == 8, stopped.text
        address = andon.service()["address"]
        assert request(address) == (200, "one")

        said = andon.down()
        assert said.code == 0, said.text
        assert processes_of(andon.state) == {}
        assert request(address)[0] == 0

        andon.start()
        until(lambda: request(address) == (200, "one"), "one is back")
        assert andon.service()["address"] == address
        assert len(andon.agent_status().replicas) == 1
        assert andon.ship(project, bad).code == 10
        assert request(address) == (200, "one")


def test_latched_version_without_a_way_back_does_not_return_with_the_machine(
    tmp_path: Path,
) -> None:
    look = {"postDeploy": [{"name": "look", "run": "exit 1"}]}
    project = Project(tmp_path / "hello", Shape(service=look))
    with installation(tmp_path / "state") as andon:
        stopped = andon.ship(project)
        assert stopped.code == 8, stopped.text
        assert "there is no earlier version to go back to" in stopped.text
        address = andon.service()["address"]
        assert request(address) == (200, "one"), "left as it is, for a person to decide"
        assert andon.down().code == 0
        andon.start()
        until(lambda: andon.client.get("/health")["ok"], "all is up")
        assert andon.agent_status().replicas == ()
        assert request(address)[0] != 200
        assert andon.andon("unlatch", "prod", "hello", "-m", "it was the test").code == 0


def test_second_control_plane_refuses_and_says_who_holds_the_folder(tmp_path: Path) -> None:
    with installation(tmp_path / "state") as andon:
        assert andon.process is not None
        second = andon.andon("up", "--port", "0")
        assert second.code == 5, second.text
        assert f"is held by process {andon.process.pid}" in second.text
        assert andon.client.get("/health")["pid"] == andon.process.pid


def test_taken_page_port_is_unavailable_and_says_what_to_type(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        andon = Installation(tmp_path / "state")
        try:
            refused = andon.andon("up", "--port", str(port))
        finally:
            andon.end()
    assert refused.code == 7, refused.text
    assert f"port {port} of 127.0.0.1 is taken by another program" in refused.text
    assert "--port" in refused.text.partition("\n")[2]


def test_changed_configuration_alone_is_a_release(tmp_path: Path) -> None:
    project = Project(tmp_path / "hello")
    moody = {"prod": {"rollout": ROLLING, "config": {"MOOD": "and happy"}}}
    with installation(tmp_path / "state") as andon:
        assert andon.ship(project).code == 0
        before = andon.service()["version"]
        sha = project.commit("one", Shape(environments=moody))
        preview = andon.andon("diff", "prod", cwd=project.path)
        assert "MOOD" in preview.text, preview.text
        assert andon.ship(project, sha).code == 0
        assert andon.ask() == "one and happy"
        after = andon.service()["version"]
        assert after["digest"] == before["digest"]
        assert after["configHash"] != before["configHash"]
