"""The page about jobs shows a valid Pipeline, and every typed step with all it takes."""

from __future__ import annotations

import re
from pathlib import Path

from andon.adapters.steps import BUILT_IN
from andon.api.project import check_project, read_project
from andon.api.v1.pipelines import ChangeFacts
from andon.app.typed import typed_step
from andon.domains.pipelines.expand import expand

PAGE = (Path(__file__).resolve().parents[2] / "docs/jobs.md").read_text()
(BLOCK,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_the_pipeline_is_valid_and_its_typed_step_brings_its_caches() -> None:
    files = {"andon.yaml": BLOCK.encode()}
    assert check_project(files).problems == ()
    read = read_project(files)
    build, browse = expand(read.pipeline, ChangeFacts(), read.templates, typed=typed_step)
    assert [step.name for step in build.steps] == ["python", "version", "wheel"]
    assert [cache.name for cache in build.caches] == ["python-environment", "python-packages"]
    assert [service.ready_path for service in browse.services] == ["/health"]
    assert (build.disk_bytes, browse.disk_bytes) == (0, 2 << 30)


def test_every_typed_step_is_on_the_page_with_all_it_takes() -> None:
    for name, kind in BUILT_IN.items():
        [row] = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
        assert all(f"`{field}`" in row for field in kind.settings.__struct_encode_fields__)
