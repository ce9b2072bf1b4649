"""Ledger events by name: CDEvents 0.5.1 where it has a type, our own extension types elsewhere.

Ids are made of object names, so that writing an event twice is writing it once and any later event
can link to it without looking it up.

Source: the CDEvents specification 0.5.1.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from andon.api.v1.control import Event, Link
from andon.api.v1.records import ChangeSpec, Version


def _links(*targets: str) -> tuple[Link, ...]:
    return tuple(Link(target=target) for target in targets if target)


def environment_stream(name: str) -> str:
    """Chain of an environment.

    >>> environment_stream("prod")
    'env/prod'
    """
    return f"env/{name}"


def environment_of(stream: str) -> str:
    """Return the environment whose chain it is; empty: none's.

    >>> environment_of("env/prod"), environment_of("org")
    ('prod', '')
    """
    return stream.removeprefix("env/") if stream.startswith("env/") else ""


def repository_stream(repository: str) -> str:
    """Chain of a repository: its last path segment.

    >>> repository_stream("https://example.com/team/shop.git")
    'repo/shop'
    """
    return f"repo/{repository.rstrip('/').rsplit('/', 1)[-1].removesuffix('.git')}"


def uri_reference(repository: str) -> str:
    """Write a repository's location as events demand it.

    Source: RFC 3986, sections 2.1 and 4.2 (a reference's first segment has no colon).

    >>> uri_reference("/srv/my shop"), uri_reference("https://example.com/shop.git")
    ('/srv/my%20shop', 'https://example.com/shop.git')
    """
    return quote(repository, safe="/@:?=&%+~" if "://" in repository else "/@+~")


def purl(service: str, digest: str) -> str:
    """Name an artifact as a package URL.

    Source: the purl specification, type ``oci``.

    >>> purl("shop", "sha256:ab")
    'pkg:oci/shop@sha256%3Aab'
    """
    return f"pkg:oci/{service}@{digest.replace(':', '%3A')}"


def extension(
    subject: str, predicate: str, *, id: str, stream: str, about: str, **more: Any
) -> Event:
    """Make an event of our own type, for what CDEvents has no word for.

    Args:
        subject: Letters only, such as ``hold``.
        predicate: Past tense, letters only.
        id: Event id.
        stream: Chain.
        about: Subject id.
        more: ``content``, ``chain``, ``links`` or ``data`` of the Event.
    """
    kind = f"dev.cdeventsx.andon-{subject}.{predicate}.0.1.0"
    return Event(id=id, stream=stream, type=kind, subject=about, **more)


def letter_handled(subject: str, predicate: str, *, by: str, at: float, reason: str = "") -> Event:
    """Say that a person retried or dropped work that had been given up.

    >>> letter_handled("Run/a", "retried", by="person:ann", at=1.5).id
    'letter/Run/a/retried/1.5'
    """
    return extension(
        "letter",
        predicate,
        id=f"letter/{subject}/{predicate}/{at}",
        stream="org",
        about=subject,
        data={"by": by, "reason": reason},
    )


def merged_id(change: str) -> str:
    """Id of the event that starts a Change's story."""
    return f"change/{change}/merged"


def change_merged(name: str, spec: ChangeSpec) -> Event:
    """The commit arrived."""
    return Event(
        id=merged_id(name),
        stream=repository_stream(spec.repository),
        type="dev.cdevents.change.merged.0.3.0",
        subject=name,
        chain=name,
        data={
            "sha": spec.sha,
            "ref": spec.ref,
            "author": spec.author,
            "message": spec.message,
            "policyRevision": spec.policy_revision,
        },
    )


def change_finished(name: str, spec: ChangeSpec, phase: str, message: str) -> Event:
    """The Change has come to its end, whatever that is."""
    return extension(
        "change",
        "finished",
        id=f"change/{name}/finished",
        stream=repository_stream(spec.repository),
        about=name,
        chain=name,
        links=_links(merged_id(name)),
        content={"phase": phase, "reason": message},
    )


def run_event(run: str, predicate: str, stream: str, change: str, **more: Any) -> Event:
    """A Run was queued, started or finished.

    Args:
        run: The Run's name.
        predicate: ``queued``, ``started`` or ``finished``.
        stream: Chain.
        change: The Change it belongs to.
        more: ``content``, ``links`` or ``data`` of the Event.
    """
    return Event(
        id=f"run/{run}/{predicate}",
        stream=stream,
        type=f"dev.cdevents.pipelinerun.{predicate}.0.3.0",
        subject=run,
        chain=change,
        **more,
    )


def run_started(run: str, stream: str, change: str, cause: str) -> Event:
    """A Run began."""
    content = {"pipelineName": run.split("-", 1)[0], "uri": f"urn:andon:run:{run}"}
    return run_event(run, "started", stream, change, content=content, links=_links(cause))


def run_finished(run: str, stream: str, change: str, outcome: str, message: str) -> Event:
    """A Run ended.

    Args:
        run: The Run's name.
        stream: Chain.
        change: Its Change.
        outcome: ``success``, ``failure``, ``cancel`` or ``error``.
        message: Why, if it did not succeed.
    """
    content: dict[str, Any] = {"pipelineName": run.split("-", 1)[0], "outcome": outcome}
    if message:
        content["errors"] = message
    return run_event(
        run, "finished", stream, change, content=content, links=_links(f"run/{run}/started")
    )


def task_id(run: str, step: str, attempt: int) -> str:
    """Id of the event that an attempt at a job ended."""
    return f"run/{run}/task/{step}/{attempt}"


def task_finished(
    run: str,
    step: str,
    attempt: int,
    stream: str,
    change: str,
    outcome: str,
    message: str,
    state: str = "",
) -> Event:
    """A job of a Run ended.

    Args:
        run: The Run's name.
        step: The job's.
        attempt: Which attempt, from 0.
        stream: Chain.
        change: The Run's Change.
        outcome: ``success``, ``failure``, ``cancel`` or ``error``.
        message: Why, if it did not pass.
        state: In Andon's own words, which know more.
    """
    content: dict[str, Any] = {
        "taskName": step,
        "pipelineRun": {"id": run},
        "outcome": outcome,
    }
    if message:
        content["errors"] = message
    return Event(
        id=task_id(run, step, attempt),
        stream=stream,
        type="dev.cdevents.taskrun.finished.0.3.0",
        subject=f"{run}/{step}",
        chain=change,
        content=content,
        links=_links(f"run/{run}/started"),
        data={"state": state} if state else {},
    )


def packaged_id(change: str, service: str) -> str:
    """Id of the event that an artifact was packed."""
    return f"change/{change}/packaged/{service}"


def artifact_packaged(change: str, service: str, digest: str, repository: str, run: str) -> Event:
    """A build output became an artifact."""
    return Event(
        id=packaged_id(change, service),
        stream=repository_stream(repository),
        type="dev.cdevents.artifact.packaged.0.3.0",
        subject=purl(service, digest),
        chain=change,
        content={"change": {"id": change, "source": uri_reference(repository)}},
        links=_links(f"run/{run}/started", merged_id(change)),
    )


def service_event(
    predicate: str,
    *,
    run: str,
    environment: str,
    service: str,
    version: Version,
    change: str,
    cause: str,
    **data: Any,
) -> Event:
    """A version was deployed, upgraded or rolled back in an environment.

    Args:
        predicate: ``deployed``, ``upgraded`` or ``rolledback``.
        run: The Run that did it.
        environment: Where.
        service: Which service.
        version: The version that the service has now left or got.
        change: Its Change.
        cause: Id of the event that led to it.
        data: What else there is to say.
    """
    return Event(
        id=f"run/{run}/{predicate}",
        stream=environment_stream(environment),
        type=f"dev.cdevents.service.{predicate}.0.3.0",
        subject=service,
        chain=change,
        content={
            "environment": {"id": environment},
            "artifactId": purl(service, version.digest),
        },
        links=_links(cause),
        data={"configHash": version.config_hash, **data},
    )


def incident_detected(
    name: str,
    *,
    environment: str,
    service: str,
    version: Version,
    change: str,
    title: str,
    cause: str,
) -> Event:
    """The line stopped."""
    return Event(
        id=f"incident/{name}/detected",
        stream=environment_stream(environment),
        type="dev.cdevents.incident.detected.0.3.0",
        subject=name,
        chain=change,
        content={
            "description": title,
            "environment": {"id": environment},
            "service": {"id": service},
            "artifactId": purl(service, version.digest),
        },
        links=_links(cause),
    )
