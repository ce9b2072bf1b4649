from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from andon.api.parse import MAX_BYTES, MAX_PROBLEMS, parse_documents, parse_or_raise
from andon.api.problems import Problem
from andon.api.project import check_project
from andon.kernel.errors import InvalidDocument

GOLDEN = Path(__file__).parent / "golden"


def service(spec: str, name: str = "shop") -> str:
    return (
        f"apiVersion: andon/v1\nkind: Service\nmetadata: {{name: {name}}}\n"
        f"spec:\n  command: [x]\n{spec}"
    )


def problems(text: str | bytes) -> tuple[Problem, ...]:
    return parse_documents(text if isinstance(text, bytes) else text.encode(), "f.yaml").problems


def only(text: str | bytes) -> Problem:
    (problem,) = problems(text)
    return problem


@pytest.mark.parametrize("name", ["everything_wrong", "wrong_references"])
def test_messages_are_as_written_down(name):
    """Read the expected text as somebody at three in the morning would; rewrite: ANDON_GOLDEN=1."""
    data = (GOLDEN / f"{name}.yaml").read_bytes()
    said = (
        "\n".join(str(problem) for problem in check_project({"andon.yaml": data}).problems) + "\n"
    )
    expected = GOLDEN / f"{name}.txt"
    if os.environ.get("ANDON_GOLDEN"):
        expected.write_text(said)
    assert said == expected.read_text()


def test_a_good_document_says_where_it_stands():
    text = "# shop\n\n" + service("") + "---\n# more\n" + service("", "other")
    parsed = parse_documents(text.encode(), "f.yaml")
    assert parsed.problems == ()
    assert [(d.metadata.name, d.file, d.line) for d in parsed.definitions] == [
        ("shop", "f.yaml", 3),
        ("other", "f.yaml", 10),
    ]


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "---\n---\n# a\n...\n"])
def test_an_empty_file_says_nothing(text):
    parsed = parse_documents(text.encode(), "f.yaml")
    assert (parsed.definitions, parsed.problems) == ((), ())


def test_byte_order_mark_and_windows_line_ends_are_read():
    text = "\ufeff" + service("  replicas: none\n").replace("\n", "\r\n")
    assert (only(text).line, only(text).column) == (6, 13)


def test_good_documents_are_returned_beside_broken_ones():
    text = service("") + "---\n" + service("  replicas: x\n", "other") + "---\na: [\n"
    parsed = parse_documents(text.encode(), "f.yaml")
    assert [d.metadata.name for d in parsed.definitions] == ["shop"]
    assert parsed.broken == {("Service", "other")}
    assert len(parsed.problems) == 2


def test_yaml_1_1_words_stay_text():
    parsed = parse_documents(service("  config: {A: no, B: 12:30:45, C: 010}\n").encode(), "f")
    assert parsed.problems == ()
    assert parsed.definitions[0].spec.config == {"A": "no", "B": "12:30:45", "C": "010"}


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("8080", 'write it in quotes: A: "8080"'),
        ("1.10", 'write it in quotes: A: "1.10"'),
        ("true", 'write it in quotes: A: "true"'),
        ("", 'write it in quotes: A: ""'),
        ("1e3", 'write it in quotes: A: "1e3"'),
        ("0x10", 'write it in quotes: A: "0x10"'),
    ],
)
def test_configuration_that_is_not_text_is_to_be_quoted_as_typed(typed, hint):
    problem = only(service(f"  config:\n    A: {typed}\n"))
    assert (problem.field, problem.hint) == ("spec.config.A", hint)


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf", "1e400"])
def test_numbers_that_are_not_finite_are_refused(number):
    assert only(service(f"  drainSeconds: {number}\n")).field == "spec.drainSeconds"


def test_a_name_that_ends_in_a_line_break_is_refused():
    assert only(service("", '"shop\\n"')).field == "metadata.name"


def test_every_duplicate_key_is_shown_where_it_is_written_again():
    found = problems(service("  replicas: 1\n  replicas: 2\n  config: {A: b, A: c}\n"))
    assert [(p.field, p.line, p.column) for p in found] == [
        ("spec.replicas", 7, 3),
        ("spec.config.A", 8, 18),
    ]


def test_the_same_name_twice_is_a_problem_of_the_second():
    problem = only(service("") + "---\n" + service(""))
    assert problem.line == 7
    assert problem.message == "Service `shop` is already defined at f.yaml:1"


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", 3, 2, "not YAML: did not find expected ',' or ']'"),
        ("a: 1\n\tb: 2\n", 2, 1, "not YAML: found a tab character that violates indentation"),
        ("a: 1\n---\nb: *gone\n", 3, 4, "not YAML: unknown anchor"),
        ("a: 1\nb: \x07\n", 2, 4, "the control character U+0007 is not allowed"),
        ("x: {[1]: 2}\n", 1, 5, "a list or mapping is used as a key"),
    ],
)
def test_broken_yaml_says_line_and_column(text, line, column, message):
    problem = problems(text)[-1]
    assert (problem.line, problem.column, problem.message) == (line, column, message)


def test_bytes_that_are_not_utf8_say_where():
    problem = only(b"a: 1\nb: caf\xe9\n")
    assert (problem.line, problem.column) == (2, 7)
    assert problem.message == "byte 0xe9 is not UTF-8 text"


def test_aliases_that_repeat_are_read_and_bombs_are_refused():
    good = service("  config: {A: &a text, B: *a}\n")
    assert problems(good) == ()
    deep = "".join(
        f"{c}: &{c} [{', '.join([f'*{p}'] * 9)}]\n" for p, c in itertools.pairwise("abcdefgh")
    )
    assert "aliases expand" in only("a: &a [x, x, x, x, x, x, x, x, x]\n" + deep).message
    wide = f"a: &a [{'x, ' * 5000}]\nb: [{'*a, ' * 5000}]\n"
    assert "aliases expand" in only(wide).message


def test_an_alias_of_itself_is_refused():
    assert "nested too deeply" in only("a: &a [*a]\n").message


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 50_000, "- " * 100_000])
def test_deep_nesting_is_refused(text):
    assert only(text).message.startswith("not YAML: ")


def test_a_file_too_large_is_not_read():
    assert "at most" in only(b"#" * (MAX_BYTES + 1)).message


def test_the_number_of_problems_is_bounded():
    found = problems(service("".join(f"  x{n}: 1\n" for n in range(500))))
    assert len(found) == MAX_PROBLEMS + 1
    assert "more problems follow" in found[-1].message


def test_merge_keys_are_refused_with_a_way_out():
    problem = only(service("  config:\n    <<: {A: b}\n"))
    assert "merge keys" in problem.message
    assert "base" in problem.hint


def test_all_problems_are_in_the_message_of_the_exception():
    with pytest.raises(InvalidDocument) as caught:
        parse_or_raise(service("  replicas: x\n  replcas: 2\n").encode(), "f.yaml")
    assert "2 problems" in caught.value.message
    assert "f.yaml:6:13" in caught.value.message
    assert "did you mean `replicas`?" in caught.value.message


def test_control_characters_of_a_document_never_reach_the_terminal():
    text = service('  "\\e[31mred": 1\n  replicas: "\\e]0;x\\a"\n')
    assert all(str(problem).replace("\n", "").isprintable() for problem in problems(text))
