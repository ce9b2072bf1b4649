"""Objects as the plain JSON that ``andon.api.v1.answers`` promises."""

from __future__ import annotations

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
from andon.app.ledger.telling import tell_event
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
