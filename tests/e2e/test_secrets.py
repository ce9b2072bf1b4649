"""A secret on its way from a person into a service, and where it is not."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from driver import Installation, installation, processes_of
from project import ROLLING, SERVER, Project, Shape

FIRST, SECOND, TOKEN = "s3cr3t/hush?of the day", "n3w/one&for the night", "npm_t0ken/0123456789+x"
NAMES = ("--environment", "prod")


def digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


HASHING = SERVER.replace("import os\n", "import hashlib\nimport os\n").replace(
    "os.environ.get('MOOD', '')", "hashlib.sha256(os.environ['DB_PASSWORD'].encode()).hexdigest()"
)
TALKING = (
    'echo "it is $NPM_TOKEN"; printf %s "$NPM_TOKEN" | base64 -w0; cd app; python3 -c "print(1)"'
)


@pytest.fixture(scope="module")
def andon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("secrets") / "state") as one:
        yield one


@pytest.fixture(scope="module")
def shipped(andon: Installation) -> str:
    """A Change whose job and service wait for their secrets, one after the other."""
    shape = Shape(
        jobs={"unit": {"run": TALKING, "secrets": {"NPM_TOKEN": "npm-token"}}},
        service={"secrets": {"DB_PASSWORD": "db-password"}},
        environments={"prod": {"requires": ["unit"], "rollout": ROLLING}},
    )
    project = Project(andon.state.with_name("hello"), shape)
    project.commit("one", files={"app/server.py": HASHING})
    for what, opens, value in (
        ("npm-token is not set for pipelines", ("npm-token", "--pipelines"), TOKEN),
        ("db-password is not set in prod", ("db-password", *NAMES), FIRST),
    ):
        held = andon.ship(project)
        assert held.code == 10, held.text
        assert f"secret {what}" in held.text
        assert f"andon secret set {' '.join(opens)}" in held.text, held.text
        name = held.text.split()[0]
        said = put(andon, "set", value, *opens)
        assert said == 0
    assert andon.ended(name)["phase"] == "Succeeded"
    return name


def put(andon: Installation, verb: str, value: str, *arguments: str) -> int:
    """Keep a value as a person does, from a file; what is said does not hold it."""
    file = andon.state.with_name("value")
    file.write_text(value + "\n")
    try:
        said = andon.andon("secret", verb, *arguments, "--from-file", str(file))
    finally:
        file.unlink()
    assert value not in said.text
    assert "the end of the line is not part of the secret" in said.text
    return said.code


def test_a_service_gets_the_secret_it_names_and_a_rotation_is_rolled_out(
    andon: Installation, shipped: str
):
    assert andon.ask() == f"one {digest(FIRST)}"
    before = andon.replica_pids()
    assert put(andon, "rotate", SECOND, "db-password", *NAMES) == 0
    assert andon.ask() == f"one {digest(SECOND)}"
    andon.settled(f"one {digest(SECOND)}")
    assert not set(before.values()) & set(andon.replica_pids().values())
    why = andon.andon("why", "hello")
    assert "secret db-password was rotated by person:" in why.text, why.text
    listed = json.loads(andon.andon("secret", "list", "--json").text)
    assert [(one["name"], one["version"], one["usedBy"]) for one in listed] == [
        ("npm-token", 1, ["hello"]),
        ("db-password", 2, ["hello"]),
    ]
    refused = andon.andon("secret", "remove", "db-password", *NAMES)
    assert refused.code == 5, refused.text
    back = andon.andon("rollback", "prod", "hello", "-m", "the night is over")
    assert back.code == 0, back.text
    andon.settled(f"one {digest(FIRST)}")


def test_no_value_is_anywhere_but_where_it_is_used(andon: Installation, shipped: str):
    told = [
        andon.andon("logs", f"build-{shipped}", "unit").text,
        andon.andon("runs", "show", f"build-{shipped}", "--json").text,
        andon.andon("why", shipped, "--json").text,
        andon.andon("ledger", "export", str(andon.state.with_name("ledger.jsonl"))).text,
        andon.state.with_name("ledger.jsonl").read_text(),
        *processes_of(andon.state).values(),
    ]
    assert "it is ***" in told[0], told[0]
    exempt = {andon.state / "secrets.key"}
    files = [Path(place, name) for place, _, names in os.walk(andon.state) for name in names]
    assert andon.state / "control.db" in files
    kept = {str(one): content(one) for one in files if one not in exempt} | {
        f"answer {number}": text.encode() for number, text in enumerate(told)
    }
    for value in (FIRST, SECOND, TOKEN):
        for trace in traces(value):
            assert [name for name, text in kept.items() if trace in text] == []


def content(file: Path) -> bytes:
    """Return what a file holds, if it is one that is still there: Andon goes on meanwhile."""
    try:
        return file.read_bytes() if file.is_file() else b""
    except FileNotFoundError:
        return b""


def traces(value: str) -> set[bytes]:
    """The value as it is, and as it is often written."""
    encoded = value.encode()
    whole = base64.b64encode(encoded).rstrip(b"=")[:-1]
    return {encoded, whole, encoded.hex().encode(), quote(value, safe="").encode()}


def test_the_backup_leaves_the_key_out_and_says_so(andon: Installation, shipped: str):
    file = andon.state.with_name("backup.tar")
    said = andon.andon("admin", "backup", str(file))
    assert said.code == 0, said.text
    assert "secrets.key" in said.text, said.text
    key = (andon.state / "secrets.key").read_bytes().strip()
    assert key not in Path(file).read_bytes()
