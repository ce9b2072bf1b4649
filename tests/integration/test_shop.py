"""The example shop on real processes: its versions, its faults, and how it stops."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from random import Random

import pytest
import ryaml
from msgspec import to_builtins

from andon.api.project import read_project
from andon.api.v1.pipelines import ChangeFacts
from andon.cli.demo.load import Planned, plan_requests
from andon.cli.demo.shop import FAULT_PERCENT_LIMIT, SERVICES, ShopRepository, make_repository
from andon.cli.demo.wire import Wire
from andon.domains.pipelines.expand import expand
from andon.testing.children import free_port
from andon.testing.polling import DEADLINE_SECONDS, until

REQUESTS = 1500


@pytest.fixture(autouse=True)
def this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have ``python3`` of the shop's commands mean the Python that runs the tests."""
    folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def make_shop(folder: Path, service: str = "storefront", percent: float = 5) -> ShopRepository:
    return make_repository(folder, fault_percent=percent, fault_service=service, seed=1)


def documents(folder: Path) -> dict[tuple[str, str], dict[str, dict]]:
    parsed = ryaml.loads_all((folder / "andon.yaml").read_text(encoding="utf-8"))
    return {(each["kind"], each["metadata"]["name"]): each["spec"] for each in parsed}


def run_job(folder: Path, job: dict, **environment: str) -> None:
    done = subprocess.run(
        ["sh", "-euc", job["run"]],
        cwd=folder,
        env={**os.environ, **job.get("env", {}), **environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run_jobs(folder: Path, *names: str) -> None:
    read = read_project({"andon.yaml": (folder / "andon.yaml").read_bytes()})
    jobs = {job.name: job for job in expand(read.pipeline, ChangeFacts(), read.templates)}
    for name in names:
        run_job(folder, to_builtins(jobs[name]))


def built(folder: Path) -> dict[str, bytes]:
    """Content of what was built, by path."""
    files = (file for file in sorted((folder / "dist").rglob("*")) if file.is_file())
    return {str(file.relative_to(folder / "dist")): file.read_bytes() for file in files}


def free_ports(*names: str) -> dict[str, int]:
    """Choose a port for each name."""
    return {name: free_port() for name in names}


def connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def service(folder: Path, name: str, port: int, **urls: str) -> Iterator[subprocess.Popen[bytes]]:
    command = documents(folder)["Service", name]["command"]
    with (folder.parent / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=folder / "dist" / name,
            env={**os.environ, **urls, "PORT": str(port)},
            stderr=log,
        )
    try:
        until(lambda: connects(port), f"{name} starts")
        assert process.poll() is None, f"somebody else listens on {port}"
        yield process
    finally:
        process.terminate()
        process.wait(DEADLINE_SECONDS)


@contextmanager
def running_shop(folder: Path) -> Iterator[dict[str, str]]:
    """Run the three services; yields the addresses as jobs and services see them."""
    ports = free_ports(*SERVICES)
    urls = {f"ANDON_URL_{name.upper()}": f"http://127.0.0.1:{ports[name]}" for name in SERVICES}
    with ExitStack() as stack:
        for name in ("catalogue", "orders", "storefront"):
            stack.enter_context(service(folder, name, ports[name], **urls))
        yield urls


async def ask_all(url: str, requests: list[Planned]) -> list[int]:
    """Send requests, twenty at a time; returns their statuses in order."""
    wire, turns = Wire(url), asyncio.Semaphore(20)

    async def ask(request: Planned) -> int:
        async with turns:
            _, method, path, client, body = request
            return (await wire.send(method, path, client, body)).status

    statuses = await asyncio.gather(*(ask(request) for request in requests))
    wire.close()
    return statuses


def traffic() -> list[Planned]:
    return list(islice(plan_requests(Random(5), rate=300, clients=3000), REQUESTS))


@pytest.mark.parametrize("faulty", SERVICES)
def test_even_the_largest_fault_passes_every_test_of_the_shop(tmp_path: Path, faulty: str) -> None:
    shop = make_shop(tmp_path / "shop", faulty, FAULT_PERCENT_LIMIT)
    for version in (1, 2, 3):
        shop.commit_version(version)
    run_jobs(shop.path, "unit", "build")
    with running_shop(shop.path) as urls:
        for name in SERVICES:
            (job,) = documents(shop.path)["Service", name]["postDeploy"]
            run_job(shop.path, job, **urls)
    shop.commit_version(4)
    run_jobs(shop.path, "unit")


@pytest.mark.parametrize("faulty", SERVICES)
async def test_real_traffic_meets_the_fault_spread_over_many_clients(
    tmp_path: Path, faulty: str
) -> None:
    shop = make_shop(tmp_path / "shop", faulty)
    for version in (1, 2, 3):
        shop.commit_version(version)
    run_jobs(shop.path, "build")
    requests = traffic()
    with running_shop(shop.path) as urls:
        statuses = await ask_all(urls["ANDON_URL_STOREFRONT"], requests)
    failed = [request for request, status in zip(requests, statuses, strict=True) if status >= 500]
    assert 0.03 < len(failed) / REQUESTS < 0.07
    assert len({request.client for request in failed}) > 0.9 * len(failed)
    assert set(statuses) == {200, 201, 500 if faulty == "storefront" else 502}
    log = (tmp_path / f"{faulty}.log").read_text()
    assert log.count("IndexError") == len(failed)


@pytest.mark.parametrize("version", [2, 4])
async def test_good_versions_answer_every_request(tmp_path: Path, version: int) -> None:
    shop = make_shop(tmp_path / "shop")
    for number in range(1, version + 1):
        shop.commit_version(number)
    run_jobs(shop.path, "build")
    with running_shop(shop.path) as urls:
        statuses = await ask_all(urls["ANDON_URL_STOREFRONT"], traffic()[:500])
    assert set(statuses) == {200, 201}


async def test_version_three_without_a_fault_is_harmless(tmp_path: Path) -> None:
    shop = make_shop(tmp_path / "shop", percent=0)
    for version in (1, 2, 3):
        shop.commit_version(version)
    run_jobs(shop.path, "build")
    with running_shop(shop.path) as urls:
        statuses = await ask_all(urls["ANDON_URL_STOREFRONT"], traffic()[:500])
    assert set(statuses) == {200, 201}


@pytest.mark.parametrize("faulty", SERVICES)
def test_version_changes_only_the_artifact_of_its_service(tmp_path: Path, faulty: str) -> None:
    shop = make_shop(tmp_path / "shop", faulty)
    shop.commit_version(1)
    run_jobs(shop.path, "build")
    before = built(shop.path)
    assert not any("tests" in path or "__pycache__" in path for path in before)
    for version in (2, 3, 4):
        shop.commit_version(version)
        run_jobs(shop.path, "build")
        after = built(shop.path)
        changed = {path for path in before | after if before.get(path) != after.get(path)}
        assert {path.partition("/")[0] for path in changed} == {shop.service_of(version)}
        before = after


def test_history_is_real_and_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    shop = make_shop(tmp_path / "shop")
    shas = [shop.commit_version(version) for version in (1, 2, 3, 4)]
    monkeypatch.delenv("GIT_DIR")
    assert git(shop.path, "rev-list", "--reverse", "main").split() == shas
    subjects = git(shop.path, "log", "--reverse", "--format=%s").splitlines()
    assert all(re.match(r"(feat|fix)(\(storefront\))?: \w", subject) for subject in subjects)
    assert git(shop.path, "status", "--porcelain") == ""
    assert "versions" not in git(shop.path, "ls-files")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_seeds_differ_in_prices_only(tmp_path: Path) -> None:
    for seed in (1, 2):
        make_repository(
            tmp_path / str(seed), fault_percent=5, fault_service="orders", seed=seed
        ).commit_version(1)
    compared = git(tmp_path, "diff", "--no-index", "--quiet", "1", "1")
    assert compared == ""
    differing = subprocess.run(
        ["diff", "-rq", "-x", ".git", "1", "2"], cwd=tmp_path, capture_output=True, text=True
    ).stdout.splitlines()
    assert len(differing) == 1
    assert "products.json" in differing[0]


@pytest.fixture(scope="module")
def first_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first") / "shop"
    make_shop(folder).commit_version(1)
    subprocess.run([sys.executable, "-B", "build.py"], cwd=folder, check=True, capture_output=True)
    return folder


def read_answer(link: socket.socket) -> bytes:
    with link.makefile("rb") as stream:
        return stream.read()


def test_service_told_to_stop_answers_what_it_has_begun_to_read(first_version: Path) -> None:
    port = free_ports("orders")["orders"]
    with service(first_version, "orders", port) as process:
        body = b'{"product": "3", "quantity": 1}'
        head = f"POST /orders HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS) as link:
            link.sendall(head)
            with socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS) as idle:
                idle.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
                assert idle.recv(12) == b"HTTP/1.1 200"
                process.send_signal(signal.SIGTERM)
                assert b"ok" in read_answer(idle)
            link.sendall(body)
            answer = read_answer(link)
        assert answer.startswith(b"HTTP/1.1 201 Created\r\n")
        assert b"connection: close" in answer
        assert process.wait(DEADLINE_SECONDS) == 0


async def test_failing_service_behind_surfaces_and_heals_without_a_restart_in_front(
    first_version: Path,
) -> None:
    ports = free_ports(*SERVICES)
    urls = {f"ANDON_URL_{name.upper()}": f"http://127.0.0.1:{ports[name]}" for name in SERVICES}
    with ExitStack() as stack:
        stack.enter_context(service(first_version, "orders", ports["orders"]))
        stack.enter_context(service(first_version, "storefront", ports["storefront"], **urls))
        front = Wire(urls["ANDON_URL_STOREFRONT"])
        statuses = []
        for _ in range(2):
            with service(first_version, "catalogue", ports["catalogue"]):
                statuses.append((await front.send("GET", "/", "a")).status)
            statuses.append((await front.send("GET", "/", "a")).status)
        assert statuses == [200, 502, 200, 502]
        front.close()


def test_headers_that_tell_who_asked_and_why_travel_on(first_version: Path) -> None:
    ports = free_ports("front", "behind")
    behind = f"http://127.0.0.1:{ports['behind']}"
    with socket.create_server(("127.0.0.1", ports["behind"])) as listener:
        listener.settimeout(DEADLINE_SECONDS)
        urls = {"ANDON_URL_CATALOGUE": behind, "ANDON_URL_ORDERS": behind}
        with service(first_version, "storefront", ports["front"], **urls):
            link = socket.create_connection(("127.0.0.1", ports["front"]), DEADLINE_SECONDS)
            with link:
                asked = (
                    "GET /products HTTP/1.1\r\nX-Client: anna\r\ntraceparent: 00-ab-cd-01\r\n\r\n"
                )
                link.sendall(asked.encode())
                called, _ = listener.accept()
                with called:
                    heard = called.recv(4096).decode().lower()
                    called.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]")
                assert link.recv(12) == b"HTTP/1.1 200"
    assert "x-client: anna\r\n" in heard
    assert "traceparent: 00-ab-cd-01\r\n" in heard
