"""A line that stands still: ``LineService`` over fixed answers, for the web layer and the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from andon.kernel.errors import Denied, Held, NotFound
from andon.ports.asking import Asked
from andon.ports.news import Item, Sees

Json = dict[str, Any]

BEGAN = 1_780_000_000.0


def version(letter: str, sha: str) -> Json:
    """Return a version whose digest is one letter."""
    digest = f"sha256:{letter * 64}"
    return {"digest": digest, "configHash": "c0ffee123456", "change": "shop-2", "sha": sha}


def a_run(**different: Any) -> Json:
    """Return a canary that is under way."""
    run = {
        "name": "rollout-prod-storefront-2",
        "type": "rollout",
        "change": "shop-2",
        "sha": "b2c3d4e5f6a7" + "0" * 28,
        "service": "storefront",
        "environment": "prod",
        "version": version("b", "b2c3d4e5f6a7" + "0" * 28),
        "phase": "Running",
        "reason": "",
        "message": "judging at 25 %",
        "weight": 25.0,
        "verdict": "Wait",
        "expectedSeconds": 12.0,
        "evidenceLog": 0.7,
        "evidenceThreshold": 4.6,
        "fitLog": 2.9,
        "fitThreshold": 4.6,
        "canaryRequests": 1840,
        "canaryErrors": 2,
        "stableRequests": 5520,
        "stableErrors": 5,
        "startedAt": BEGAN,
        "verdictAt": 0,
        "zeroWeightAt": 0,
        "finishedAt": 0,
        "steps": [
            {
                "name": "canary-25",
                "position": 3,
                "state": "running",
                "attempt": 0,
                "failures": 0,
                "rule": "",
                "flaky": False,
                "reused": "",
                "quarantined": [],
                "fault": None,
                "message": "",
                "log": "canary.log",
                "startedAt": BEGAN,
                "finishedAt": 0,
            }
        ],
    }
    return run | different


def a_hold(**different: Any) -> Json:
    """Return a Hold that only a person lifts."""
    hold = {
        "name": "hold-1",
        "scope": {"environment": "prod", "service": "orders"},
        "scopeText": "service orders, environment prod",
        "reason": 'stock count <script>alert("x")</script> until noon',
        "source": "person:ada",
        "lift": "Manual",
        "createdAt": BEGAN,
        "expiresAt": 0,
        "liftedAt": 0,
        "opens": "andon lift hold-1 -m REASON",
        "effects": {},
    }
    return hold | different


def a_change(**different: Any) -> Json:
    """Return a Change on its way."""
    change = {
        "name": "shop-2",
        "sha": "b2c3d4e5f6a7" + "0" * 28,
        "ref": "main",
        "repository": "/srv/shop",
        "author": "Ada <ada@example.com>",
        "message": "Show related goods\n\nbody",
        "phase": "Running",
        "statusMessage": "rolling out in prod",
        "until": "",
        "environments": {"dev": "Succeeded", "prod": "Running"},
        "startedAt": BEGAN,
        "finishedAt": 0,
    }
    return change | different


def an_event(seq: int) -> Json:
    """Return the ledger event with a sequence."""
    return {
        "kind": "event",
        "seq": seq,
        "id": f"event-{seq}",
        "at": BEGAN + seq,
        "type": "dev.cdevents.service.deployed.0.3.0",
        "stream": "env/prod",
        "chain": "shop-2",
        "subject": "storefront",
        "text": f"event number {seq}",
    }


def a_service(environment: str, service: str, **different: Any) -> Json:
    """Return a service that serves and rests."""
    row = {
        "environment": environment,
        "service": service,
        "address": "http://127.0.0.1:24001",
        "version": version("a", "a1b2c3d4e5f6" + "0" * 28),
        "phase": "Succeeded",
        "weight": 100.0,
        "canary": None,
        "replicas": {"ready": 2, "wanted": 2},
        "holds": [],
    }
    return row | different


class StillLine:
    """Answers the same for ever, remembers what it was asked to do, and yields ``last`` events.

    Args:
        last: Sequence of the last ledger event.
        endless: Keep event streams open; a browser's virtual time stands still while one is.
    """

    def __init__(self, last: int = 5, *, endless: bool = True) -> None:
        self.last = last
        self.endless = endless
        self.asked: list[tuple[str, Json]] = []
        self.streams = 0
        self._moments = 0
        self.privileges: list[tuple[str, str]] = []

    def _note(self, name: str, asked: Json) -> Json:
        who = asked.pop("asked", None)
        said = asked | ({"by": who.by} if isinstance(who, Asked) else {})
        self.asked.append((name, said))
        return said

    async def ship(self, **asked: Any) -> Json:
        """Take a commit onto the line; the ref ``held`` is refused."""
        may = asked.pop("may")
        if asked["ref"] == "held":
            raise Held("prod is held", hint="andon why prod")
        if asked["until"] == "stage" and not may("dev"):
            raise Denied("the way to stage leads through dev")
        self._note("ship", asked)
        return {"change": "shop-2", "sha": "b" * 40, "message": "Show", "created": True}

    async def knows(self, repository: str) -> bool:
        """Know every repository but one."""
        return repository != "strange"

    async def status(self, *, environment: str = "") -> Json:
        """Show a canary of the storefront and held orders."""
        canary = {"version": version("b", "b2c3d4e5f6a7" + "0" * 28), "run": a_run()}
        rows = [
            *(a_service("dev", name) for name in ("catalogue", "orders", "storefront")),
            a_service("prod", "catalogue"),
            a_service("prod", "orders", holds=[a_hold()]),
            a_service("prod", "storefront", weight=75.0, canary=canary),
        ]
        return {
            "environments": ["dev", "prod"],
            "services": [row for row in rows if environment in ("", row["environment"])],
            "changes": [
                a_change(),
                a_change(
                    name="shop-1",
                    sha="a1b2c3d4e5f6" + "0" * 28,
                    message="Open the shop",
                    phase="Succeeded",
                    statusMessage="",
                ),
            ],
            "runs": [a_run()],
            "holds": [a_hold()],
            "agent": {"version": "0"},
            "gateway": {},
        }

    async def why(self, subject: str, *, environment: str = "", sees: Sees | None = None) -> Json:
        """Explain a Hold and a missing approval."""
        return {
            "subject": subject,
            "kind": "change",
            "open": False,
            "summary": "held by a person",
            "missing": [],
            "holds": [a_hold()],
            "story": [
                {"at": BEGAN, "text": f"{subject} was merged"},
                {"at": BEGAN + 9, "text": "storefront deployed in dev"},
                {"at": BEGAN + 21, "text": "storefront takes 25 % of the traffic in prod"},
            ],
            "evidence": [],
        }

    async def diff(self, **asked: Any) -> Json:
        """Say that nothing changes."""
        return {"environment": asked["environment"], "services": []}

    async def hold(self, **asked: Any) -> Json:
        """Remember a Hold."""
        self._note("hold", asked)
        return a_hold(reason=asked["reason"])

    async def holds(self, *, all: bool = False) -> list[Json]:
        """Return the Hold."""
        return [a_hold()]

    async def find_hold(self, name: str) -> Json:
        """Return the Hold."""
        return a_hold(name=name, revision="1")

    async def place_of(self, kind: str, name: str) -> str:
        """Everything is in prod, unless its name says that it is nowhere."""
        return "" if name.startswith(("build", "nowhere")) else "prod"

    async def environment_named(self, subject: str) -> str:
        """Know two environments."""
        return subject if subject in {"dev", "prod"} else ""

    @property
    def moment(self) -> int:
        """No moment is like the one before."""
        self._moments += 1
        return self._moments

    async def note(self, asked: Asked) -> None:
        """Remember a privilege that was used."""
        if asked.operation:
            self.privileges.append((asked.by, asked.operation))

    async def lift(self, name: str, **asked: Any) -> Json:
        """Remember a lift."""
        self._note("lift", asked | {"name": name})
        return a_hold(name=name)

    async def unlatch(self, **asked: Any) -> Json:
        """Remember an unlatch."""
        self._note("unlatch", asked)
        return {"lifted": [a_hold()]}

    async def rollback(self, **asked: Any) -> Json:
        """Remember a rollback."""
        self._note("rollback", asked)
        return a_run(type="rollback")

    async def cancel(self, run: str, **asked: Any) -> Json:
        """Remember that a Run is to end."""
        self._note("cancel", asked | {"run": run})
        return a_run() | {"cancellation": asked | {"outlook": "it ends"}}

    async def approve(self, change: str, **asked: Any) -> Json:
        """Remember an approval; that of ``own`` is refused."""
        if change == "own":
            raise Denied("ada wrote own, and nobody approves their own change")
        return self._note("approve", asked | {"change": change})

    async def withdraw(self, change: str, **asked: Any) -> Json:
        """Remember that an approval was withdrawn."""
        return self._note("withdraw", asked | {"change": change})

    async def runs(
        self, *, filters: Mapping[str, str], limit: int = 50, after: str = ""
    ) -> list[Json]:
        """Return the one Run, with the question in its message."""
        return [a_run(message=f"{dict(filters)} {limit} {after}")]

    async def run(self, name: str) -> Json:
        """Return the one Run."""
        if name != a_run()["name"]:
            raise NotFound(f"there is no Run {name}", hint="andon runs list")
        return a_run()

    async def log(self, run: str, *, step: str, offset: int = 0, max_bytes: int = 65536) -> Json:
        """Read a log of eleven bytes."""
        data = "hello there"[offset : offset + max_bytes]
        return {
            "run": run,
            "step": step,
            "data": data,
            "offset": offset,
            "nextOffset": offset + len(data),
            "ended": True,
        }

    async def change(self, name: str) -> Json:
        """Return the Change with its Run."""
        if name == "broken":
            raise RuntimeError("a fault in the control plane")
        return a_change(name=name, runs=[a_run()])

    async def changes(self, *, limit: int = 50, after: str = "") -> list[Json]:
        """Return the Change."""
        return [a_change()]

    async def schedules(self) -> list[Json]:
        """Return nothing scheduled."""
        return []

    async def incidents(self) -> list[Json]:
        """There were none."""
        return []

    async def ledger(self, *, after: int = 0, limit: int = 100, **asked: Any) -> list[Json]:
        """Return the events."""
        return [an_event(seq) for seq in range(after + 1, self.last + 1)][:limit]

    async def ledger_event(self, id: str) -> Json:
        """Return the first event."""
        return {"event": an_event(1) | {"id": id}, "body": {}, "causes": [], "effects": []}

    @property
    def book(self) -> Any:
        """Keep the ledger as well."""
        return self

    async def verify(self, *, deep: bool = False) -> Json:
        """All is well."""
        return {"ok": True, "events": self.last, "streams": 1, "findings": []}

    async def watch(self, **asked: Any) -> Json:
        """Remember a watch."""
        return self._note("watch", asked)

    async def unwatch(self, **asked: Any) -> Json:
        """Remember its end."""
        return self._note("unwatch", asked)

    async def watches(self) -> list[Json]:
        """Watch nothing."""
        return []

    async def objects(self, kind: str, *, labels: Mapping[str, str]) -> list[Json]:
        """Return one object."""
        return [{"kind": kind, "metadata": {"name": "one", "labels": dict(labels)}}]

    async def object(self, kind: str, name: str) -> Json:
        """Return it."""
        return {"kind": kind, "metadata": {"name": name}}

    @property
    def news(self) -> Any:
        """Tell the news as well."""
        return self

    async def open(self, after: int, sees: Sees | None = None) -> StillReader:
        """Tell the events after one and a progress, and then nothing for ever (if endless)."""
        events = [_item(an_event(seq)) for seq in range(after + 1, self.last + 1)]
        progress = _item({"kind": "progress", "run": a_run()})
        return StillReader(self, [*(events if after >= 0 else ()), progress])

    async def events(self, after: int) -> AsyncIterator[Json]:
        """Yield the same as plain JSON."""
        async for heard in await self.open(after):
            for item in heard:
                yield msgspec.json.decode(item.body)

    async def metrics(self) -> str:
        """Return one metric."""
        return "andon_ledger_events 5\n"

    async def health(self) -> Json:
        """Be well."""
        return {"ok": True, "version": "0", "state": "", "pid": 1, "startedAt": BEGAN}


def _item(shown: Json) -> Item:
    kind, body = shown["kind"], msgspec.json.encode(shown)
    return Item(kind, shown.get("seq", 0), shown.get("run", {}).get("name", ""), "prod", body)


class StillReader:
    """Hears everything at once, and then nothing any more.

    Args:
        line: Counts it while it is open.
        items: What it hears.
    """

    def __init__(self, line: StillLine, items: list[Item]) -> None:
        self._line = line
        self._items = items
        self.begins = line.last
        self._over = asyncio.Event()
        line.streams += 1

    def __aiter__(self) -> StillReader:
        """Hear."""
        return self

    async def __anext__(self) -> list[Item]:
        """Return all there is; then wait for the end."""
        if self._items and not self._over.is_set():
            heard, self._items = self._items, []
            return heard
        if self._line.endless:
            await self._over.wait()
        raise StopAsyncIteration

    def close(self) -> None:
        """End."""
        if not self._over.is_set():
            self._over.set()
            self._line.streams -= 1
