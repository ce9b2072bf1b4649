from __future__ import annotations

import importlib

import pytest

STARTED_WITH = ("actions", "control", "definitions", "jobs", "pipelines", "records", "words")


@pytest.mark.parametrize("name", STARTED_WITH)
def test_what_every_command_reads_has_annotations_that_need_no_evaluation(name):
    module = importlib.import_module(f"andon.api.v1.{name}")
    assert not hasattr(module, "annotations"), "see andon.api.v1 for why"
