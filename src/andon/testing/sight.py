"""What is seen of a line in a scenario, with labels in the place of names, and what is not as expected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from andon.api.v1 import actions
from andon.api.v1.control import Selector
from andon.api.v1.jobs import SecretRef
from andon.api.v1.records import Object, StepRow
from andon.app import queries, why
from andon.domains.line.gate import is_active
from andon.ports.store import Tx
from andon.testing.simulated_line import SimulatedLine

Item = Mapping[str, Any]


class Sight:
    """Sees what became of a line.

    Args:
        line: Whose store and world are looked at.
    """

    def __init__(self, line: SimulatedLine) -> None:
        self.line = line
        self.labels: dict[str, str] = {}
        """Labels by Change name."""

    # --- names -----------------------------------------------------------------------------------

    def _change(self, label: str) -> str:
        return next((name for name, known in self.labels.items() if known == label), label)

    def _named(self, text: str) -> str:
        for name, label in sorted(self.labels.items(), key=lambda pair: -len(pair[1])):
            label = re.escape(label)
            text = re.sub(rf"(?<![\w-]){label}$|(?<=-){label}(?=$|-later$)", name, text)
        if text.startswith("rotation-"):
            runs = self.line.look(lambda tx: tx.list(Selector(kind="Run")))
            text = next((run.name for run in runs if self.told(run.name) == text), text)
        return text

    def told(self, text: str) -> str:
        """Put labels in the place of names."""
        for name in sorted(self.labels, key=len, reverse=True):
            text = text.replace(name, self.labels[name])
        text = re.sub(r"\b[0-9a-f]{40}\b", lambda found: self._label_of(found[0]), text)
        text = re.sub(r"\b(rotation-[a-z0-9-]+-[0-9]+)-[0-9a-f]{6}\b", r"\1", text)
        return re.sub(r"@sha256%3A[0-9a-f]{64}", "", text)

    def _label_of(self, sha: str) -> str:
        return self.line.world.messages.get(sha, sha)

    def _version(self, key: str) -> str:
        """Label a version by its Change and the secrets it sees."""
        seen = self._secrets_of(key)
        said = sorted({f"+{ref.name}@{ref.version}" for ref in seen.values()})
        return "".join([self._change_of(key), *said])

    def _secrets_of(self, key: str) -> dict[str, SecretRef]:
        for _, action in self.line.world.performed:
            if isinstance(action, actions.DeployReplicas) and action.version.key == key:
                return action.secrets
        return {}

    def _secrets_in(self, environment: str, service: str) -> str:
        """Tell what the running version of a service sees."""
        version = self.line.get("Environment", environment).status.services[service]
        return " ".join(
            f"{variable}={ref.environment}/{ref.name}@{ref.version}"
            for variable, ref in sorted(self._secrets_of(version.key).items())
        )

    def _change_of(self, key: str) -> str:
        for _, action in self.line.world.performed:
            version = getattr(action, "version", None)
            if version is not None and version.key == key:
                return self.labels.get(str(version.change), key)
        return key

    # --- looking ---------------------------------------------------------------------------------

    def effects(self, environment: str, service: str) -> list[str]:
        """Tell what was done to a service, in order, without observations and repetitions."""
        lines = []
        seen = set()
        for key, action in self.line.world.performed:
            place = (getattr(action, "environment", ""), getattr(action, "service", ""))
            if place != (environment, service) or isinstance(action, actions.OBSERVATIONS):
                continue
            if key not in seen:
                lines.append(self._tell(action))
            seen.add(key)
        return lines

    def _tell(self, action: Any) -> str:
        name = type(action).__name__
        if isinstance(action, actions.SetWeights):
            weights = {self._version(key): weight for key, weight in action.weights.items()}
            return " ".join([name, *(f"{one}={weights[one]:g}" for one in sorted(weights))])
        version = getattr(action, "version", None)
        return f"{name} {self._version(version.key) if version else 'nothing'}"

    def weights(self, environment: str, service: str) -> list[str]:
        """List the weights that were set, in order."""
        lines = self.effects(environment, service)
        return [one.removeprefix("SetWeights ") for one in lines if one.startswith("SetWeights")]

    def ledger(self) -> list[str]:
        """Return the ledger with labels."""
        return [self.told(line) for line in self.line.ledger()]

    def _all(self, kind: str) -> dict[str, Object]:
        found = self.line.look(lambda tx: tx.list(Selector(kind=kind)))
        return {self.told(one.name): one for one in found}

    def facts(self) -> dict[str, Any]:
        """Return all that may be expected, by name."""
        now = self.line.clock.now()
        changes, runs = self._all("Change"), self._all("Run")
        holds = self._all("Hold")
        world = self.line.world
        return {
            "changes": {name: one.status.phase for name, one in changes.items()},
            "runs": {name: _phase(one) for name, one in runs.items()},
            "messages": {name: one.status.message for name, one in (runs | changes).items()},
            "steps": {name: self._steps(one) for name, one in runs.items()},
            "said": {
                f"{name} {row.name}": row.message
                for name, one in runs.items()
                for row in self.line.look(partial(_rows, run=one))
            },
            "holds": sorted(name for name, one in holds.items() if is_active(one, now)),
            "incidents": {name: one.status.phase for name, one in self._all("Incident").items()},
            "told": [
                self.told(f"{one['event']} {one['run']} {one['reason']}") for one in world.told
            ],
            "running": self._running(),
            "desired": {
                f"{environment}/{service}": self.labels.get(version.change, version.change)
                for (environment, service), version in sorted(world.desired.items())
            },
            "replicas": {
                f"{environment}/{service} {self._version(key)}": count
                for (environment, service, key), count in sorted(world.replicas.items())
            },
        }

    def _running(self) -> dict[str, str]:
        return {
            f"{place}/{service}": self.labels.get(version.change, version.change)
            for place, one in self._all("Environment").items()
            for service, version in one.status.services.items()
        }

    def _steps(self, run: Object) -> dict[str, str]:
        return {row.name: row.state for row in self.line.look(partial(_rows, run=run))}

    # --- expecting -------------------------------------------------------------------------------

    def check(self, expected: Item) -> list[str]:
        """Return what is not as expected."""
        facts = self.facts()
        return [
            problem
            for topic, wanted in expected.items()
            for problem in self._check_topic(topic, wanted, facts)
        ]

    def _check_topic(self, topic: str, wanted: Any, facts: dict[str, Any]) -> list[str]:
        match topic:
            case "ledger":
                return _in_order(wanted, self.ledger())
            case "never":
                ledger = self.ledger()
                return [f"the ledger has {one}" for one in wanted if one in ledger]
            case "weights" | "effects":
                return [
                    f"{topic} of {place}: {found}"
                    for place, lines in wanted.items()
                    if (found := getattr(self, topic)(*place.split("/"))) != list(lines)
                ]
            case "schedules":
                told = {one["cron"]: one for one in self.line.look(queries.schedules)}
                return [
                    f"schedule {cron}: {found}"
                    for cron, part in wanted.items()
                    if not part.items() <= (found := told.get(cron, {})).items()
                ]
            case "why":
                return [
                    one for place, text in wanted.items() for one in self._check_why(place, text)
                ]
            case "secrets":
                return [
                    f"secrets of {place}: {found}"
                    for place, text in wanted.items()
                    if (found := self._secrets_in(*place.split("/"))) != text
                ]
            case "holds" | "told" | "desired" | "replicas" | "running":
                return [] if facts[topic] == wanted else [f"{topic}: {facts[topic]}"]
            case "messages" | "said":
                return _parts(wanted, facts[topic])
            case "steps":
                return [
                    f"steps of {run}: {facts['steps'].get(run)}"
                    for run, states in wanted.items()
                    if not states.items() <= facts["steps"].get(run, {}).items()
                ]
        found = {name: facts[topic].get(name) for name in wanted}
        return [] if found == dict(wanted) else [f"{topic}: {found}"]

    def _check_why(self, place: str, wanted: str) -> list[str]:
        subject, _, environment = place.partition(" in ")
        now = self.line.clock.now()
        name = self._named(subject)
        answer = self.line.look(lambda tx: why.explain(tx, name, environment, now))
        said = self.told(f"{'open' if answer['open'] else 'closed'}: {answer['summary']}")
        opens = [one["opens"] for one in (*answer["holds"], *answer["missing"])]
        text = self.told(" | ".join([said, *opens]))
        return [] if wanted in text else [f"why {place}: {text}"]


def _rows(tx: Tx, run: Object) -> list[StepRow]:
    return tx.steps(run.uid)


def _phase(run: Object) -> str:
    return f"{run.status.phase} {run.status.reason}".strip()


def _parts(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    return [
        f"message of {name}: {found.get(name)!r}"
        for name, part in wanted.items()
        if part not in found.get(name, "")
    ]


def _in_order(wanted: list[str], found: list[str]) -> list[str]:
    """Find the lines one after the other; others may lie between them."""
    rest = iter(found)
    missing = next((line for line in wanted if line not in rest), None)
    return [] if missing is None else ["\n  ".join([f"the ledger lacks {missing!r}:", *found])]
