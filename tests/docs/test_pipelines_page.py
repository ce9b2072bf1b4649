"""Every document of docs/pipelines.md is valid, and does what the page says."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from andon.api.project import check_project, read_project
from andon.api.references import own_templates
from andon.api.v1.pipelines import ChangeFacts
from andon.cli.root import andon
from andon.domains.pipelines.expand import expand

PAGE = (Path(__file__).resolve().parents[2] / "docs/pipelines.md").read_text()
BLOCKS = [
    f"apiVersion: andon/v1\nmetadata: {{ name: python-package }}\n{block}"
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
]
ORDER, MATRIX, RULES, USE, TEMPLATE = BLOCKS


def jobs(block: str, **facts: object) -> dict[str, str]:
    read = read_project({"andon.yaml": block.encode()})
    change = ChangeFacts(**facts)
    return {job.name: job.skip for job in expand(read.pipeline, change, read.templates)}


def test_every_document_is_valid() -> None:
    for block in (ORDER, MATRIX, RULES, USE, f"{ORDER}---\n{TEMPLATE}"):
        assert [str(one) for one in check_project({"f": block.encode()}).problems] == []


def test_the_template_fits_its_use() -> None:
    parsed = check_project({"f": f"{ORDER}---\n{TEMPLATE}".encode()})
    (template,) = own_templates(parsed.definitions).values()
    revision = re.search(r"revision: (\w+)", USE)
    assert revision
    key = f"https://git.example.org/platform/ci@{revision[1]}/andon.yaml#python-package"
    assert check_project({"f": USE.encode()}, {key: template}).problems == ()


def test_the_matrix_is_called_as_the_page_says() -> None:
    names = [name for name in jobs(MATRIX) if name != "pack"]
    assert all(f"`{name}`" in PAGE for name in names)
    assert len(names) == 4


def test_rules_skip_as_the_page_says() -> None:
    topic = jobs(RULES, branch="release/1", paths=("docs/a.txt",))
    assert topic["api"].startswith("paths:")
    assert topic["publish"].startswith("needs api, which was skipped: paths:")
    assert topic["docs"] == ""
    assert all(
        rule.startswith("triggers.branches") for rule in jobs(RULES, branch="topic").values()
    )


def test_the_page_names_commands_there_are() -> None:
    (shell,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in textwrap.dedent(shell).splitlines():
        _, group, name, *_ = line.split("#")[0].split()
        command = andon.get_command(None, group)
        assert command is not None
        assert name in command.commands
