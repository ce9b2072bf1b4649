"""Tells people, through their webhooks, that a rollout was stopped or waits for somebody."""

from __future__ import annotations

from typing import Any

from andon.api.v1.actions import ActionFailed, Notify
from andon.api.v1.control import Decision, Event, Link
from andon.domains.delivery.rollout import Rollout
from andon.domains.line import events
from andon.domains.line.approvals import CHECK, as_actor, consents
from andon.domains.line.gate import ONE

NOTIFY_ATTEMPTS = 8


def tell(rollout: Rollout) -> None:
    """Tell every webhook; what cannot be delivered now is tried again after the Run has ended."""
    for number, url in enumerate(rollout.plan.notify):
        step = f"notify-{number}"
        if rollout.ended(step):
            continue
        rollout.begin(step)
        outcome = rollout.do(step, Notify(url=url, body=_notice(rollout, "line.stopped")))
        if isinstance(outcome, ActionFailed):
            if not (outcome.retry and rollout.retry(step, NOTIFY_ATTEMPTS)):
                rollout.end(step, "failed", outcome.message, "machine")
        elif outcome is not None:
            rollout.end(step, "passed")


def call_person(rollout: Rollout, step: str, reason: str) -> None:
    """Tell every webhook, once, that a rollout waits for somebody to look."""
    for number, url in enumerate(rollout.plan.notify):
        name = f"{step}/tell-{reason}-{number}"
        if name in rollout.memory.get("told", ()):
            continue
        if rollout.do_patiently(name, Notify(url=url, body=_notice(rollout, "line.waiting"))):
            rollout.memory["told"] = [*rollout.memory.get("told", ()), name]


def ask_for_consent(rollout: Rollout) -> None:
    """Say, once, that only people's consent is missing: in the ledger and to every webhook."""
    if "consent_asked" not in rollout.memory:
        rollout.memory["consent_asked"] = True
        rollout.events.append(_consent_requested(rollout))
    call_person(rollout, "gate", CHECK)


def _consent_requested(rollout: Rollout) -> Event:
    plan = rollout.plan
    rule = plan.approvals or ONE
    claims = rollout.view.related.get("approvals", ())
    oldest = rollout.now - plan.max_age_seconds
    given = consents(rollout.subject, claims, rule, since=oldest)
    return events.extension(
        "approval",
        "requested",
        id=f"run/{rollout.run}/approval",
        stream=rollout.stream,
        about=rollout.run,
        chain=rollout.spec.change,
        links=(Link(target=events.merged_id(rollout.spec.change)),),
        content={
            "environment": {"id": plan.environment},
            "people": list(rule.people),
            "count": rule.count,
            "given": [as_actor(one.by) for one in given],
        },
    )


def keep_telling(rollout: Rollout) -> Decision:
    """After the end: deliver what was not delivered, and use up late outcomes."""
    if any(name.startswith("notify-") for name in rollout.rows()):
        tell(rollout)
    rollout.forget(*{row.step for row in rollout.view.actions})
    return rollout.decision()


def _notice(rollout: Rollout, event: str) -> dict[str, Any]:
    plan = rollout.plan
    status = rollout.status
    return {
        "event": event,
        "run": rollout.run,
        "change": rollout.spec.change,
        "service": plan.service,
        "environment": plan.environment,
        "digest": plan.version.digest,
        "configHash": plan.version.config_hash,
        "phase": status.phase,
        "reason": status.reason,
        "message": status.message,
        "incident": rollout.memory.get("incident", ""),
        "next": f"andon why {plan.service} --environment {plan.environment}",
    }
