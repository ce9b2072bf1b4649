from __future__ import annotations

import pytest
from msgspec.structs import replace

from andon.api.overlay import configuration, configuration_hash, merge_bases
from andon.api.v1.definitions import (
    Approvals,
    EnvironmentSpec,
    Health,
    Overlay,
    Resources,
    RolloutPolicy,
    ServiceSpec,
)
from andon.api.v1.jobs import SecretRef
from andon.kernel.errors import InvalidDocument

SERVICE = ServiceSpec(
    command=("run",), config={"A": "service", "B": "service", "C": "service"}, replicas=2
)


def test_a_silent_field_is_taken_from_the_base_and_its_base():
    merged = merge_bases(
        {
            "dev": EnvironmentSpec(
                requires=("tests",), max_age_seconds=60, config={"A": "1", "B": "1"}
            ),
            "stage": EnvironmentSpec(base="dev", config={"B": "2"}),
            "prod": EnvironmentSpec(base="stage", after="stage", max_age_seconds=30),
        }
    )
    prod = merged["prod"]
    assert (prod.requires, prod.max_age_seconds, prod.after) == (("tests",), 30, "stage")
    assert prod.config == {"A": "1", "B": "2"}


def test_a_rollout_is_inherited_or_default_and_never_unset():
    canary = RolloutPolicy(strategy="canary")
    merged = merge_bases(
        {
            "a": EnvironmentSpec(rollout=canary),
            "b": EnvironmentSpec(base="a"),
            "c": EnvironmentSpec(),
        }
    )
    assert (merged["b"].rollout, merged["c"].rollout) == (canary, RolloutPolicy())


def test_overlays_of_one_service_merge_by_field():
    merged = merge_bases(
        {
            "a": EnvironmentSpec(
                services={"s": Overlay(replicas=3, config={"X": "1"}), "t": Overlay()}
            ),
            "b": EnvironmentSpec(base="a", services={"s": Overlay(config={"Y": "2"})}),
        }
    )
    assert merged["b"].services == {
        "s": Overlay(replicas=3, config={"X": "1", "Y": "2"}),
        "t": Overlay(),
    }


def test_bases_in_a_circle_and_unknown_bases_are_refused():
    with pytest.raises(InvalidDocument, match="a → b → a"):
        merge_bases({"a": EnvironmentSpec(base="b"), "b": EnvironmentSpec(base="a")})
    with pytest.raises(InvalidDocument, match="`prod`"):
        merge_bases({"dev": EnvironmentSpec(base="prod")})


def test_the_nearest_configuration_wins():
    environment = EnvironmentSpec(
        config={"B": "environment", "C": "environment"},
        services={"s": Overlay(config={"C": "overlay"}, replicas=5, resources=Resources(cpu=2))},
    )
    service = replace(SERVICE, resources=Resources(memory_bytes=2**26, cpu=1))
    resolved = configuration(service, "s", environment)
    assert resolved.config == {"A": "service", "B": "environment", "C": "overlay"}
    assert resolved.replicas == 5
    assert resolved.resources == Resources(memory_bytes=2**26, cpu=2)
    assert configuration(service, "other", environment).replicas == 2
    assert configuration(service, "s", None).config == SERVICE.config


def hashed(service: ServiceSpec, environment: EnvironmentSpec | None = None) -> str:
    return configuration_hash(service, configuration(service, "s", environment))


@pytest.mark.parametrize(
    "change",
    [
        {"command": ("other",)},
        {"config": {}},
        {"replicas": 3},
        {"resources": Resources(cpu=1)},
        {"health": Health(path="/healthz")},
        {"drain_seconds": 3},
        {"needs": ("orders",)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_everything_that_shapes_what_runs_is_in_the_hash(change):
    assert hashed(replace(SERVICE, **change)) != hashed(SERVICE)


def test_how_a_value_came_about_is_not_in_the_hash():
    same = EnvironmentSpec(config=dict(reversed(SERVICE.config.items())))
    assert hashed(SERVICE, same) == hashed(SERVICE)
    assert hashed(replace(SERVICE, drain_seconds=10.0)) == hashed(SERVICE)


def test_consent_asked_for_in_a_base_is_asked_for_in_what_is_based_on_it():
    two = Approvals(count=2, people=("team:sre",))
    merged = merge_bases(
        {
            "live": EnvironmentSpec(approvals=two),
            "prod": EnvironmentSpec(base="live"),
            "eu": EnvironmentSpec(base="prod", approvals=Approvals(count=3)),
        }
    )
    assert merged["prod"].approvals == two
    assert merged["eu"].approvals == Approvals(count=3)


def test_of_a_secret_the_version_is_in_the_hash_and_clear_configuration_gives_way():
    service = replace(SERVICE, secrets={"A": "db"})
    resolved = configuration(service, "s", EnvironmentSpec(config={"A": "clear"}))
    assert resolved.config == {"B": "service", "C": "service"}
    refs = [
        SecretRef(name="db", environment=environment, version=version)
        for environment, version in (("dev", 1), ("dev", 2), ("prod", 1))
    ]
    hashes = {configuration_hash(service, resolved, {"A": ref}) for ref in refs}
    assert len(hashes | {configuration_hash(service, resolved)}) == 4
    assert hashed(SERVICE) == configuration_hash(SERVICE, configuration(SERVICE, "s", None), {})
