"""The Pipeline that an import comes to, as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from andon.api.circles import circles
from andon.api.problems import Path
from andon.domains.pipelines.foreign.carrying import (
    Carrying,
    Document,
    Imported,
    without_empty,
)
from andon.domains.pipelines.foreign.drafts import Draft
from andon.domains.pipelines.foreign.render import render
from andon.domains.pipelines.foreign.shell import refusing
from andon.kernel.errors import InvalidDocument

_FIRST = ("triggers", "schedule", "concurrency", "stages", "env")


def finish(
    name: str,
    file: str,
    head: Sequence[str],
    spec: Document,
    drafts: Iterable[Draft],
    carrying: Carrying,
    unknown: str,
) -> Imported:
    """Write the Pipeline and close the account.

    Args:
        name: Of the Pipeline.
        file: Of the input.
        head: What all readers should know.
        spec: Fields besides the jobs.
        drafts: The jobs.
        carrying: The account.
        unknown: Why a value that was never asked for is not in the result.

    Raises:
        InvalidDocument: Jobs need each other; no engine takes such a file.
    """
    comments: dict[Path, list[str]] = {}
    jobs: Document = {}
    for draft in drafts:
        jobs[draft.name] = draft.document()
        comments["spec", "jobs", draft.name] = [*draft.comments, *_refused(draft)]
    for circle in circles({job: said.get("needs", ()) for job, said in jobs.items()}):
        raise InvalidDocument(
            f"{file}: jobs need each other: {' → '.join((*circle, circle[0]))}",
            hint="its own engine refuses it, too",
        )
    if not jobs:
        jobs["nothing"] = {"run": refusing(f"{file} has no jobs")}
    ordered = {field: spec[field] for field in _FIRST if field in spec}
    document = {
        "apiVersion": "andon/v1",
        "kind": "Pipeline",
        "metadata": {"name": name},
        "spec": without_empty({**ordered, "jobs": jobs}),
    }
    notes = carrying.notes(unknown)
    lost = [note for note in notes if note.became == "not-carried"]
    comments["apiVersion",] = [
        f"Imported from {file}.",
        *head,
        *(["Not carried over:"] if lost else []),
        *(f"  line {note.line}: {note.field}: {note.why}" for note in lost[:100]),
        *([f"  … and {len(lost) - 100} more"] if len(lost) > 100 else []),
    ]
    return Imported(text=render(document, comments), notes=notes)


def _refused(draft: Draft) -> list[str]:
    """Say why a job never runs, and when it would."""
    if not draft.refused:
        return []
    said = [f"CHECK: not run until this is written anew: {draft.refused}"]
    return [*said, f"if: {draft.head['if']}"] if "if" in draft.head else said
