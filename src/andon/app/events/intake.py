"""Events of others: kept in the ledger, tied to a Change, and Evidence where they say how something is.

Whoever may send events here may claim things; so what they claim is Evidence of checks of their own
kind, ``reported/NAME``, that a policy must ask for by that name. No event can pass for an approval, a
deployment or a job of Andon's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from andon.api.cdevents import Problem, modern, moment, problems
from andon.api.v1 import answers
from andon.api.v1.control import Decision, Event, Link, NewObject, Selector
from andon.api.v1.records import Object, Subject, Verdict
from andon.app.events.couriers import INCOMING
from andon.app.shapes import Json
from andon.app.why import find_change
from andon.domains.line import events
from andon.domains.line.evidence import claim
from andon.kernel.clock import Clock
from andon.kernel.digest import sha256, short
from andon.kernel.errors import InvalidDocument, UsageError
from andon.ports.store import LedgerRow, Store, Tx
from andon.runtime.turns import Turns

MOST_EVENTS = 100
DEEPEST = 32
LONGEST = 512
"""Characters of an id or a source."""
REPORTED = "reported/"
_NAMES = {
    "testsuiterun.finished": "testSuite",
    "testcaserun.finished": "testCase",
}
_VERDICTS: dict[str, Verdict] = {"success": "Pass", "failure": "Fail"}
_DIGEST = re.compile(r"sha256(?::|%3[Aa])([0-9a-f]{64})")
_SHA = re.compile(r"[0-9a-f]{7,64}")
_ATTRIBUTE = re.compile(r"[a-z0-9]{1,60}")


class Intake:
    """Takes events.

    Args:
        store: The durable store.
        turns: The controllers, for what new Evidence wakes.
        clock: The time.
    """

    def __init__(self, store: Store, turns: Turns, clock: Clock) -> None:
        self._store = store
        self._turns = turns
        self._clock = clock

    async def take(self, documents: Sequence[Json]) -> answers.Intake:
        """Keep CloudEvents that hold CDEvents; all of them, or none if one cannot be understood.

        Raises:
            UsageError: There are none, or too many.
            InvalidDocument: Something is wrong; the message has every problem, one a line.
        """
        if not 0 < len(documents) <= MOST_EVENTS:
            raise UsageError(
                f"{len(documents)} events were sent; 1 to {MOST_EVENTS} can be taken at once"
            )
        wrong = [
            f"event {number}: {problem}" if len(documents) > 1 else str(problem)
            for number, document in enumerate(documents)
            for problem in check(document)
        ]
        if wrong:
            raise InvalidDocument(
                "\n".join(["this is not a CloudEvent with a CDEvent of 0.4 or 0.5 in it:", *wrong]),
                hint="https://cdevents.dev/docs has what each type must say",
            )
        now = self._clock.now()
        taken = await self._store.transact(
            lambda tx: [self._take(tx, document, now) for document in documents]
        )
        return {"events": taken}

    def _take(self, tx: Tx, document: Json, now: float) -> answers.Taken:
        id = ledger_id(document["source"], document["id"])
        known = tx.event(id)
        # What was said first counts: a repetition may not say something else.
        first = document if known is None else _original(known)
        if first is None:
            return _answer(document, id, known, None, (), ["its body was erased"])
        cdevent = modern(first["data"])
        change = _change_of(tx, cdevent)
        evidence, notes = _evidence(tx, cdevent, id, change, now)
        received = _received(tx, first, cdevent, id, change)
        self._turns.create(tx, Decision(create=evidence, events=(received,)), now)
        return _answer(document, id, known, change, evidence, notes)


def check(document: Any) -> list[Problem]:
    """Return everything that is wrong with a CloudEvent and the CDEvent in it.

    Source: CloudEvents 1.0.2, "Required attributes"; CDEvents 0.5.1, "CloudEvents binding".
    """
    if not isinstance(document, dict):
        return [Problem("the event", "must be an object")]
    if _too_deep(document):
        return [Problem("the event", f"is nested deeper than {DEEPEST}")]
    wrong = [
        Problem(name, f"must be a text of 1 to {LONGEST} characters")
        for name in ("id", "source", "type", "specversion")
        if not isinstance(document.get(name), str) or not 0 < len(document[name]) <= LONGEST
    ]
    wrong += [
        Problem(str(name)[:60], "is no name of an attribute")
        for name in document
        if not _ATTRIBUTE.fullmatch(name) and name != "data_base64"
    ]
    if document.get("specversion") not in (None, "1.0"):
        wrong.append(Problem("specversion", "must be 1.0"))
    data = document.get("data")
    if not isinstance(data, dict):
        return [*wrong, Problem("data", "must be the CDEvent, as JSON")]
    context = data.get("context")
    for name in ("id", "source", "type"):
        if isinstance(context, dict) and name in context and context[name] != document.get(name):
            wrong.append(Problem(name, f"differs from data.context.{name}"))
    return [*wrong, *(Problem(f"data.{one.where}", one.what) for one in problems(modern(data)))]


def _too_deep(document: Json) -> bool:
    level: list[Any] = [document]
    for _ in range(DEEPEST):
        level = [
            part
            for one in level
            for part in (one.values() if isinstance(one, dict) else one)
            if isinstance(part, dict | list)
        ]
        if not level:
            return False
    return True


def ledger_id(source: str, id: str) -> str:
    """Return the id under which the ledger keeps another's event: unique by source and id.

    >>> ledger_id("/ci/main", "17")
    'in/%2Fci%2Fmain/17'
    """
    return f"{INCOMING}{quote(source, safe='')}/{quote(id, safe='')}"


def _original(row: LedgerRow) -> Json | None:
    if not row.body:
        return None
    kept: Json = msgspec.json.decode(row.body)["data"]["customData"]["event"]
    return kept


def _received(tx: Tx, document: Json, cdevent: Json, id: str, change: Object | None) -> Event:
    """Wrap another's event: it is theirs, so it keeps its words, and ours says that it came."""
    targets = [found.id for one in _linked_ids(cdevent) if (found := _linked(tx, cdevent, one))]
    return events.extension(
        "event",
        "received",
        id=id,
        stream=INCOMING + document["source"],
        about=cdevent["subject"]["id"],
        chain=change.name if change else "",
        links=tuple(Link(target=one) for one in dict.fromkeys(targets)),
        content={name: document[name] for name in ("id", "source", "type")},
        data={"event": document},
    )


def _linked_ids(cdevent: Json) -> list[str]:
    links = cdevent["context"].get("links", ())
    ends = [link.get("from") or link.get("target") or {} for link in links]
    return [end["contextId"] for end in ends if "contextId" in end]


def _linked(tx: Tx, cdevent: Json, id: str) -> LedgerRow | None:
    """Find an event that one links to: ours, or an earlier one of the same source."""
    return tx.event(id) or tx.event(ledger_id(cdevent["context"]["source"], id))


def _change_of(tx: Tx, cdevent: Json) -> Object | None:
    """Find the Change an event belongs to: by chain, by link, by subject, by artifact."""
    for name in _change_names(tx, cdevent):
        found = find_change(tx, name) if _SHA.fullmatch(name) else tx.get("Change", name)
        if found is not None:
            return found
    artifacts = [one for digest in _digests(cdevent) for one in _artifacts(tx, digest=digest)]
    return tx.get("Change", artifacts[-1].spec.change) if artifacts else None


def _change_names(tx: Tx, cdevent: Json) -> Iterable[str]:
    context, subject = cdevent["context"], cdevent["subject"]
    yield context.get("chainId", "")
    for id in _linked_ids(cdevent):
        row = _linked(tx, cdevent, id)
        yield row.chain if row else ""
    yield subject["content"].get("change", {}).get("id", "") if _is(cdevent, "artifact.") else ""
    yield subject["id"] if _is(cdevent, "change.") else ""


def _is(cdevent: Json, beginning: str) -> bool:
    type: str = cdevent["context"]["type"]
    return type.startswith(f"dev.cdevents.{beginning}")


def _digests(cdevent: Json) -> list[str]:
    subject = cdevent["subject"]
    named = f"{subject['id']} {subject['content'].get('artifactId', '')}"
    return [f"sha256:{digest}" for digest in _DIGEST.findall(named)]


def _artifacts(tx: Tx, **labels: str) -> list[Object]:
    return tx.list(Selector(kind="Artifact", labels=labels))


def _evidence(
    tx: Tx, cdevent: Json, id: str, change: Object | None, now: float
) -> tuple[tuple[NewObject, ...], list[str]]:
    """Read an event as claims about artifacts, or say why it is none."""
    read = _claim(cdevent)
    if read is None:
        return (), [f"nothing here acts on {cdevent['context']['type']}: it is kept"]
    check, verdict = read
    artifacts = [one for digest in _digests(cdevent) for one in _artifacts(tx, digest=digest)]
    if not artifacts and change is not None:
        artifacts = _artifacts(tx, change=change.name)
    if not artifacts:
        lack = (
            f"{change.name} has no artifact yet; send it again then"
            if change
            else ("it names no change and no artifact known here, by chainId, link or subject")
        )
        return (), [f"it is kept, but is Evidence of nothing: {lack}"]
    content = cdevent["subject"]["content"]
    context = cdevent["context"]
    subjects = dict.fromkeys((one.spec.service, one.spec.digest) for one in artifacts)
    made = tuple(
        claim(
            name=f"reported-{short(sha256(id.encode()))}-{service}-{short(digest)}",
            subject=Subject(service=service, digest=digest),
            check=check,
            verdict=verdict,
            source=f"event:{context['source']}",
            now=min(now, moment(context["timestamp"]) or now),
            message=content.get("reason", ""),
            value={"event": id, "environment": content.get("environment", {}).get("id", "")},
        )
        for service, digest in subjects
    )
    return made, []


def _claim(cdevent: Json) -> tuple[str, Verdict] | None:
    content = cdevent["subject"]["content"]
    if _is(cdevent, "artifact.signed."):
        return f"{REPORTED}signed", "Pass"
    for kind, part in _NAMES.items():
        if _is(cdevent, f"{kind}."):
            name = content.get(part, {}).get("id") or kind.partition("run")[0]
            return f"{REPORTED}{name}", _VERDICTS.get(content["outcome"], "Inconclusive")
    return None


def _answer(
    document: Json,
    id: str,
    known: LedgerRow | None,
    change: Object | None,
    evidence: Sequence[NewObject],
    notes: list[str],
) -> answers.Taken:
    return {
        "id": document["id"],
        "source": document["source"],
        "event": id,
        "created": known is None,
        "change": change.name if change else "",
        "evidence": [one.name for one in evidence],
        "checks": list(dict.fromkeys(one.spec.check for one in evidence)),
        "notes": notes,
    }
