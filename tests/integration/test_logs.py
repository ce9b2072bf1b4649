"""Logs of a real control plane: jobs, services, Andon's own and OTLP's; searched, followed, not lost."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from api_world import APP, DEADLINE_SECONDS, DEFINITIONS, World

JOBS = """\
    build: {run: "for n in $(seq 30); do echo level=info building part $n; done"}
"""
SPEAKING = APP.replace(
    "        self.send_response(200)\n",
    "        print(f'ERROR odd \"GET {self.path} HTTP/1.1\" 200 trace_id={TRACE}', flush=True)\n"
    '        self.send_response(500 if self.path == "/broken" else 200)\n',
)
INSTALLATION = """\
apiVersion: andon/v1
kind: Installation
metadata: {name: a}
spec: {telemetry: {alerts: {intervalSeconds: 1}}}
"""
TRACE = "0af7651916cd43dd8448eb211c80319c"


def command(world: World, *words: str) -> list[str]:
    return [sys.executable, "-m", "andon", *words, "--state", str(world.state)]


def andon(world: World, *words: str) -> str:
    done = subprocess.run(
        command(world, *words), capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=True
    )
    return done.stdout


def search(world: World, text: str, **more: Any) -> list[dict[str, Any]]:
    return world.andon.logs_search(text=text, **more)["lines"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("logs"))
    try:
        text = DEFINITIONS.replace('    build: {run: "true"}\n', JOBS)
        (world.repository / "andon.yaml").write_text(text)
        (world.repository / "app.py").write_text(SPEAKING.replace("{TRACE}", TRACE))
        world.commit("speaks")
        (world.state.parent / "installation.yaml").write_text(INSTALLATION)
        world.up(0, "--config", str(world.state.parent / "installation.yaml"))
        shipped = world.andon.ship(repository=str(world.repository), until="dev")
        world.until(lambda: world.andon.changes_show(shipped["change"])["phase"] == "Succeeded")
        yield world
    finally:
        world.close()


def counted(world: World) -> list[Any]:
    query = 'sum(andon_log_lines_total{service="shop",environment="dev",severity="error"})'
    said = requests.get(
        f"{world.url}/api/v1/query",
        {"query": query},
        headers={"Authorization": f"Bearer {world.token}"},
        timeout=DEADLINE_SECONDS,
    )
    return list(said.json()["data"]["result"])


def ask_service(world: World, path: str) -> None:
    (row,) = world.andon.status(environment="dev")["services"]
    requests.get(f"{row['address']}{path}", timeout=DEADLINE_SECONDS)


def test_what_a_job_said_is_found_with_its_run(world: World) -> None:
    world.until(lambda: len(search(world, "building PART", source="job")) == 30)
    lines = search(world, "building PART", source="job")
    labels = lines[0]["labels"]
    assert labels["run"].startswith("build-")
    assert labels["job"] == "build"
    assert labels["repository"] == str(world.repository)
    assert lines[0]["severity"] == "info"
    found = andon(world, "logs", "templates", "building", "--source", "job")
    assert "level=info building part <*>" in found


def test_what_a_service_said_is_found_by_trace_and_counted(world: World) -> None:
    ask_service(world, "/turnips")
    world.until(lambda: search(world, "turnips"))
    words = ("turnips", "--service", "shop", "-e", "dev", "--severity", "error", "--trace", TRACE)
    (line,) = json.loads(andon(world, "logs", "search", *words, "--json"))["lines"]
    assert (line["environment"], line["service"], line["trace"]) == ("dev", "shop", TRACE)
    shown = andon(world, "logs", "search", "turnips")
    assert 'dev/shop ERROR odd "GET /turnips' in shown


def test_a_request_that_failed_at_the_gateway_is_a_line_with_its_trace(world: World) -> None:
    def failed() -> list[dict[str, Any]]:
        ask_service(world, "/broken")
        return search(world, "status 500", source="gateway")

    found = world.until(failed)
    assert found[0]["labels"]["service"] == "shop"
    assert len(found[0]["trace"]) == 32


def test_an_endpoint_that_only_attackers_ask_for_is_an_alert_and_evidence(world: World) -> None:
    ask_service(world, "/.env")

    def fired() -> list[Any]:
        names = [one["labels"].get("alertname") for one in world.andon.alerts_list()["alerts"]]
        return [one for one in names if one == "andon-suspicious-endpoint-answered"]

    world.until(fired)
    (evidence,) = world.andon.objects_list(kind="Evidence", labels={"check": "security"})
    assert evidence["spec"]["verdict"] == "Fail"


def test_lines_are_followed_as_they_come(world: World) -> None:
    follow = command(world, "logs", "search", "carrots", "--follow", "--json")
    with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        ended = threading.Event()

        def speak() -> None:
            while not ended.wait(0.3):
                ask_service(world, "/carrots")

        speaker = threading.Thread(target=speak)
        speaker.start()
        try:
            said = [json.loads(follower.stdout.readline()) for _ in range(2)]
        finally:
            ended.set()
            speaker.join()
            follower.kill()
    assert {"/carrots" in one["text"] for one in said} == {True}


def test_otlp_lines_are_found(world: World) -> None:
    record = {
        "timeUnixNano": "0",
        "severityNumber": 17,
        "body": {"stringValue": "beans are out"},
        "traceId": TRACE,
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "pantry"}}]}
    body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}
    said = requests.post(
        f"{world.url}/api/v1/otlp/v1/logs",
        json=body,
        headers={"Authorization": f"Bearer {world.token}"},
        timeout=DEADLINE_SECONDS,
    )
    assert said.status_code == 200, said.text
    (line,) = search(world, "beans", label=["service=~pan.*"])
    assert (line["source"], line["severity"]) == ("otlp", "error")


def test_a_kill_loses_no_line_and_doubles_none(world: World) -> None:
    world.until(lambda: len(search(world, "building part", source="job")) == 30)
    before = len(search(world, "turnips", service="shop"))
    world.kill()
    world.up(0, "--config", str(world.state.parent / "installation.yaml"))
    ask_service(world, "/turnips?after")
    world.until(lambda: search(world, "turnips?after"))
    assert len(search(world, "building part", source="job")) == 30
    assert len(search(world, "turnips", service="shop")) == before + 1
    world.until(lambda: counted(world))


def test_a_word_that_is_no_subcommand_is_a_run(world: World) -> None:
    (run,) = [one for one in world.andon.runs_list() if one["type"] == "build"]
    assert "building part 30" in andon(world, "logs", run["name"], "build")
    wrong = subprocess.run(
        command(world, "logs", "search", "--pattern", "("), capture_output=True, text=True
    )
    assert wrong.returncode == 2
    assert "is no regular expression" in wrong.stderr
    assert "Traceback" not in wrong.stderr
