"""A room in which objectives are really counted, alerts watched, and other tools heard."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from andon.api.v1.access import Grant, Identity
from andon.api.v1.alerts import AlertsSpec
from andon.api.v1.control import Selector
from andon.api.v1.records import Object
from andon.app.telemetry.alerts import Alerts
from andon.app.telemetry.budgets import Budgets
from andon.app.telemetry.receivers import ROUTED
from andon.app.telemetry.watch import Watch
from andon.ports.asking import Asked
from andon.ports.store import LedgerRow
from andon.testing.promises import PromiseWorld

ANN = Asked(by="person:ann")
PAGER = Asked(by="service:pager")
HOUR = 3600.0
DOWN = {
    "status": "firing",
    "labels": {"alertname": "Down", "severity": "critical", "service": "db"},
}


class Door:
    """Knows two tokens, and remembers who was refused."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def of_token(self, secret: str) -> Identity | None:
        roles = {"t0ken": "reporter", "looker": "viewer"}
        if secret not in roles:
            return None
        return Identity(name=f"service:{secret}", grants=(Grant(role=roles[secret]),))

    async def denied(self, who: str, operation: str, environment: str, *, via: str = "") -> None:
        self.refused.append(who)


class Room:
    """Objectives that are really counted, and what watches them."""

    def __init__(self, folder: Path, spec: AlertsSpec) -> None:
        self.world = PromiseWorld(folder)
        self.spec = spec
        self.door = Door()
        self.seq = 0
        self.begin()

    def begin(self) -> None:
        """Begin anew with what lies in the store."""
        world = self.world
        self.budgets = Budgets(world.store, world.turns, world.clock)
        parts = (world.store, world.turns, world.clock)
        self.watch = Watch(*parts, world.objectives, self.budgets, self.spec)
        self.alerts = Alerts(*parts, self.watch, self.spec, self.door)

    def live(self, seconds: float, **traffic: Any) -> None:
        """Let time pass, and look."""
        self.world.live(seconds, **traffic)
        self.look()

    def look(self) -> None:
        self.do(self.watch.turn())

    def do(self, wish: Any) -> Any:
        return asyncio.run(wish)

    def told(self, *events: Any) -> Any:
        return self.do(
            self.alerts.take_alertmanager({"version": "4", "alerts": [*events]}, asked=PAGER)
        )

    def page(self, action: str, key: str = "k", token: str = "t0ken", **payload: Any) -> Any:
        body = {"routing_key": token, "event_action": action, "dedup_key": key, "payload": payload}
        return self.do(self.alerts.take_pagerduty(body, asked=Asked(by=""), who=None))

    def list(self, **which: Any) -> list[dict[str, Any]]:
        return self.do(self.alerts.list(**{"all": False, "limit": 50} | which))["alerts"]

    def conditions(self) -> dict[str, str]:
        """Return what fires of availability, by condition: the severity."""
        mine = (one for one in self.list() if one["labels"].get("target") == "availability")
        return {one["labels"]["condition"]: one["severity"] for one in mine}

    def events(self, beginning: str = "") -> list[LedgerRow]:
        rows = self.world.transact(lambda tx: tx.events(limit=10_000))
        return [row for row in rows if row.type.startswith(beginning)]

    def names(self, beginning: str = "dev.cdeventsx.andon-alert.") -> list[str]:
        return [row.type.split(".")[3] for row in self.events(beginning)]

    def holds(self) -> list[Object]:
        return self.world.transact(
            lambda tx: tx.list(Selector(kind="Hold", labels={"state": "active"}))
        )

    def routed(self) -> list[dict[str, Any]]:
        return [json.loads(row.body)["data"]["subject"]["content"] for row in self.events(ROUTED)]
