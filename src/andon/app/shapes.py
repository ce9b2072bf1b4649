"""Objects as the plain JSON that ``andon.api.v1.answers`` promises."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from andon.adapters.agentclient.wire import AgentStatus
from andon.api.v1 import answers
from andon.api.v1.approvals import ApprovalSpec
from andon.api.v1.incidents import IncidentSpec, IncidentStatus
from andon.api.v1.records import (
    CancellationSpec,
    ChangeSpec,
    ChangeStatus,
    HoldSpec,
    HoldStatus,
    Object,
    RunSpec,
    RunStatus,
    StepRow,
    Subject,
    Version,
)
from andon.app.access.telling import NOUNS as ACCESS
from andon.app.access.telling import tell_access
from andon.domains.line.gate import LATCH
from andon.domains.line.restraint import opens_restraint
from andon.ports.store import LedgerRow

Json = dict[str, Any]


def version_json(version: Version | None, sha: str = "") -> answers.VersionOf:
    """Show a version; empty strings where nothing is known."""
    if version is None:
        return {"digest": "", "configHash": "", "change": "", "sha": ""}
    return {
        "digest": version.digest,
        "configHash": version.config_hash,
        "change": version.change,
        "sha": sha,
    }


def run_json(run: Object) -> answers.Run:
    """Show a Run without its steps."""
    spec: RunSpec = run.spec
    status: RunStatus = run.status
    plan = spec.rollout
    sha = plan.sha if plan else spec.build.sha if spec.build else ""
    return {
        "name": run.name,
        "type": spec.type,
        "change": spec.change,
        "sha": sha,
        "service": plan.service if plan else "",
        "environment": plan.environment if plan else "",
        "version": version_json(plan.version if plan else None, sha),
        "phase": status.phase,
        "reason": status.reason,
        "message": status.message,
        "weight": status.weight,
        "verdict": status.verdict,
        "expectedSeconds": status.expected_seconds,
        "evidenceLog": status.evidence_log,
        "evidenceThreshold": status.evidence_threshold,
        "fitLog": status.fit_log,
        "fitThreshold": status.fit_threshold,
        "canaryRequests": status.canary_requests,
        "canaryErrors": status.canary_errors,
        "stableRequests": status.stable_requests,
        "stableErrors": status.stable_errors,
        "startedAt": status.started_at,
        "verdictAt": status.verdict_at,
        "zeroWeightAt": status.zero_weight_at,
        "finishedAt": status.finished_at,
        "revision": str(run.version),
    }


def cancelled_json(run: Object, wish: CancellationSpec, outlook: str) -> answers.CancelledRun:
    """Show a Run that a person cancels: who, why, and what becomes of it."""
    asked: answers.Cancellation = {
        "by": wish.by,
        "reason": wish.reason,
        "askedAt": wish.asked_at,
        "outlook": outlook,
    }
    return {**run_json(run), "cancellation": asked}


def step_json(row: StepRow) -> answers.Step:
    """Show a step."""
    return {
        "name": row.name,
        "position": row.position,
        "state": row.state,
        "attempt": row.attempt,
        "failures": row.failures,
        "rule": row.message if row.state == "skipped-by-rule" else "",
        "flaky": "flaky" in row.figures,
        "reused": str(row.figures.get("reused", "")),
        "quarantined": list(row.figures.get("quarantined", ())),
        "fault": row.fault,
        "message": row.message,
        "log": row.log,
        "startedAt": row.started_at,
        "finishedAt": row.finished_at,
    }


def subject_json(subject: Subject) -> answers.Scope:
    """Show a scope: only the fields that are set."""
    shown: answers.Scope = msgspec.to_builtins(subject)
    return shown


def hold_json(hold: Object) -> answers.Hold:
    """Show a Hold and the command that lifts it."""
    spec: HoldSpec = hold.spec
    status: HoldStatus = hold.status
    opens = f"andon lift {hold.name} -m REASON"
    if spec.source == LATCH:
        opens = f"andon unlatch {spec.scope.environment} {spec.scope.service} -m REASON"
    elif spec.effects:
        opens = opens_restraint(spec)
    return {
        "name": hold.name,
        "scope": subject_json(spec.scope),
        "scopeText": str(spec.scope),
        "reason": spec.reason,
        "source": spec.source,
        "lift": spec.lift,
        "createdAt": spec.created_at,
        "expiresAt": spec.expires_at,
        "liftedAt": status.lifted_at,
        "opens": opens,
        "effects": dict(spec.effects),
        "revision": str(hold.version),
    }


def approval_json(approval: Object) -> answers.Approval:
    """Show a person's consent."""
    spec: ApprovalSpec = approval.spec
    return {
        "name": approval.name,
        "change": spec.subject.change,
        "environment": spec.subject.environment,
        "job": spec.job,
        "by": spec.by,
        "fix": spec.fix,
        "reason": spec.reason,
        "approvedAt": spec.approved_at,
        "withdrawnAt": approval.status.withdrawn_at,
    }


def change_json(change: Object) -> answers.Change:
    """Show a Change without its Runs."""
    spec: ChangeSpec = change.spec
    status: ChangeStatus = change.status
    return {
        "name": change.name,
        "sha": spec.sha,
        "ref": spec.ref,
        "repository": spec.repository,
        "author": spec.author,
        "message": spec.message,
        "phase": status.phase,
        "statusMessage": status.message,
        "until": spec.until,
        "environments": dict(status.environments),
        "startedAt": status.started_at,
        "finishedAt": status.finished_at,
    }


def incident_json(incident: Object) -> answers.Incident:
    """Show an incident."""
    spec: IncidentSpec = incident.spec
    status: IncidentStatus = incident.status
    return {
        "name": incident.name,
        "title": spec.title,
        "service": spec.service,
        "environment": spec.environment,
        "change": spec.change,
        "run": spec.run,
        "phase": status.phase,
        "severity": spec.severity,
        "detectedAt": spec.detected_at,
        "mitigatedAt": status.mitigated_at,
        "resolvedAt": status.resolved_at,
    }


def object_json(obj: Object) -> answers.Document:
    """Show any stored object as a document."""
    return {
        "apiVersion": "andon/v1",
        "kind": obj.kind,
        "metadata": {
            "name": obj.name,
            "uid": obj.uid,
            "generation": obj.generation,
            "labels": dict(obj.labels),
        },
        "spec": msgspec.to_builtins(obj.spec, str_keys=True),
        "status": msgspec.to_builtins(obj.status, str_keys=True),
    }


def event_json(row: LedgerRow) -> answers.Event:
    """Show a ledger event in one line."""
    return {
        "kind": "event",
        "seq": row.seq,
        "id": row.id,
        "at": row.time,
        "type": row.type,
        "stream": row.stream,
        "chain": row.chain,
        "subject": row.subject,
        "text": tell_event(row),
    }


def event_body(row: LedgerRow) -> Json:
    """Return the CloudEvent."""
    body: Json = json.loads(row.body) if row.body else {}
    return body


def tell_event(row: LedgerRow) -> str:
    """Tell an event in one line."""
    return _tell(row).partition("\n")[0]


def _tell(row: LedgerRow) -> str:
    subject = event_body(row).get("data", {}).get("subject", {})
    content: Json = subject.get("content", {})
    place = content.get("environment", {}).get("id", "")
    noun, verb = (
        row.type.removeprefix("dev.cdevents.").removeprefix("dev.cdeventsx.").split(".")[:2]
    )
    if not row.body:
        return f"{noun.removeprefix('andon-')} {row.subject} {verb}; its body is erased"
    match noun, verb:
        case "service", _:
            said = {"rolledback": "rolled back"}.get(verb, verb)
            return f"{row.subject} {said} in {place}"
        case "incident", _:
            return f"incident {verb}: {content.get('description', row.subject)}"
        case "pipelinerun", "finished":
            errors = f": {content['errors']}" if content.get("errors") else ""
            return f"{row.subject} ended with {content.get('outcome')}{errors}"
        case "taskrun", _:
            state = event_body(row).get("customData", {}).get("state") or content.get("outcome")
            why = f": {content['errors']}" if content.get("errors") else ""
            return f"job {content.get('taskName')} ended as {state}{why}"
        case "andon-turn", _:
            behind = f"{content.get('behind')}, one at a time in group {content.get('group')}"
            return f"{row.subject} waits for {behind}"
        case "andon-flake", _:
            return (
                f"job {content.get('taskName')} passed on attempt {content.get('attempts')} only; "
                f"before: {content.get('failed')}"
            )
        case "artifact", _:
            return f"artifact {row.subject} {verb}"
        case "andon-hold", "pulled":
            return (
                f"held ({content.get('source')}), {content.get('scope')}: {content.get('reason')}"
            )
        case "andon-event", "received":
            return f"{content.get('source')} says {content.get('type')} of {row.subject}"
        case "andon-delivery", _:
            return f"{row.subject} was not told of {content.get('event')}: {content.get('reason')}"
        case "andon-change", "finished":
            why = f": {content['reason']}" if content.get("reason") else ""
            return f"{row.subject} ended as {content.get('phase')}{why}"
        case "andon-hook", _:
            by = str(content.get("by", "")).removeprefix("person:")
            return f"{by} {verb} hook {row.subject}"
        case "andon-hold", _:
            return f"hold {row.subject} {verb}: {content.get('reason', '')}"
        case "andon-approval", "requested":
            given = f"{len(content.get('given', ()))} of {content.get('count')}"
            job = f", job {content['job']}," if content.get("job") else ""
            return f"{row.subject}{job} waits for people's approval ({given})"
        case "andon-approval", _:
            by = str(content.get("by", "")).removeprefix("person:")
            done = "approves" if verb == "given" else "no longer approves"
            where = content.get("job") or row.stream.removeprefix("env/")
            return f"{by} {done} {row.chain} for {where}: {content.get('reason', '')}"
        case "andon-secret", "released":
            return f"{row.subject} begins: {content.get('reason')}"
        case "andon-secret", "sealed":
            return f"{content.get('by')} has another key seal the secrets"
        case "andon-secret", _:
            by = str(content.get("by", "")).removeprefix("person:")
            return (
                f"secret {row.subject} {verb} by {by} in {place}, version {content.get('version')}"
            )
        case _ if noun in ACCESS:
            return tell_access(noun, verb, row.subject, content)
        case "andon-cancellation", _:
            by = str(content.get("by", "")).removeprefix("person:")
            return f"{by} cancels {row.subject}: {content.get('reason', '')}"
    return (
        f"{row.subject} {verb}"
        if noun == "pipelinerun"
        else f"{noun.removeprefix('andon-')} {row.subject} {verb}"
    )


def agent_json(status: AgentStatus) -> Json:
    """Show what the agent owns.

    Returns:
        ``{agent, gateway, replicas, addresses}``; ``addresses`` by ``environment/service``.
    """
    gateway = dict(status.gateway)
    return {
        "agent": {
            "version": status.version,
            "pid": status.pid,
            "epoch": status.epoch,
            "startedAt": status.started_at,
            "rssBytes": status.rss_bytes,
            "jobs": [job.name for job in status.jobs],
        },
        "gateway": gateway,
        "replicas": [msgspec.to_builtins(replica) for replica in status.replicas],
        "addresses": {
            f"{one['environment']}/{one['service']}": one["address"]
            for one in gateway.get("services", ())
        },
    }
