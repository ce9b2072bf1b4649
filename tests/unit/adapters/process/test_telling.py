"""What processes are told of where to tell."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from andon.adapters.process import telling
from andon.api.v1.actions import DeployReplicas, RunJob
from andon.api.v1.definitions import Health, Resources
from andon.api.v1.jobs import JobPlan, SecretRef, StepPlan
from andon.api.v1.records import Version

HERE = telling.Address(port=4318, token="t0")
THEIRS = "https://collector.example.com"
SHOP = DeployReplicas(
    environment="prod",
    service="shop",
    version=Version(digest="sha256:" + "a" * 64, config_hash="b" * 12, change="shop-1"),
    command=("true",),
    config={},
    replicas=1,
    health=Health(),
    resources=Resources(),
)


def of_replica(**changes: Any) -> dict[str, str]:
    return telling.of_replica(replace(SHOP, **changes), 0, HERE)


def of_job(trusted: bool = True, env: dict[str, str] | None = None, **job: Any) -> dict[str, str]:
    plan = JobPlan(name="unit", run="make test", **job)
    action = RunJob(
        run="build-1", repository="https://git.example.com/shop.git", sha="f" * 40, job=plan
    )
    return telling.of_job(replace(action, trusted=trusted, env=env or {}), HERE)


def test_a_service_is_told_where_by_whom_and_of_which_version() -> None:
    version = f"{'a' * 12}-{'b' * 12}"
    assert of_replica() == {
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_RESOURCE_ATTRIBUTES": f"service.version={version},"
        f"service.instance.id=prod.shop.{version}.0,"
        "deployment.environment.name=prod,andon.change=shop-1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20t0",
    }


def test_what_the_service_says_itself_stays_and_its_attributes_win() -> None:
    own = {"OTEL_SERVICE_NAME": "till", "OTEL_RESOURCE_ATTRIBUTES": "service.version=9,team=x"}
    told = of_replica(config=own)
    assert "OTEL_SERVICE_NAME" not in told
    attributes = told["OTEL_RESOURCE_ATTRIBUTES"].split(",")
    assert attributes[-2:] == ["service.version=9", "team=x"]
    assert [one for one in attributes if one.startswith("service.version")] == ["service.version=9"]
    assert "deployment.environment.name=prod" in attributes


def test_no_token_goes_to_an_endpoint_of_their_own() -> None:
    of_steps = StepPlan(name="a", run="true", env={"OTEL_EXPORTER_OTLP_ENDPOINT": THEIRS})
    hidden = SecretRef(name="otlp", environment="prod")
    for told in (
        of_replica(config={"OTEL_EXPORTER_OTLP_ENDPOINT": THEIRS}),
        of_replica(config={"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": THEIRS}),
        of_replica(secrets={"OTEL_EXPORTER_OTLP_ENDPOINT": hidden}),
        of_job(env={"OTEL_EXPORTER_OTLP_ENDPOINT": THEIRS}),
        of_job(steps=(of_steps,)),
    ):
        assert sorted(told) == ["OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME"]


def test_a_job_is_told_its_run_and_a_strangers_job_nothing() -> None:
    told = of_job()
    assert told["OTEL_SERVICE_NAME"] == "shop"
    assert told["OTEL_RESOURCE_ATTRIBUTES"] == (
        "service.version=ffffffffffff,andon.run=build-1,andon.job=unit"
    )
    assert of_job(trusted=False) == {}


def test_where_nothing_listens_nothing_is_said() -> None:
    assert telling.of_replica(SHOP, 0, None) == {}
