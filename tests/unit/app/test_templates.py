"""Templates read from real repositories: own files, pinned commits, and what strangers may not name."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from andon.adapters.git import GitSource
from andon.app.shipping import change_spec, load
from andon.domains.pipelines.plan import plan_build
from andon.kernel.errors import InvalidDocument

PIPELINE = "apiVersion: andon/v1\nkind: Pipeline\nmetadata: {{ name: shop }}\nspec:\n  templates:\n{uses}\n"
TEMPLATE = """\
apiVersion: andon/v1
kind: Template
metadata: { name: py }
spec:
  version: 1.2.0
  parameters: { python: { default: "3.11" } }
  jobs:
    unit: { run: pytest, env: { V: "${{ params.python }}" } }
"""


class Repository:
    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        command = ["git", "-C", str(self.path), *who, "-c", "commit.gpgsign=false", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, **files: str) -> str:
        for name, text in files.items():
            file = self.path / name.replace("__", "/").replace("_", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def shop(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "shop")


@pytest.fixture
def ci(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "ci")


@pytest.fixture
def source(tmp_path: Path) -> GitSource:
    return GitSource(tmp_path / "cache")


def uses(*fields: str) -> str:
    return PIPELINE.format(uses="\n".join(f"  - {{ template: py, {one} }}" for one in fields))


def jobs(source: GitSource, shop: Repository, **said: bool) -> dict[str, dict[str, str]]:
    loaded = load(source, str(shop.path), "main", None, "main", **said)
    plan = plan_build(change_spec(loaded, until="", notify=(), sequence=1))
    return {job.name: {**job.env, "origin": job.origin} for job in plan.jobs}


def refused(source: GitSource, shop: Repository, **said: bool) -> str:
    with pytest.raises(InvalidDocument) as caught:
        jobs(source, shop, **said)
    return caught.value.message


def test_template_of_another_file_of_the_same_commit(source: GitSource, shop: Repository) -> None:
    shop.commit(andon_yaml=uses("file: ci/py.yaml, with: { python: '3.12' }"), ci__py_yaml=TEMPLATE)
    assert jobs(source, shop) == {
        "unit": {
            "V": "3.12",
            "PARAM_PYTHON": "3.12",
            "origin": "Template py 1.2.0 (ci/py.yaml:8)",
        }
    }


def test_template_of_another_repository_is_the_pinned_one(
    source: GitSource, shop: Repository, ci: Repository
) -> None:
    pinned = ci.commit(andon_yaml=TEMPLATE)
    ci.commit(andon_yaml=TEMPLATE.replace("pytest", "evil"))
    shop.commit(andon_yaml=uses(f"source: {ci.path}, revision: {pinned}, version: '1.2'"))
    loaded = load(source, str(shop.path), "main", None, "main")
    (spec,) = loaded.own.templates.values()
    assert spec.jobs["unit"].run == "pytest"
    origin = jobs(source, shop)["unit"]["origin"]
    assert origin == f"Template py 1.2.0 ({ci.path}: andon.yaml at {pinned[:12]}:8)"


def test_templates_without_a_revision_are_refused(
    source: GitSource, shop: Repository, ci: Repository
) -> None:
    ci.commit(andon_yaml=TEMPLATE)
    shop.commit(andon_yaml=uses(f"source: {ci.path}"))
    assert "what is not pinned may be anything tomorrow" in refused(source, shop)


def test_everything_wrong_with_several_uses_is_said_at_once(
    source: GitSource, shop: Repository, ci: Repository
) -> None:
    sha = ci.commit(andon_yaml=TEMPLATE, bad_yaml=TEMPLATE.replace("run: pytest", "rnu: pytest"))
    pin = f"source: {ci.path}, revision: {sha}"
    shop.commit(
        andon_yaml=uses(
            f"{pin}, file: gone.yaml",
            f"{pin}, file: bad.yaml",
            f"source: {ci.path}, revision: {'0' * 40}",
            f"source: {ci.path}/nothing, revision: {sha}",
        )
    )
    said = refused(source, shop)
    assert f"andon.yaml:6:5: spec.templates[0]: there is no {ci.path}: gone.yaml at" in said
    assert "bad.yaml at" in said
    assert "unknown field" in said
    assert "spec.templates[2]: The repository" in said
    assert "spec.templates[3]: There is no git repository" in said


def test_what_is_given_to_a_template_elsewhere_is_checked(
    source: GitSource, shop: Repository, ci: Repository
) -> None:
    sha = ci.commit(andon_yaml=TEMPLATE)
    pin = f"source: {ci.path}, revision: {sha}"
    shop.commit(andon_yaml=uses(f"{pin}, version: 2, with: {{ pyhton: 3 }}".replace("2,", "'2',")))
    said = refused(source, shop)
    assert "Template `py` is of version 1.2.0, not 2" in said
    assert "did you mean `python`?" in said


@pytest.mark.parametrize("named", ["file:///etc", "/etc", "../ci", "ext::sh -c true", "-x"])
def test_folders_of_this_machine_are_read_only_for_a_repository_of_it(
    source: GitSource, shop: Repository, named: str
) -> None:
    from andon.api.parse import parse_or_raise
    from andon.app.templates import read_templates

    text = uses(f"source: '{named}', revision: {'0' * 40}").encode()
    documents = parse_or_raise(text, "andon.yaml")
    remote = "https://git.example.org/shop.git"
    with pytest.raises(InvalidDocument):
        read_templates(source, remote, "1" * 40, documents, {"andon.yaml": text})


def test_a_strangers_change_names_no_repository_that_the_rules_do_not(
    source: GitSource, shop: Repository, ci: Repository
) -> None:
    sha = ci.commit(andon_yaml=TEMPLATE)
    use = uses(f"source: {ci.path}, revision: {sha}")
    plain = "apiVersion: andon/v1\nkind: Pipeline\nmetadata: { name: shop }\nspec: { jobs: { a: { run: x } } }\n"
    before = shop.commit(andon_yaml=plain)
    known = shop.commit(andon_yaml=use)
    assert "none of the repositories that the rules in force read" in refused(
        source, shop, trusted=False
    )
    for adopted, fine in ((known, True), (before, False)):
        arguments = (source, str(shop.path), "main", adopted, "main")
        if fine:
            assert not load(*arguments, trusted=False).trusted
        else:
            with pytest.raises(InvalidDocument):
                load(*arguments, trusted=False)


def test_what_a_change_touches_is_what_differs_from_the_last_good_one(
    source: GitSource, shop: Repository
) -> None:
    text = PIPELINE.format(uses="  - { template: py }") + "---\n" + TEMPLATE
    good = shop.commit(andon_yaml=text, a_txt="1")
    shop.commit(b_txt="1")
    last = shop.commit(c_txt="1")
    arguments = (source, str(shop.path), "main", good, "main")
    assert load(*arguments, last_good=good).paths == ("b.txt", "c.txt")
    assert load(*arguments).paths == ("b.txt", "c.txt")
    assert load(source, str(shop.path), "main", None, "main").paths is None
    assert load(source, str(shop.path), "main", last, "main", last_good=last).paths is None
