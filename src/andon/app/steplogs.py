"""The captured log of a step, piece by piece."""

from __future__ import annotations

from andon.adapters.agentclient import AgentClient
from andon.api.v1 import answers
from andon.api.v1.records import ENDED_STEP, RolloutPlan
from andon.app import queries
from andon.app.builds.logs import whole_characters
from andon.kernel.errors import NotFound
from andon.ports.store import Store, Tx

LONGEST_CHARACTER = 4
"""Bytes of UTF-8."""


async def read_log(
    store: Store, agent: AgentClient, run: str, step: str, offset: int, max_bytes: int
) -> answers.LogPiece:
    """Read a piece of a step's log, cut between characters."""

    def find(tx: Tx) -> tuple[str, str, bool]:
        found = queries.run(tx, run)
        rows = {row.name: row for row in tx.steps(found.uid)}
        if step not in rows:
            known = ", ".join(rows) or "none yet"
            raise NotFound(f"{found.name} has no step {step}", hint=f"its steps: {known}")
        row = rows[step]
        name = row.log or f"{found.name}/{_job_name(found.spec.rollout, step)}-{row.attempt}.log"
        return found.name, name, row.state in ENDED_STEP

    name, file, ended = await store.read(find)
    piece = await agent.tail_log(file, offset, max_bytes)
    # A character that is cut apart comes whole with the next piece.
    cut = whole_characters(piece.data) if max_bytes >= LONGEST_CHARACTER else len(piece.data)
    if ended and not cut:
        cut = len(piece.data)
    return {
        "run": name,
        "step": step,
        "data": piece.data[:cut].decode(errors="replace"),
        "offset": offset,
        "nextOffset": piece.next_offset - len(piece.data) + cut,
        "ended": ended and not piece.data,
    }


def _job_name(plan: RolloutPlan | None, step: str) -> str:
    """Return the job behind a step: jobs around a deployment carry their side as a prefix."""
    return step if plan is None else step.split("-", 1)[1]
