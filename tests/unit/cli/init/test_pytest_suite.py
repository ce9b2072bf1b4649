from __future__ import annotations

import pytest

from andon.cli.init.folder import Folder
from andon.cli.init.pytest_suite import read_pytest_suite

BUILD = "[build-system]\nrequires = []\n[project]\nname = 'a'\n"


def suite(root, files, source=""):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    found = read_pytest_suite(Folder(root), source)
    return found and (found.requirements, found.packages)


@pytest.mark.parametrize(
    ("files", "requirements", "packages"),
    [
        ({"pyproject.toml": f"{BUILD}[tool.pytest.ini_options]\n"}, (), (".", "pytest")),
        (
            {"pyproject.toml": f"{BUILD}optional-dependencies = {{test = ['pytest>=8', 'trio']}}\n"},
            (),
            (".[test]",),
        ),
        (
            {
                "pyproject.toml": f"{BUILD}[dependency-groups]\ntest = ['pytest', {{include-group = 'more'}}]\n"
                "more = ['trio', {include-group = 'test'}]\ndocs = ['sphinx']\n"
            },
            (),
            (".", "pytest", "trio"),
        ),
        (
            {"setup.py": "", "requirements/tests.txt": "pytest==8\n", "requirements/docs.txt": "x"},
            ("requirements/tests.txt",),
            (".",),
        ),
        (
            {"app.py": "", "requirements.txt": "flask\n", "requirements-dev.txt": "pytest-cov\n", "tests/conftest.py": ""},
            ("requirements.txt", "requirements-dev.txt"),
            ("pytest",),
        ),
        (
            {"pyproject.toml": f"{BUILD}optional-dependencies = {{docs = ['x'], all = ['ruff', 'pytest>=8']}}\n"},
            (),
            (".[all]",),
        ),
        ({"setup.py": "", "tox.ini": "commands = pytest\n"}, (), (".", "pytest")),
        ({"setup.py": "", "testing/conftest.py": ""}, (), (".", "pytest")),
        (
            {"setup.py": "", "pyproject.toml": "[dependency-groups]\ntest = ['--index-url=http://x', 'pytest']"},
            (),
            (".", "pytest"),
        ),
    ],
)  # fmt: skip
def test_what_tests_need_is_read_from_the_projects_own_files(
    tmp_path, files, requirements, packages
):
    assert suite(tmp_path, files) == (requirements, packages)


def test_without_a_word_of_pytest_it_is_not_assumed(tmp_path):
    assert suite(tmp_path, {"pyproject.toml": BUILD, "tests/test_a.py": "import unittest"}) is None


def test_a_broken_pyproject_is_no_obstacle(tmp_path):
    assert suite(tmp_path, {"pyproject.toml": "[[[", "setup.py": "pytest"}) == (
        (),
        (".", "pytest"),
    )
