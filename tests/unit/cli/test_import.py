from __future__ import annotations

import json

from andon.cli.run import run

WORKFLOW = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps: [{run: make}]\n"
PARTLY = WORKFLOW + "    outputs: {x: y}\n"


def test_a_pipeline_on_standard_output_and_the_report_on_standard_error(tmp_path, capsys):
    (tmp_path / "ci.yml").write_text(PARTLY)
    assert run(["import", "github", str(tmp_path / "ci.yml")]) == 0
    said = capsys.readouterr()
    assert "kind: Pipeline" in said.out
    assert f"{tmp_path}/ci.yml:6: jobs.a.outputs" in said.err
    assert "instead:" in said.err


def test_strict_exits_with_three_where_something_was_not_carried_over(tmp_path, capsys):
    (tmp_path / "whole.yml").write_text(WORKFLOW)
    (tmp_path / "partly.yml").write_text(PARTLY)
    assert run(["import", "github", str(tmp_path / "whole.yml"), "--strict"]) == 0
    assert run(["import", "github", str(tmp_path / "partly.yml"), "--strict"]) == 3


def test_an_existing_file_is_left_as_it_is(tmp_path, capsys):
    (tmp_path / "ci.yml").write_text(WORKFLOW)
    output = tmp_path / "andon.yaml"
    words = ["import", "github", str(tmp_path / "ci.yml"), "-o", str(output)]
    assert run(words) == 0
    assert run(["validate", str(output)]) == 0
    output.write_text("mine")
    assert run(words) == 5
    assert output.read_text() == "mine"
    assert run([*words, "--force"]) == 0
    assert "kind: Pipeline" in output.read_text()


def test_json_holds_the_report_and_the_document(tmp_path, capsys):
    (tmp_path / "ci.yml").write_text(PARTLY)
    assert run(["import", "github", str(tmp_path / "ci.yml"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert not answer["complete"]
    assert [note["field"] for note in answer["notes"] if note["became"] == "not-carried"] == [
        "jobs.a.outputs"
    ]
    assert "kind: Pipeline" in answer["document"]


def test_a_file_that_is_none_is_refused_in_one_sentence(tmp_path, capsys):
    assert run(["import", "github", str(tmp_path / "nothing.yml")]) == 4
    (tmp_path / "list.yml").write_text("- a\n")
    assert run(["import", "gitlab", str(tmp_path / "list.yml")]) == 3
    (tmp_path / "two.yml").write_text("a: 1\n---\nb: 2\n")
    assert run(["import", "github", str(tmp_path / "two.yml")]) == 3
    assert "Traceback" not in capsys.readouterr().err
