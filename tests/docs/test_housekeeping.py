"""What the pages about the project say of it is true, and its small tools work."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
UNSHIPPED = {"dev", "bench"}
FRAGMENTS = sorted((ROOT / "changelog.d").glob("*.md"))


def run(*words: str) -> str:
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
    return done.stdout


def names(requirements: list[str]) -> set[str]:
    found = {re.match(r"[\w.-]+", one)[0].lower() for one in requirements}
    return found - {PROJECT["project"]["name"]}


def test_every_changelog_fragment_becomes_an_entry():
    drafted = run(str(BIN / "towncrier"), "build", "--draft", "--version", "9.9.9")
    assert drafted.count("\n- ") == len(FRAGMENTS)
    for fragment in FRAGMENTS:
        assert fragment.read_text().strip() in " ".join(drafted.split())


def test_dependencies_page_names_every_dependency_and_no_other():
    page = (ROOT / "docs/dependencies.md").read_text()
    rows = [
        re.match(r"\| ([\w ,-]+?)(?: \(extra `(\w+)`\))? \|", line) for line in page.splitlines()
    ]
    listed = {name.lower() for row in rows if row for name in row[1].split(", ")}
    extras = PROJECT["project"]["optional-dependencies"]
    shipped = names(PROJECT["project"]["dependencies"])
    shipped |= {name for extra in extras if extra not in UNSHIPPED for name in names(extras[extra])}
    assert listed - {"package"} == shipped
    development = re.sub(r"\s+", " ", page.partition("For development only:")[2]).lower()
    unshipped = {name for extra in UNSHIPPED for name in names(extras[extra])}
    missing = {name for name in unshipped if not re.search(rf"\b{name}\b", development)}
    assert missing == set()


def test_hooks_before_a_commit_use_tools_that_are_installed_and_fetch_nothing():
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    for hook in repositories[0]["hooks"]:
        program = hook["entry"].split()[0]
        assert hook["language"] == "system"
        assert (BIN / program.removeprefix(".venv/bin/")).exists(), hook["id"]


def test_spelling_of_what_people_read():
    pages = ["docs", "examples", "changelog.d", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
    run(str(BIN / "codespell"), *pages)


def test_bash_completes_commands_and_options():
    script = f"""
        export PATH={BIN}:$PATH
        source <(andon completion bash)
        complete -p andon
        COMP_WORDS=(andon st) COMP_CWORD=1
        _andon_completion andon
        printf '%s\\n' "${{COMPREPLY[@]}}"
        COMP_WORDS=(andon ship --un) COMP_CWORD=2
        _andon_completion andon
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    said = run("bash", "--norc", "-c", script)
    assert "-F _andon_completion andon" in said
    assert {"status", "--until"} <= set(said.split())


@pytest.mark.parametrize(("shell", "mark"), [("zsh", "#compdef andon"), ("fish", "complete ")])
def test_other_shells_get_their_script(shell, mark):
    assert mark in run(str(BIN / "andon"), "completion", shell)
