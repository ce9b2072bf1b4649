"""Everything that a play leaves, as lines of text that two plays can be compared by.

Exact pictures, for one and the same moment of two plays, leave out only what decides nothing later:
random identities are replaced by the names of what they identify; tokens, versions and owners say who
wrote, not what was written; hashes follow from the rest and are verified apart. The events of a Run
are in order in each stream, and so are the effects on a service; those of two Runs in one instant may
interleave in either way, and so may the members of a JSON object.

Timeless pictures, for the ends of two plays in which time passed differently, leave out moments
besides, the traffic that was counted until then, and how often somebody looked: observations change
nothing, and which of two turns of one instant comes first decides how many there are. The rest must be
the same.
"""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec
from receiver import Told

from andon.api.v1.actions import OBSERVATIONS, Action, WriteDesired
from andon.kernel.digest import sha256
from andon.ports.store import Tx
from andon.store.transaction import Transaction
from andon.testing.scenario import Scenario

Picture = dict[str, list[str]]

QUERIES = {
    "object": "SELECT created_at, kind, name, generation, spec, status, labels FROM object",
    "label": "SELECT kind, key, value, uid FROM label",
    "step": "SELECT uid, position, name, body FROM step",
    "action": "SELECT key, step, attempt, body, outcome, consumed, created_at, finished_at, queue,"
    " batch FROM action",
    "event": "SELECT stream, chain, id, type, subject, time, body FROM event ORDER BY seq",
    "link": "SELECT source, target, kind FROM link",
    "sample": "SELECT uid, n, body FROM sample",
    "task": "SELECT kind, name, due, ahead, lease_until, attempts FROM task",
    "bucket": "SELECT name, level, at FROM bucket",
    "dead_letter": "SELECT queue, subject, error, attempts FROM dead_letter",
    "setting": "SELECT key, CASE WHEN substr(key, 1, 7) = 'sealed:' THEN 'sealed anew' ELSE value END FROM setting",
}
COUNTED = {"sample", "bucket", "traffic"}
"""What was measured until a moment."""

_MOMENT = re.compile(r"\b1[67]\d{8}(?:\.\d+)?\b|\b20\d\d-\d\d-\d\dT[\d:.]+Z")
_TRAFFIC = re.compile(r'"latency":\{[^}]*\}|"(?:r|tableR)equests":\d+')
_LOOKS = re.compile(r'(?<="memory":\{"attempt":)\d+')
"""How often an Environment has looked at what runs there."""
_LOOK = re.compile(rf'\{{"action":"({"|".join(one.__name__ for one in OBSERVATIONS)})"')


def exact(scenario: Scenario, told: Told) -> Picture:
    """Picture the present moment of a play."""
    line, world = scenario.line, scenario.line.world
    picture: Picture = line.look(_stored)
    performed = (
        f"{_place(action, key)}\t{key}\t{_text(action)}"
        for key, action in world.performed
        if not isinstance(action, OBSERVATIONS)
    )
    picture["effect"] = list(dict.fromkeys(performed))
    picture["told"] = [f"{key} {_text(body)}" for key, bodies in told.items() for body in bodies]
    picture["world"] = [
        *(f"desired {place} {_text(version)}" for place, version in world.desired.items()),
        *(f"replicas {place} {count}" for place, count in world.replicas.items()),
        *(f"weights {place} {sorted(one.items())}" for place, one in world.weights.items()),
        *(f"struck {number} {key}" for number, keys in world.struck.items() for key in keys),
    ]
    picture["traffic"] = [repr(arm) for arm in world.arms.values()]
    return _named(picture, line.look(_names) | _commits(scenario))


def timeless(picture: Picture) -> Picture:
    """Leave out of an exact picture what depends on when things happened."""
    return {
        topic: _in_order(topic, [_untimed(line) for line in lines if not _LOOK.search(line)])
        for topic, lines in picture.items()
        if topic not in COUNTED
    }


def _untimed(line: str) -> str:
    return _LOOKS.sub("N", _MOMENT.sub("T", _TRAFFIC.sub("", line)))


def differences(found: Picture, expected: Picture) -> list[str]:
    """Name the lines that only one of two pictures has."""
    said = []
    for topic, theirs in expected.items():
        mine = found[topic]
        if mine == theirs:
            continue
        lines = [f"{topic}: {line}" for line in mine if line not in theirs]
        lines += [f"{topic} lacks: {line}" for line in theirs if line not in mine]
        said += lines or [f"{topic}: in another order"]
    return said


def digest(picture: Picture, *more: object) -> str:
    """Name a picture, and what else makes up the moment."""
    return sha256(repr((picture, more)).encode())


def _stored(tx: Tx) -> Picture:
    db = cast(Transaction, tx)._db
    rows = {topic: db.run(query) for topic, query in QUERIES.items()}
    rows["object"] = [(*row[:5], _sorted_json(row[5]), row[6]) for row in rows["object"]]
    rows["event"].sort(key=lambda row: (row[0], _story_of(row[2])))
    return {topic: ["\t".join(map(_cell, row)) for row in some] for topic, some in rows.items()}


def _story_of(event_id: str) -> str:
    """Name the Run an event is about, be it the Run's own or that of its Hold or Incident."""
    parts = event_id.split("/")
    return re.sub("^(latch|incident)-", "", parts[1]) if len(parts) > 1 else event_id


def _sorted_json(text: str) -> str:
    return _text(msgspec.json.decode(text))


def _cell(value: Any) -> str:
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).decode()
    return str(value)


def _names(tx: Tx) -> dict[str, str]:
    rows = cast(Transaction, tx)._db.run("SELECT uid, kind, name FROM object")
    return {uid: f"<{kind} {name}>" for uid, kind, name in rows}


def _commits(scenario: Scenario) -> dict[str, str]:
    """Commits of the desired state are named by their keys, and so by identities."""
    return {
        sha256(key.encode())[7:19]: f"<{action.service} in {action.environment}>"
        for key, action in scenario.line.world.performed
        if isinstance(action, WriteDesired)
    }


def _named(picture: Picture, names: dict[str, str]) -> Picture:
    """Put names in the place of identities."""
    lines = ((topic, line.replace("\n", " ")) for topic, some in picture.items() for line in some)
    text = "\n".join(f"{topic}\t{line}" for topic, line in lines)
    for identity, name in names.items():
        text = text.replace(identity, name)
    text = re.sub(r"(?<= in )(\w+>)[0-9a-f]{28}\b", r"\1", text)
    named: Picture = {topic: [] for topic in picture}
    for line in text.split("\n"):
        topic, _, rest = line.partition("\t")
        named[topic].append(rest)
    return {topic: _in_order(topic, some) for topic, some in named.items()}


def _in_order(topic: str, lines: list[str]) -> list[str]:
    if topic == "effect":
        return sorted(lines, key=lambda line: line.split("\t")[0])
    return lines if topic == "event" else sorted(set(lines))


def _place(action: Action, key: str) -> str:
    """Name what an action acts on: a service somewhere, or else its Run's own things."""
    service = getattr(action, "service", "")
    return f"{getattr(action, 'environment', '')}/{service}" if service else key.split("/")[0]


def _text(value: Any) -> str:
    return msgspec.json.encode(value, order="sorted").decode()
