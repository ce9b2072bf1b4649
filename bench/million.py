"""List calls over a long ledger: ``python -m bench.million [EVENTS]``; exits 8 when one is too slow.

Times are the best of several in milliseconds, over a ledger of 1,000,000 events on SQLite.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from andon.api.v1.control import Event
from andon.ports.store import Tx
from andon.store import open_store

EVENTS = 1_000_000
FILL = 10_000
ROUNDS = 5
NOW = 1_700_000_000.0
LIST_MS, FILTER_MS = 200.0, 20.0
TYPES = ("service.deployed.0.3.0", "service.upgraded.0.3.0", "taskrun.finished.0.3.0")


def _filling(start: int, count: int) -> Any:
    def fill(tx: Tx) -> None:
        for n in range(start, start + count):
            tx.append(
                Event(
                    id=f"e{n}",
                    stream="env/rare" if n % 10_000 == 0 else f"env/{n % 50}",
                    type=f"dev.cdevents.{TYPES[n % 3]}",
                    subject=f"service-{n % 500}",
                    chain=f"c{n // 20}",
                    data={"n": n},
                ),
                NOW + n,
            )

    return fill


CALLS: dict[str, tuple[float, dict[str, Any]]] = {
    "first page": (LIST_MS, {}),
    "page in the middle": (LIST_MS, {"after": EVENTS // 2}),
    "last page": (LIST_MS, {"after": EVENTS - 100}),
    "one change": (FILTER_MS, {"chain": "c25000"}),
    "one stream": (FILTER_MS, {"stream": "env/7"}),
    "a rare stream": (FILTER_MS, {"stream": "env/rare"}),
    "a stream's end": (FILTER_MS, {"stream": "env/7", "after": EVENTS - 5_000}),
    "one subject": (FILTER_MS, {"subject": "service-7"}),
    "one type": (FILTER_MS, {"type": "dev.cdevents.service.upgraded.0.3.0"}),
    "a family of types": (FILTER_MS, {"type": "dev.cdevents.service."}),
    "subject and type": (FILTER_MS, {"subject": "service-7", "type": "dev.cdevents.taskrun."}),
    "nothing found": (FILTER_MS, {"stream": "env/none"}),
}


async def run(events: int) -> int:
    missed = 0
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        store = open_store(str(Path(folder) / "control.db"), source="/andon/bench")
        for start in range(0, events, FILL):
            await store.transact(_filling(start, FILL))
        for name, (most, asked) in CALLS.items():
            best = 1e9
            for _ in range(ROUNDS):
                began = time.perf_counter()
                await store.read(lambda tx, asked=asked: tx.events(limit=100, **asked))
                best = min(best, (time.perf_counter() - began) * 1000)
            missed += best > most
            mark = "ok    " if best <= most else "MISSED"
            print(f"{mark} {name}: {best:.1f} ms (at most {most:g})", flush=True)
        store.close()
    return 8 if missed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS)))
