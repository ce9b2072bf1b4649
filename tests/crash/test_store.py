"""The store under a kill -9 and on a full disk: what was acknowledged is there, the rest is not."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from andon.store import open_store, verify_ledger

SOURCE = "/andon/test"
DEADLINE_SECONDS = 120

WRITER = """
import asyncio, sys
from andon.store import open_store
from andon.testing.store_objects_suite import NOTICES, NOW, event, hold, notice

async def main(path):
    store = open_store(path, source="/andon/test")

    async def produce(number):
        for n in range(100_000):
            name = f"{number}-{n}"
            def turn(tx):
                tx.create(hold(name), f"uid-{name}", NOW)
                tx.ask(f"uid-{name}", notice(f"key-{name}"), 1, NOW, NOTICES)
                tx.append(event(f"event-{name}", stream=f"env/{number}"), NOW)
                tx.wake("Hold", name, NOW)
            await store.transact(turn)
            sys.stdout.write(name + "\\n")
            sys.stdout.flush()

    await asyncio.gather(*(produce(number) for number in range(4)))

asyncio.run(main(sys.argv[1]))
"""

FULL = """
import asyncio, resource, sys
from andon.kernel.errors import Unavailable
from andon.store import open_store, verify_ledger
from andon.testing.store_objects_suite import appending, event

async def main(path):
    store = open_store(path, source="/andon/test")
    await store.transact(appending(event("before")))
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, most))
    written = 1
    try:
        while True:
            one = event(f"e{written}", data={"filler": "x" * 5_000})
            await store.transact(appending(one))
            written += 1
    except Unavailable as error:
        print("full:", error.hint)
    rows = await store.read(lambda tx: tx.events())
    assert len(rows) == written, (len(rows), written)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    await store.transact(appending(event("after", data={"filler": "x" * 500_000})))
    found = await store.read(verify_ledger)
    assert not found.findings, found.findings
    assert found.events == written + 1
    store.close()
    print("healed")

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize("acknowledged_before_kill", [1, 40, 400])
async def test_kill_in_the_middle_of_writes_loses_nothing_acknowledged(
    tmp_path: Path, acknowledged_before_kill: int
) -> None:
    path = tmp_path / "control.db"
    acknowledged = _killed_writer(path, acknowledged_before_kill)
    store = open_store(str(path), source=SOURCE)
    found = await store.read(verify_ledger)
    unfinished = {one.row.key for one in await store.read(lambda tx: tx.unfinished())}
    events = {row.id for row in await store.read(lambda tx: tx.events(limit=1_000_000))}
    tasks = await store.transact(lambda tx: tx.claim("w", 2e9, 10.0, 1_000_000))
    assert found.findings == ()
    assert {f"event-{name}" for name in acknowledged} <= events
    # Each turn is there as a whole, acknowledged or not.
    names = {id.removeprefix("event-") for id in events}
    assert unfinished == {f"key-{name}" for name in names}
    assert {task.name for task in tasks} == names
    store.close()


def _killed_writer(path: Path, lines: int) -> list[str]:
    """Run the writer, kill it after so many acknowledgements; all it acknowledged."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        names = [process.stdout.readline().strip() for _ in range(lines)]
    finally:
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == -signal.SIGKILL
    complete = rest[: rest.rfind("\n") + 1].split()
    assert all(names)
    return names + complete


def test_full_disk_is_unavailable_and_work_goes_on_by_itself(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "control.db")],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["full: free some space; work goes on by itself", "healed"]
