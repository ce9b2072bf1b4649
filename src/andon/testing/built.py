"""A repository whose builds ended in every way there is, in a real store and with real logs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from andon.adapters.process.logs import read_chunk
from andon.api.v1.actions import CaseDone, CoverageDone, JobDone, RunJob, TestsDone
from andon.api.v1.control import ActionRow, NewObject
from andon.api.v1.jobs import BuildPlan, JobPlan
from andon.api.v1.pipelines import PipelineSpec
from andon.api.v1.records import (
    BUILD_ONLY,
    ChangeSpec,
    ChangeStatus,
    Phase,
    RunSpec,
    RunStatus,
    StepRow,
)
from andon.kernel.errors import NotFound
from andon.kernel.ids import idempotency_key
from andon.ports.store import Place, Store, Tx

BEGAN = 1_780_000_000.0
HOSTILE = '<img src="x" onerror="document.title=1"><b>bold?</b> \x1b]0;title\x07\x1b[2J&amp;'
"""What a stranger may print."""


class Piece(Struct, frozen=True):
    """Part of a log."""

    data: bytes
    next_offset: int


class LogFolder:
    """Reads logs of a folder, as the agent does.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[tuple[str, int]] = []

    async def read(self, name: str, offset: int, most: int) -> Piece:
        """Read a piece.

        Raises:
            NotFound: There is no such log.
        """
        self.asked.append((name, offset))
        try:
            data, following = read_chunk(self.folder / name, offset, most)
        except OSError:
            raise NotFound(f"there is no log {name}") from None
        return Piece(data, following)

    def write(self, name: str, data: bytes) -> None:
        """Write a log."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


def sha_of(number: int) -> str:
    """Return the commit of a Change."""
    return hashlib.sha1(b"%d" % number, usedforsecurity=False).hexdigest()


async def put_change(store: Store, number: int, **different: Any) -> None:
    """Write a Change that came ``number`` minutes after the first."""
    at = BEGAN + 60 * number
    spec = ChangeSpec(
        repository=different.pop("repository", "/srv/shop"),
        sha=sha_of(number),
        ref=different.pop("ref", "main"),
        author="Ada <ada@example.com>",
        message=different.pop("message", f"Change number {number}\n\nbody"),
        committed_at=different.pop("committed_at", at - 30),
        policy_revision="0",
        pipeline_name="main",
        pipeline=PipelineSpec(verdict_within_seconds=different.pop("limit", 300.0)),
        services={},
        environments=different.pop("environments", {}),
        sequence=number,
        until=BUILD_ONLY if different.pop("proposed", False) else "",
        **different,
    )

    def write(tx: Tx) -> None:
        new = NewObject(
            kind="Change",
            name=f"shop-{number}",
            spec=spec,
            status=ChangeStatus(phase="Running"),
            labels={"repository": "shop"},
        )
        tx.create(new, f"c{number:06d}", at)

    await store.transact(write)


async def put_build(
    store: Store,
    number: int,
    rows: Sequence[tuple[JobPlan, StepRow, JobDone | None]] = (),
    *,
    phase: Phase = "Succeeded",
    seconds: float = 100.0,
) -> None:
    """Write the build Run of a Change: it began at once and took ``seconds``."""
    began = BEGAN + 60 * number
    plan = BuildPlan(repository="/srv/shop", sha=sha_of(number), jobs=tuple(r[0] for r in rows))
    over = phase not in ("Running", "Pending", "Waiting")

    def write(tx: Tx) -> None:
        new = NewObject(
            kind="Run",
            name=f"build-shop-{number}",
            spec=RunSpec(type="build", change=f"shop-{number}", build=plan),
            status=RunStatus(
                phase=phase, started_at=began, finished_at=began + seconds if over else 0
            ),
            labels={"type": "build", "change": f"shop-{number}"},
        )
        run, _ = tx.create(new, f"r{number:06d}", began)
        for job, row, done in rows:
            tx.put_step(run.uid, row)
            if done is None:
                continue
            key = idempotency_key(run.uid, 1, job.name, row.attempt)
            action = RunJob(run=run.name, repository="/srv/shop", sha=plan.sha, job=job)
            asked = ActionRow(key=key, step=job.name, attempt=row.attempt, action=action)
            tx.ask(run.uid, asked, 1, began, Place(queue="RunJob"), owner="w")
            tx.set_outcome(key, 1, done, began)
            tx.consume([key])

    await store.transact(write)


def every_state(began: float) -> list[tuple[JobPlan, StepRow, JobDone | None]]:
    """Return jobs in every state there is; the tests of one failed."""

    def row(name: str, position: int, state: Any, start: float, end: float, **more: Any) -> StepRow:
        return StepRow(
            name=name,
            position=position,
            state=state,
            started_at=began + start if end else 0,
            finished_at=began + end if end else 0,
            log=more.pop("log", f"build-shop-1/{name}-0.log" if end else ""),
            **more,
        )

    failed = TestsDone(
        passed=211,
        failed=2,
        skipped=3,
        failures=(
            CaseDone(
                id="tests.cart::test_total_has_vat",
                state="failed",
                message=f"assert 119 == 100 {HOSTILE}",
                file="tests/test_cart.py",
                line=42,
            ),
            CaseDone(id="tests.cart::test_empty", state="error", message="KeyError: 'sku'"),
        ),
    )
    covered = CoverageDone(lines=1000, covered=934, branches=10, branches_covered=7)
    matrix: Any = {"group": "test", "at_once": 2, "needs": ("build",)}
    return [
        (
            JobPlan(name="build", origin="andon.yaml:4"),
            row("build", 0, "passed", 0, 31),
            JobDone(state="passed", seconds=29, caches={"pip": "hit", "node": "miss+kept"}),
        ),
        (
            JobPlan(name="lint", key="k"),
            row("lint", 1, "passed", 0, 0.01, log="", figures={"reused": "build-shop-0/lint"}),
            None,
        ),
        (
            JobPlan(name="test-311", values={"PYTHON": "3.11"}, **matrix),
            row(
                "test-311",
                2,
                "failed",
                31,
                82,
                fault="change",
                message="2 of 216 tests failed",
                figures={"tests": {"passed": 211, "failed": 2, "skipped": 3}},
            ),
            JobDone(state="failed", fault="change", seconds=51, tests=failed, coverage=covered),
        ),
        (
            JobPlan(name="test-312", values={"PYTHON": "3.12"}, **matrix),
            row(
                "test-312",
                3,
                "passed",
                31,
                79,
                attempt=1,
                figures={
                    "flaky": {"attempts": 2, "failed": "1 of 216 tests failed"},
                    "coverage": {
                        "lines": 1000,
                        "covered": 934,
                        "branches": 10,
                        "branchesCovered": 7,
                    },
                },
            ),
            JobDone(state="passed", seconds=40),
        ),
        (
            JobPlan(name="test-313", values={"PYTHON": "3.13"}, **matrix),
            row(
                "test-313", 4, "interrupted", 40, 60, fault="machine", message="the host went away"
            ),
            None,
        ),
        (
            JobPlan(name="contract"),
            row(
                "contract",
                5,
                "quarantined",
                0,
                55,
                message="only tests in quarantine failed",
                figures={"quarantined": ["pact::orders"]},
            ),
            None,
        ),
        (
            JobPlan(name="docs", skip="paths: docs/**"),
            row(
                "docs", 6, "skipped-by-rule", 0, 0.01, log="", message="paths: docs/** not touched"
            ),
            None,
        ),
        (
            JobPlan(name="package", needs=("test-311",)),
            row("package", 7, "not-run", 0, 0, message="test-311 did not pass"),
            None,
        ),
        (
            JobPlan(name="nightly"),
            row("nightly", 8, "cancelled", 0, 20, message="ada cancelled it"),
            None,
        ),
    ]
