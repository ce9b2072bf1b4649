"""Andon's own metrics.

Source: the Prometheus text exposition format, version 0.0.4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from andon.api.v1.records import RolloutPlan
from andon.app import queries
from andon.ports.store import Tx

MOST_COUNTED = 10_000


def exposition(tx: Tx) -> str:
    """Write all metrics as they are now."""
    now = tx.now()
    gauges: dict[str, Mapping[str, float]] = {
        "runs_active": {"": len(queries.active_runs(tx))},
        "holds_active": {"": len(queries.active_holds(tx, now))},
        "rollout_weight_percent": _weights(tx),
        "turns_due": {"": len(tx.due_tasks(now, MOST_COUNTED))},
        "actions_open": _by_queue(one.queue for one in tx.unfinished()),
        "dead_letters": _by_queue(one.queue for one in tx.dead_letters()),
        "workers_alive": {"": _alive(tx, now)},
        "ledger_events": {"": tx.last_seq()},
        "paused": {"": float(bool(tx.paused()))},
    }
    lines = []
    for name, values in gauges.items():
        lines.append(f"# TYPE andon_{name} gauge")
        lines += [f"andon_{name}{labels} {value:g}" for labels, value in values.items()]
    return "\n".join(lines) + "\n"


def _weights(tx: Tx) -> dict[str, float]:
    weights = {}
    for run in queries.active_runs(tx):
        if run.spec.rollout is not None:
            plan: RolloutPlan = run.spec.rollout
            labels = f'{{environment="{plan.environment}",service="{plan.service}"}}'
            weights[labels] = run.status.weight
    return weights


def _by_queue(names: Iterable[str]) -> dict[str, float]:
    return {f'{{queue="{name}"}}': count for name, count in sorted(Counter(names).items())}


def _alive(tx: Tx, now: float) -> int:
    return sum(1 for name, _, _, until in tx.leases() if name.startswith("worker/") and until > now)
