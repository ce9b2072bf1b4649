from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import ryaml

from andon.api.v1.definitions import DEFINITIONS, EnvironmentSpec, ServiceSpec
from andon.cli.demo.shop import SERVICES, examples_folder, make_repository
from andon.kernel.errors import Conflict, UsageError


def shop_documents() -> list[dict[str, object]]:
    text = (examples_folder() / "shop" / "andon.yaml").read_text(encoding="utf-8")
    return list(ryaml.loads_all(text))


def shop_specs(kind: str) -> dict[str, object]:
    return {
        document["metadata"]["name"]: msgspec.convert(document["spec"], DEFINITIONS[kind])
        for document in shop_documents()
        if document["kind"] == kind
    }


def test_every_document_of_the_shop_is_valid() -> None:
    kinds = {document["kind"] for document in shop_documents()}
    assert kinds == set(DEFINITIONS)
    for kind in kinds:
        assert shop_specs(kind)


def test_every_artifact_can_earn_the_evidence_that_prod_requires() -> None:
    (pipeline,) = shop_specs("Pipeline").values()
    prod = shop_specs("Environment")["prod"]
    assert isinstance(prod, EnvironmentSpec)
    jobs = set(pipeline.jobs)
    jobs |= {
        name for use in pipeline.templates for name in shop_specs("Template")[use.template].jobs
    }
    services = shop_specs("Service")
    assert set(services) == set(SERVICES)
    for service in services.values():
        assert isinstance(service, ServiceSpec)
        earned = {job.evidence or job.name for job in service.post_deploy} | jobs
        assert set(prod.requires) <= earned


@pytest.mark.parametrize("percent", [-1, 50.1, 100, float("nan")])
def test_fault_out_of_range_is_refused(tmp_path: Path, percent: float) -> None:
    with pytest.raises(UsageError, match="cannot be played"):
        make_repository(tmp_path, fault_percent=percent, fault_service="orders", seed=1)


def test_unknown_service_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        make_repository(tmp_path, fault_percent=5, fault_service="billing", seed=1)
    assert "storefront, catalogue, orders" in raised.value.hint


def test_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(UsageError, match="not empty"):
        make_repository(tmp_path, fault_percent=5, fault_service="orders", seed=1)
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


def test_versions_come_in_order(tmp_path: Path) -> None:
    shop = make_repository(tmp_path, fault_percent=5, fault_service="orders", seed=1)
    with pytest.raises(Conflict):
        shop.commit_version(2)
    first = shop.commit_version(1)
    with pytest.raises(Conflict):
        shop.commit_version(1)
    assert len(first) == 40


def test_each_version_tells_the_service_it_changes(tmp_path: Path) -> None:
    shop = make_repository(tmp_path, fault_percent=5, fault_service="orders", seed=1)
    services = [shop.service_of(version) for version in (1, 2, 3, 4)]
    assert services == [None, "storefront", "orders", "orders"]
