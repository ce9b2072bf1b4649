from __future__ import annotations

import importlib.util
from pathlib import Path

import fastjsonschema
import pytest
import ryaml

from andon.api.project import check_project
from andon.api.schema import json_schema
from andon.api.v1.definitions import DEFINITIONS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "kinds" / "examples"


def generated() -> dict[Path, str]:
    spec = importlib.util.spec_from_file_location(
        "generate_kinds", ROOT / "docs" / "generate_kinds.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


@pytest.mark.parametrize("path", sorted(generated()), ids=str)
def test_generated_page_is_up_to_date(path):
    message = "run: python docs/generate_kinds.py"
    assert (ROOT / path).read_text() == generated()[path], message


def test_examples_of_all_kinds_are_one_valid_project():
    files = {
        f"{kind}.yaml": (EXAMPLES / f"{kind.lower()}.yaml").read_bytes() for kind in DEFINITIONS
    }
    parsed = check_project(files)
    assert [str(problem) for problem in parsed.problems] == []
    assert {definition.kind for definition in parsed.definitions} == set(DEFINITIONS)


def test_editors_schema_accepts_every_example():
    validate = fastjsonschema.compile(json_schema())
    files = [EXAMPLES / f"{kind.lower()}.yaml" for kind in DEFINITIONS]
    for file in (*files, ROOT / "docs/kinds/host/installation.yaml"):
        for document in ryaml.loads_all(file.read_text()):
            validate(document)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"kind": "Servce"}, "kind"),
        ({"spec": {"command": ["a"], "replcas": 2}}, "spec"),
        ({"spec": {"command": ["a"], "replicas": 0}}, "spec.replicas"),
        ({"spec": {"command": ["a"], "config": {"PORT": 8080}}}, "spec.config.PORT"),
        ({"status": {}}, "data"),
    ],
)
def test_editors_schema_points_at_the_wrong_field(change, where):
    document = {
        "apiVersion": "andon/v1",
        "kind": "Service",
        "metadata": {"name": "a"},
        "spec": {"command": ["a"]},
    }
    with pytest.raises(fastjsonschema.JsonSchemaValueException, match=rf"\b{where}\b"):
        fastjsonschema.compile(json_schema())(document | change)
