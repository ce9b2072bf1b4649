"""A worker of the soak: a process with the real engine, store, agent and webhooks."""

from __future__ import annotations

import argparse
import asyncio
from functools import partial
from pathlib import Path

from story import STREAM, SoakController

from andon.adapters.agentclient import AgentClient, ensure_agent
from andon.adapters.git import GitSource
from andon.adapters.local import LocalExecutor
from andon.adapters.oci import OciArtifactStore
from andon.adapters.webhook import WebhookNotifier
from andon.api.v1.actions import Notify, RunJob
from andon.api.v1.control import Event
from andon.app.home import this_home, worker_slot
from andon.kernel.errors import AndonError
from andon.ports.store import Limit, Store, Tx
from andon.runtime.engine import Engine
from andon.runtime.singleton import Guard, Singleton
from andon.runtime.system import SystemClock, SystemRandomness
from andon.runtime.turns import Turns
from andon.runtime.worker import Pace
from andon.store import open_store
from andon.testing.secrets import FixedSecrets

BEAT_SECONDS = 0.2
JOBS_AT_ONCE = 4


async def reign(store: Store, worker: str, guard: Guard) -> None:
    """Leave a trace in the ledger as long as the lease is ours."""
    number = 0
    while True:
        number += 1

        def trace(tx: Tx, number: int = number) -> None:
            guard(tx)
            token = next(token for name, _, token, _ in tx.leases() if name == "soak")
            kind = "dev.cdeventsx.andon-soak.reigned.0.1.0"
            event = Event(
                id=f"reign/{token}/{worker}/{number}",
                stream=f"{STREAM}/reign",
                type=kind,
                subject=str(token),
                data={"worker": worker},
            )
            tx.append(event, tx.now())

        try:
            await store.transact(trace)
        except AndonError as error:
            if not error.retry:
                raise
        await asyncio.sleep(BEAT_SECONDS)


async def main() -> None:
    """Work until killed."""
    parser = argparse.ArgumentParser()
    for name in ("database", "receiver", "repository", "sha"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--lease", type=float, required=True)
    options = parser.parse_args()
    state: Path = options.state
    clock, pace = SystemClock(), Pace(options.lease)
    with worker_slot(state, this_home(state, SystemRandomness())) as name:
        store = open_store(options.database, source="/andon/soak", idle_seconds=pace.idle_seconds)
        await asyncio.to_thread(ensure_agent, state)
        socket = state / "agent" / "agent.sock"
        agent = AgentClient(socket, clock, revive=lambda: ensure_agent(state))
        source = GitSource(state / "repositories")
        artifacts = OciArtifactStore(state / "oci", source, state / "work")
        executor = LocalExecutor(agent, source, artifacts, state / "work", secrets=FixedSecrets())
        controller = SoakController(options.receiver, options.repository, options.sha)
        engine = Engine(
            store,
            Turns([controller], SystemRandomness()),
            {RunJob: executor.run_job, Notify: WebhookNotifier().notify},
            name,
            pace,
            {"RunJob": Limit(at_once=JOBS_AT_ONCE)},
        )
        await engine.start()
        reigning = Singleton(store, "soak", name, pace, partial(reign, store, name))
        await asyncio.gather(engine.run(), reigning.run())


if __name__ == "__main__":
    asyncio.run(main())
