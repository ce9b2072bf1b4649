"""Documents: any bytes give definitions or problems that a person can be shown."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from material import every, mutated

from andon.api.parse import MAX_PROBLEMS, parse_documents
from andon.api.project import check_project, group

PIECES = [
    b"---\n", b"...\n", b"%YAML 1.2\n", b"&a ", b"*a ", b"*a, " * 50, b"!!python/object ", b"<<: *a\n",
    b"[" * 50, b"{a: " * 50, b"- " * 50, b"? ", b": ", b"|\n", b">-\n", b"'", b'"', b"\\ud800", b"\xff",
    b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\0", b"\t", b"\r", b".nan", b"-.inf", b"1e999",
    b"9" * 400, b"0x" + b"f" * 400, b"1" + b"_1" * 400, b"2001-99-99", b"~", b"true", b"\x1b[2J",
]  # fmt: skip


def check(data: bytes) -> None:
    for problem in (
        *parse_documents(data, "f.yaml").problems,
        *check_project({"f": data}).problems,
    ):
        assert problem.message
        assert len(str(problem)) < 20_000
        assert str(problem).encode()
    read = check_project({"f": data})
    assert len(read.problems) <= MAX_PROBLEMS + 1
    if not read.problems:
        group(read.definitions)


@every("documents")
def test_kept_document_gives_definitions_or_problems(path: Path) -> None:
    check(path.read_bytes())


@given(mutated("documents", PIECES))
def test_changed_document_gives_definitions_or_problems(data: bytes) -> None:
    check(data)
