"""Sigma rules as predicates."""

from __future__ import annotations

from pathlib import Path

import pytest

from andon.adapters.telemetry.sigma import Rule, parse_rules, read_rules
from andon.kernel.errors import UsageError

RULE = """
title: Secrets asked for
id: 929a690e-bef0-4204-a928-ef5e620d6fcc
status: test
level: high
tags: [attack.t1190]
logsource: {category: webserver}
detection:
  selection:
    c-uri|contains: ['/.env', '/wp-*/x']
    sc-status: 200
  filter:
    c-ip|cidr: 10.0.0.0/8
  condition: selection and not filter
"""


def one(folder: Path, detection: str, source: str = "{product: x}") -> Rule:
    (folder / "rule.yml").write_text(
        f"title: T\nstatus: test\nlevel: low\nlogsource: {source}\ndetection:\n{detection}\n"
    )
    found = read_rules(folder)
    assert found.problems == ()
    return found.rules[0]


def test_a_rule_says_what_it_is_and_matches_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "env.yml").write_text(RULE)
    (rule,) = read_rules(tmp_path).rules
    assert (rule.title, rule.level, rule.tags) == ("Secrets asked for", "high", ("attack.t1190",))
    good = {"c-uri": "/A/.ENV?x", "sc-status": "200", "c-ip": "8.8.8.8"}
    assert rule.matches(good, "", "shop")
    assert rule.matches(good | {"c-uri": "/wp-admin/x"}, "", "shop")
    assert not rule.matches(good | {"sc-status": "404"}, "", "shop")
    assert not rule.matches(good | {"c-ip": "10.1.2.3"}, "", "shop")
    assert not rule.matches({}, "/.env", "shop")


@pytest.mark.parametrize(
    ("condition", "fields", "matches"),
    [
        ("f: abc", {"f": "ABC"}, True),
        ("f: abc", {"f": "abcd"}, False),
        ("f|cased: abc", {"f": "ABC"}, False),
        ("f: 'a?c*'", {"f": "aXcdef"}, True),
        ("f|startswith: ab", {"f": "abc"}, True),
        ("f|endswith: ab", {"f": "abc"}, False),
        ("f|re: '^a.+c$'", {"f": "abbc"}, True),
        ("f|re: '^(a+)+$'", {"f": "a" * 5000 + "b"}, False),
        ("f|gt: 5", {"f": "6.5"}, True),
        ("f|lte: 5", {"f": "six"}, False),
        ("f: 5", {"f": "5.0"}, True),
        ("f: null", {"g": "1"}, True),
        ("f: null", {"f": "1"}, False),
        ("f|exists: true", {"f": ""}, True),
        ("f|exists: false", {"f": ""}, False),
        ("f|contains|all: [a, b]", {"f": "xbxa"}, True),
        ("f|contains|all: [a, b]", {"f": "xb"}, False),
        ("f: true", {"f": "true"}, True),
        ("f: abc", {}, False),
    ],
)
def test_conditions(tmp_path: Path, condition: str, fields: dict[str, str], matches: bool) -> None:
    rule = one(tmp_path, f"  s:\n    {condition}\n  condition: s")
    assert rule.matches(fields, "", "shop") is matches


def test_keywords_stand_anywhere_in_the_line(tmp_path: Path) -> None:
    rule = one(tmp_path, "  k: ['union select', 'a*z']\n  condition: k")
    assert rule.matches({}, "GET /?q=1 UNION SELECT 2", "x")
    assert rule.matches({}, "xx a to z xx", "x")
    assert not rule.matches({}, "union", "x")


def test_one_of_them(tmp_path: Path) -> None:
    rule = one(tmp_path, "  s1: {f: a}\n  s2: {f: b}\n  condition: 1 of s*")
    assert rule.matches({"f": "b"}, "", "x")
    assert not rule.matches({"f": "c"}, "", "x")


def test_a_rule_of_a_service_looks_at_no_other(tmp_path: Path) -> None:
    rule = one(tmp_path, "  s: {f: a}\n  condition: s", "{service: sshd}")
    assert rule.matches({"f": "a"}, "", "sshd")
    assert not rule.matches({"f": "a"}, "", "shop")


def test_what_cannot_be_read_is_named_and_the_others_count(tmp_path: Path) -> None:
    (tmp_path / "good.yml").write_text(RULE)
    (tmp_path / "bad.yml").write_text("title: [")
    (tmp_path / "none.yml").write_text("title: x\nlogsource: {product: x}\n")
    (tmp_path / "placeholder.yml").write_text(
        "title: P\nlogsource: {product: x}\ndetection:\n  s:\n    f|expand: '%admins%'\n  condition: s\n"
    )
    found = read_rules(tmp_path)
    assert [one.title for one in found.rules] == ["Secrets asked for"]
    assert [one.partition(":")[0] for one in found.problems] == [
        "bad.yml", "none.yml", "placeholder.yml",
    ]  # fmt: skip


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        read_rules(tmp_path / "none")


FINE = """title: Fine
logsource: {category: webserver}
detection: {s: {a: b}, condition: s}
"""


def wide(values: int) -> str:
    return FINE.replace("{a: b}", "{a: [" + ", ".join(map(str, range(values))) + "]}")


def nested(depth: int) -> str:
    aliases = "".join(f"  x{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, depth))
    return f"title: B\nlogsource: {{}}\ndetection:\n  x0: &a0 [a, b]\n{aliases}  condition: x0\n"


@pytest.mark.parametrize(
    ("hostile", "said"),
    [
        (nested(9), "its aliases expand too far"),
        (FINE.replace("condition: s", f"condition: {' or '.join(['s'] * 900)}"), "at most 2000"),
        (FINE.replace("condition: s", f"condition: {'(' * 90}s"), "no Sigma rule"),
        (wide(60), "50 comparisons of a line are the most"),
        (FINE.replace("{a: b}", "{a|re: '(((a{900}){900}){900})'}"), "rule.yml"),
        (FINE.replace("{a: b}", "{a|re: '(a+)+\\1$'}"), "rule.yml"),
        ("title: [\ndetection: x", "cannot be read"),
        ("x" * 300_000, "too large"),
    ],
)
def test_hostile_rule_is_told_and_stops_no_other(hostile: str, said: str) -> None:
    told = parse_rules({"rule.yml": hostile, "fine.yml": FINE}, most_tests=50)
    assert [rule.title for rule in told.rules] == ["Fine"]
    (problem,) = told.problems
    assert said in problem
    assert problem.startswith("rule.yml: ")
    assert len(problem) < 1000


def test_regular_expression_takes_linear_time_whoever_wrote_it() -> None:
    (rule,) = parse_rules({"r.yml": FINE.replace("{a: b}", "{a|re: '^(a+)+$'}")}).rules
    assert not rule.matches({"a": "a" * 5000 + "b", "c-uri": "/"}, "", "shop")


def test_rules_of_some_services_look_at_no_others() -> None:
    (rule,) = parse_rules({"r.yml": FINE}, services=("shop",)).rules
    line = {"a": "b", "c-uri": "/"}
    assert rule.matches(line, "", "shop")
    assert not rule.matches(line, "", "bank")
