"""What the page about tests shows is accepted, and its first Pipeline runs here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml
from click.testing import CliRunner

import andon as installed
from andon.api.parse import parse_or_raise
from andon.api.v1.pipelines import PipelineSpec
from andon.cli.root import andon

PAGE = (Path(__file__).resolve().parents[2] / "docs/tests.md").read_text()
DOCUMENTS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
FIRST, QUARANTINE, SELECTING = DOCUMENTS
# Jobs see what PATH names: the sources of an Andon that is not quite installed as well.
PLACES = (str(Path(sys.executable).parent), str(Path(installed.__file__).parents[1]))
TESTS = {
    "tests/test_a.py": "def test_a():\n    pass\n",
    "tests/test_b.py": "def test_b():\n    pass\n",
    "tests/test_c.py": "def test_c():\n    pass\n",
}


def test_every_document_is_accepted() -> None:
    for text in (FIRST, SELECTING):
        assert parse_or_raise(text.encode(), "docs/tests.md")
    spec = yaml.safe_load(FIRST)["spec"] | yaml.safe_load(QUARANTINE)
    whole = {"apiVersion": "andon/v1", "kind": "Pipeline", "metadata": {"name": "x"}, "spec": spec}
    (definition,) = parse_or_raise(yaml.safe_dump(whole).encode(), "docs/tests.md")
    assert isinstance(definition.spec, PipelineSpec)
    assert definition.spec.quarantine[0].test == "tests.test_mail::test_sends"


def test_every_option_is_one() -> None:
    for word in ("split", "select", "flakes", ""):
        told = CliRunner().invoke(andon, ["tests", *([word] if word else []), "--help"]).output
        said = re.findall(rf"`?andon tests {word}\b([^`\n|>]*)", PAGE) if word else [" --runs"]
        for option in {one for text in said for one in re.findall(r"--[a-z-]+", text)}:
            assert option in told, f"andon tests {word} {option}"


def test_the_first_pipeline_runs_here(tmp_path: Path) -> None:
    for name, text in TESTS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "andon.yaml").write_text(FIRST)
    who = ("-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    for arguments in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "one")):
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True)
    ran = subprocess.run(
        [sys.executable, "-m", "andon", "run", "--no-color"],
        cwd=tmp_path,
        env={**os.environ, "PATH": os.pathsep.join([*PLACES, os.environ["PATH"]])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
