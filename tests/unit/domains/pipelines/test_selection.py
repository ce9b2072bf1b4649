"""What a change can affect runs first."""

from __future__ import annotations

import pytest

from andon.domains.pipelines.imports import Imports
from andon.domains.pipelines.selection import Faulty, Past, risk, select

SOURCES = {
    "src/shop/__init__.py": "",
    "src/shop/money.py": "",
    "src/shop/cart.py": "from .money import Money\n",
    "src/shop/mail.py": "import smtplib\n",
    "src/shop/plugins.py": "import importlib\nimportlib.import_module('shop.' + 'mail')\n",
    "src/shop/pages.py": "PAGE = 'templates/page.html'\n",
    "tests/conftest.py": "import shop.mail\n",
    "tests/unit/test_money.py": "from shop.money import Money\n",
    "tests/unit/test_cart.py": "from shop import cart\n",
    "tests/unit/test_plugins.py": "import shop.plugins\n",
    "tests/unit/test_pages.py": "def test():\n    from shop.pages import PAGE\n",
}
TESTS = sorted(path for path in SOURCES if "/test_" in path)
MONEY, CART, PLUGINS, PAGES = (
    f"tests/unit/test_{name}.py" for name in ("money", "cart", "plugins", "pages")
)


def affected(*changed: str, sources: dict[str, str] = SOURCES) -> list[str]:
    return list(select(TESTS, changed, Imports(sources)).affected)


def test_the_nearest_come_first() -> None:
    assert affected("src/shop/money.py") == [MONEY, CART]
    assert affected("src/shop/cart.py") == [CART]
    assert affected(CART) == [CART]


def test_nothing_is_lost() -> None:
    found = select(TESTS, ["src/shop/cart.py"], Imports(SOURCES))
    assert sorted(found.affected + found.rest) == TESTS


def test_a_package_affects_all_that_import_from_it() -> None:
    assert set(affected("src/shop/__init__.py")) == set(TESTS)


def test_fixtures_and_what_they_import_affect_the_tests_below() -> None:
    assert set(affected("src/shop/mail.py")) == set(TESTS)
    assert set(affected("tests/conftest.py")) == set(TESTS)


def test_an_import_inside_a_function_counts_and_so_does_a_file_that_is_named() -> None:
    assert affected("src/shop/pages.py") == [PAGES]
    assert affected("src/shop/templates/page.html") == [PAGES]


def test_a_file_nobody_is_seen_to_use_may_affect_everything_and_says_so() -> None:
    found = select(TESTS, ["pyproject.toml"], Imports(SOURCES))
    assert (set(found.affected), found.rest) == (set(TESTS), ())
    assert "pyproject.toml" in found.why


def test_prose_and_modules_that_no_test_reaches_affect_nothing() -> None:
    sources = SOURCES | {"src/shop/unused.py": ""}
    assert affected("README.md", "src/shop/unused.py", sources=sources) == []


def test_recorded_coverage_shows_what_imports_do_not() -> None:
    sources = SOURCES | {"src/shop/hidden.py": ""}
    found = select(
        TESTS,
        ["src/shop/hidden.py"],
        Imports(sources),
        covered=frozenset({"src/shop/hidden.py"}),
    )
    assert set(found.affected) == set(TESTS)


def test_a_module_that_is_gone_may_affect_everything() -> None:
    assert set(affected("src/shop/gone.py")) == set(TESTS)


@pytest.mark.parametrize("text", ["def (", "\0", "(" * 5000])
def test_a_file_that_is_no_python_may_import_anything(text: str) -> None:
    sources = SOURCES | {MONEY: text}
    assert MONEY in affected("src/shop/cart.py", sources=sources)


def test_among_equals_what_failed_lately_comes_first_and_then_what_is_quick() -> None:
    past = {
        PLUGINS: Past(seconds=1),
        CART: Past(seconds=9),
        PAGES: Past(failed=2, seconds=20),
        MONEY: Past(failing=True, seconds=30),
    }
    found = select(TESTS, ["tests/conftest.py"], Imports(SOURCES), past=past)
    assert list(found.affected) == [MONEY, PAGES, PLUGINS, CART]


def test_tests_within_files_follow_their_file() -> None:
    tests = [f"{CART}::test_a", f"{PAGES}::test_b", f"{CART}::TestC::test_d"]
    found = select(tests, ["src/shop/cart.py"], Imports(SOURCES))
    assert found.affected == (tests[0], tests[2])


def test_the_risk_is_measured_on_changes_that_broke_tests() -> None:
    faulty = [
        Faulty(paths=("src/shop/money.py",), tests=("tests.unit.test_cart::test_total",)),
        Faulty(
            paths=("src/shop/cart.py",),
            tests=("tests.unit.test_cart::test_total", "tests.unit.test_pages.TestAll::test_b"),
        ),
        Faulty(paths=("src/shop/cart.py",), tests=("tests.unit.test_gone::test_c",)),
    ]
    found = risk(TESTS, faulty, Imports(SOURCES))
    assert (found.failures, found.contained, found.changes, found.caught) == (3, 2, 2, 1)
    assert found.low < 0.5 < found.high


def test_a_file_that_is_gone_by_now_speaks_for_no_selection() -> None:
    faulty = [Faulty(paths=("src/shop/gone.py",), tests=("tests.unit.test_cart::test_total",))]
    assert risk(TESTS, faulty, Imports(SOURCES)).contained == 0


def test_a_relative_import_leads_out_of_no_package() -> None:
    sources = {"a/__init__.py": "", "a/b.py": "from ... import c\nfrom .. import d\n", "c.py": ""}
    assert Imports(sources).distances("c.py") == {"c.py": 0}
