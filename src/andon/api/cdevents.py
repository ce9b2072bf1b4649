"""CDEvents 0.4 and 0.5 as others send them: what each type must say, and every way it does not.

One table holds the vocabulary of 0.5; an event of 0.4 is first put into its words, which differ in
few: types are a minor version behind, addresses are called ``url``, tests ``pass`` or ``fail``.

Source: the CDEvents specification, tags v0.4.1 and v0.5.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

Json = dict[str, Any]
Shape = Mapping[str, Any]

TEXT, NAME, URI, REFERENCE, TEXTS = "text", "name", "uri", "reference", "texts"
ANY = "any"
OPEN = "..."
"""Key of a shape that may hold more than it names."""

_PLACE: Shape = {"id*": NAME, "source": REFERENCE}
_RUN: Shape = {"id*": NAME, "source": TEXT}
_OUTCOME = ("success", "failure", "cancel", "error")
_REPOSITORY: Shape = {"repository": _PLACE}
_DATA: Shape = {"name": TEXT, "owner": TEXT, "uri": URI, "viewUrl": URI}
_PIPELINE: Shape = {"pipelineName": TEXT, "uri": URI}
_TASK: Shape = {"taskName": TEXT, "uri": URI, "pipelineRun": _PLACE}
_SUITE: Shape = {"id*": NAME, "version": TEXT, "name": TEXT, "uri": URI}
_KIND = (
    "performance",
    "functional",
    "unit",
    "security",
    "compliance",
    "integration",
    "e2e",
    "other",
)
_CASE: Shape = {**_SUITE, "type": _KIND}
_CASE_RUN: Shape = {"environment*": _PLACE, "testSuiteRun": _RUN, "testCase": _CASE}
_SUITE_RUN: Shape = {"environment*": _PLACE, "testSuite": _SUITE}
_CAUSE = ("manual", "pipeline", "event", "schedule", "other")
_TRIGGER: Shape = {"trigger": {"type": _CAUSE, "uri": URI, OPEN: ANY}}
_VERDICT: Shape = {
    "outcome*": _OUTCOME,
    "severity": ("low", "medium", "high", "critical"),
    "reason": TEXT,
}
_DEPLOYED: Shape = {"environment*": _PLACE, "artifactId*": NAME}
_INCIDENT: Shape = {
    "description": TEXT,
    "environment*": _PLACE,
    "service": _PLACE,
    "artifactId": NAME,
}
_TICKET: Shape = {
    "summary": TEXT,
    "ticketType": TEXT,
    "group": TEXT,
    "creator": NAME,
    "assignees": TEXTS,
    "priority": TEXT,
    "labels": TEXTS,
    "milestone": TEXT,
    "uri*": REFERENCE,
}

VOCABULARY: Mapping[str, tuple[str, Shape]] = {
    "artifact.deleted": ("0.2.0", {"user": NAME}),
    "artifact.downloaded": ("0.2.0", {"user": NAME}),
    "artifact.packaged": ("0.3.0", {"change*": _PLACE, "sbom": {"uri*": REFERENCE}}),
    "artifact.published": ("0.3.0", {"sbom": {"uri*": REFERENCE}, "user": NAME}),
    "artifact.signed": ("0.3.0", {"signature*": NAME}),
    "branch.created": ("0.3.0", _REPOSITORY),
    "branch.deleted": ("0.3.0", _REPOSITORY),
    "build.finished": ("0.3.0", {"artifactId": TEXT}),
    "build.queued": ("0.3.0", {}),
    "build.started": ("0.3.0", {}),
    "change.abandoned": ("0.3.0", _REPOSITORY),
    "change.created": ("0.4.0", {"description": NAME, **_REPOSITORY}),
    "change.merged": ("0.3.0", _REPOSITORY),
    "change.reviewed": ("0.3.0", _REPOSITORY),
    "change.updated": ("0.3.0", _REPOSITORY),
    "environment.created": ("0.3.0", {"name": TEXT, "uri": URI}),
    "environment.deleted": ("0.3.0", {"name": TEXT}),
    "environment.modified": ("0.3.0", {"name": TEXT, "uri": URI}),
    "incident.detected": ("0.3.0", _INCIDENT),
    "incident.reported": ("0.3.0", {**_INCIDENT, "ticketURI*": URI}),
    "incident.resolved": ("0.3.0", _INCIDENT),
    "pipelinerun.finished": ("0.3.0", {**_PIPELINE, "outcome": _OUTCOME, "errors": TEXT}),
    "pipelinerun.queued": ("0.3.0", _PIPELINE),
    "pipelinerun.started": ("0.3.0", {"pipelineName*": TEXT, "uri*": URI}),
    "repository.created": ("0.3.0", {"name*": NAME, "owner": TEXT, "uri*": URI, "viewUrl": URI}),
    "repository.deleted": ("0.3.0", _DATA),
    "repository.modified": ("0.3.0", _DATA),
    "service.deployed": ("0.3.0", _DEPLOYED),
    "service.published": ("0.3.0", {"environment": _PLACE}),
    "service.removed": ("0.3.0", {"environment": _PLACE}),
    "service.rolledback": ("0.3.0", _DEPLOYED),
    "service.upgraded": ("0.3.0", _DEPLOYED),
    "taskrun.finished": ("0.3.0", {**_TASK, "outcome": TEXT, "errors": TEXT}),
    "taskrun.started": ("0.3.0", _TASK),
    "testcaserun.finished": ("0.3.0", {**_CASE_RUN, **_VERDICT}),
    "testcaserun.queued": ("0.3.0", {**_TRIGGER, **_CASE_RUN}),
    "testcaserun.skipped": (
        "0.2.0",
        {"reason": TEXT, "environment": _PLACE, "testSuiteRun": _RUN, "testCase": _CASE},
    ),
    "testcaserun.started": ("0.3.0", {**_TRIGGER, **_CASE_RUN}),
    "testoutput.published": (
        "0.3.0",
        {
            "outputType*": ("report", "video", "image", "log", "other"),
            "format*": TEXT,
            "uri": URI,
            "testCaseRun": _RUN,
        },
    ),
    "testsuiterun.finished": ("0.3.0", {**_SUITE_RUN, **_VERDICT}),
    "testsuiterun.queued": ("0.3.0", {**_TRIGGER, **_SUITE_RUN}),
    "testsuiterun.started": ("0.3.0", {**_TRIGGER, **_SUITE_RUN}),
    "ticket.closed": ("0.2.0", {**_TICKET, "resolution*": NAME, "updatedBy": TEXT}),
    "ticket.created": (
        "0.2.0",
        {
            **{name: kind for name, kind in _TICKET.items() if name not in ("summary", "creator")},
            "summary*": TEXT,
            "creator*": NAME,
        },
    ),
    "ticket.updated": ("0.2.0", {**_TICKET, "updatedBy": TEXT}),
}
"""Subject and predicate: version of the type in 0.5, and the shape of the subject's content."""

_CONTEXT: Shape = {
    "specversion*": NAME,
    "id*": NAME,
    "source*": REFERENCE,
    "type*": NAME,
    "timestamp*": "moment",
    "schemaUri": URI,
    "chainId": NAME,
    "links": "links",
}
_END: Shape = {"from": {"contextId*": NAME, OPEN: ANY}}
_LINKS: Mapping[str, Shape] = {
    "PATH": {"from*": {"contextId*": NAME, OPEN: ANY}},
    "RELATION": {"linkKind*": NAME, "target*": {"contextId": NAME, OPEN: ANY}},
    "END": _END,
}
_OWN = re.compile(r"dev\.cdeventsx\.[a-zA-Z0-9]+-[a-zA-Z]+\.[a-zA-Z]+\.[0-9]\.[0-9]\.[0-9]")
_TYPE = re.compile(r"dev\.cdevents\.([a-z]+\.[a-z]+)\.(\d+\.\d+\.\d+)(-draft)?")
_KNOWN = re.compile(r"0\.[45]\.\d+(-draft)?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
MOST_PROBLEMS = 50


class Problem(Struct, frozen=True):
    """Something an event does not say as it must.

    Args:
        where: Path in the event, such as ``subject.content.outcome``.
        what: What is wrong there.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def modern(event: Json) -> Json:
    """Put an event of 0.4 into the words of 0.5; any other is returned as it is.

    >>> modern({"context": {"version": "0.4.1", "type": "dev.cdevents.build.queued.0.2.0"},
    ...         "subject": {"id": "b", "type": "build", "content": {}}})["context"]["specversion"]
    '0.4.1'
    """
    context, subject = event.get("context"), event.get("subject")
    if not isinstance(context, dict) or not isinstance(subject, dict) or "version" not in context:
        return event
    context = {"specversion": context["version"], **context}
    del context["version"]
    context["type"] = _newer_type(context.get("type"))
    subject = {name: value for name, value in subject.items() if name != "type"}
    content = subject.get("content")
    if isinstance(content, dict):
        subject["content"] = _newer_content(content)
    return {**event, "context": context, "subject": subject}


def _newer_type(type: Any) -> Any:
    found = _TYPE.fullmatch(type) if isinstance(type, str) else None
    if found is None or found[1] not in VOCABULARY:
        return type
    version = VOCABULARY[found[1]][0]
    major, minor, patch = version.split(".")
    before = f"{major}.{int(minor) - 1}.{patch}"
    return f"dev.cdevents.{found[1]}.{version}" if found[2] == before else type


def _newer_content(content: Json) -> Json:
    renamed = {"uri" if name == "url" else name: value for name, value in content.items()}
    suite = renamed.get("testSuite")
    if isinstance(suite, dict) and "url" in suite:
        renamed["testSuite"] = {
            "uri" if name == "url" else name: value for name, value in suite.items()
        }
    outcome = renamed.get("outcome")
    if isinstance(outcome, str):
        renamed["outcome"] = {"pass": "success", "fail": "failure"}.get(outcome, outcome)
    return renamed


def problems(event: Any) -> list[Problem]:
    """Return everything that is wrong with a CDEvent, in the words of 0.5."""
    found: list[Problem] = []
    for problem in _problems(event):
        found.append(problem)
        if len(found) == MOST_PROBLEMS:
            break
    return found


def _problems(event: Any) -> Iterator[Problem]:
    shape: Shape = {
        "context*": _CONTEXT,
        "subject*": {"id*": NAME, "source": REFERENCE, "content*": {OPEN: ANY}},
        "customData": "custom",
        "customDataContentType": TEXT,
    }
    yield from _check(event, shape, "")
    context = event.get("context") if isinstance(event, dict) else None
    if not isinstance(context, dict):
        return
    version, type = context.get("specversion"), context.get("type")
    if isinstance(version, str) and not _KNOWN.fullmatch(version):
        yield Problem("context.specversion", f"{version!r} is neither 0.4 nor 0.5")
    if isinstance(type, str):
        yield from _check_type(event, type)


def _check_type(event: Json, type: str) -> Iterator[Problem]:
    if type.startswith("dev.cdeventsx."):
        if not _OWN.fullmatch(type):
            yield Problem(
                "context.type", f"{type!r} is no type of one's own (dev.cdeventsx.TOOL-…)"
            )
        return
    found = _TYPE.fullmatch(type)
    version, shape = VOCABULARY.get(found[1], ("", {})) if found else ("", {})
    if found is None or not version:
        yield Problem("context.type", f"{type!r} is not a type of CDEvents")
    elif found[2] != version:
        yield Problem("context.type", f"{found[1]} has version {version} in 0.5, not {found[2]}")
    else:
        subject = event.get("subject")
        content = subject.get("content") if isinstance(subject, dict) else None
        if isinstance(content, dict):
            yield from _check(content, shape, "subject.content")


def _check(value: Any, kind: Any, where: str) -> Iterator[Problem]:
    if isinstance(kind, Mapping):
        yield from _check_object(value, kind, where)
    elif isinstance(kind, tuple):
        if value not in kind:
            yield Problem(where, f"must be one of {', '.join(kind)}")
    elif kind == "links":
        yield from _check_links(value, where)
    elif wrong := _wrong(value, kind):
        yield Problem(where, wrong)


def _check_object(value: Any, shape: Shape, where: str) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(where or "the event", "must be an object")
        return
    kinds = {name.rstrip("*"): kind for name, kind in shape.items() if name != OPEN}
    prefix = f"{where}." if where else ""
    for name in shape:
        if name.endswith("*") and name[:-1] not in value:
            yield Problem(prefix + name[:-1], "is missing")
    for name, part in value.items():
        if name in kinds:
            yield from _check(part, kinds[name], prefix + name)
        elif OPEN not in shape:
            yield Problem(prefix + name[:100], "is not known here")


def _check_links(value: Any, where: str) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield Problem(where, "must be a list")
        return
    for number, link in enumerate(value):
        kind = link.get("linkType") if isinstance(link, dict) else None
        if not isinstance(kind, str) or kind not in _LINKS:
            yield Problem(f"{where}[{number}].linkType", "must be one of PATH, RELATION, END")
            continue
        shape = {"linkType*": NAME, "tags": {OPEN: ANY}, **_LINKS[kind]}
        yield from _check(link, shape, f"{where}[{number}]")


def _wrong(value: Any, kind: str) -> str:
    """Say what is wrong with a value that is no object; empty if nothing is."""
    if kind == ANY:
        return ""
    if kind == "custom":
        return "" if isinstance(value, dict | str) else "must be an object or base64"
    if kind == TEXTS:
        fits = isinstance(value, list) and all(isinstance(one, str) for one in value)
        return "" if fits else "must be a list of texts"
    if not isinstance(value, str):
        return "must be a text"
    if kind != TEXT and not value:
        return "must not be empty"
    if kind == URI and not _SCHEME.fullmatch(value):
        return "must be a URI"
    if kind == REFERENCE and re.search(r'[\s<>"{}|\\^`]', value):
        return "must be a URI reference"
    return (
        "must be a moment with its zone, as RFC 3339 writes it" if _no_moment(value, kind) else ""
    )


def _no_moment(value: str, kind: str) -> bool:
    return kind == "moment" and moment(value) is None


def moment(text: str) -> float | None:
    """Read a moment as seconds since the Unix epoch; None if it is none.

    >>> moment("1970-01-01T00:01:00Z"), moment("yesterday")
    (60.0, None)
    """
    if not re.fullmatch(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).timestamp()
    except (ValueError, OverflowError):
        return None
