"""What is said of alerts: by Andon itself, and by other tools in their own words.

Source: Prometheus Alertmanager documentation, "webhook_config" (version 4); PagerDuty documentation,
"Events API v2".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeGuard

from msgspec import Struct

from andon.api.v1.alerts import Severity
from andon.domains.reliability.quiet import fingerprint
from andon.kernel.errors import InvalidDocument

MOST_ALERTS = 500
MOST_LABELS = 64
LONGEST_VALUE = 1024
LONGEST_TEXT = 4000
ALERTMANAGER, PAGERDUTY = "alertmanager", "pagerduty"
OTHERWISE: Severity = "ticket"


class Incoming(Struct, frozen=True, kw_only=True):
    """What somebody says of an alert.

    Args:
        source: Who: ``objective:<name>``, ``alertmanager``…
        labels: What it is about.
        severity: How soon somebody must look.
        summary: In one line.
        details: Whatever else there is to say.
        links: Where to read more.
        starts_at: When it began; 0: just now.
        resolved: It is over.
        resolution: Why; empty: as its source says so.
        identity: What tells it apart, where that is not its labels.
        acknowledged: Somebody there has taken it on.
    """

    source: str
    labels: dict[str, str]
    severity: Severity
    summary: str
    details: str = ""
    links: tuple[str, ...] = ()
    starts_at: float = 0
    resolved: bool = False
    resolution: str = ""
    identity: dict[str, str] = {}
    acknowledged: bool = False

    @property
    def fingerprint(self) -> str:
        """Digest of the sorted labels, and of who says so: nobody ends another's alert."""
        return fingerprint({**(self.identity or self.labels), "source": self.source})


def read_alertmanager(document: Any, severities: Mapping[str, Severity]) -> tuple[Incoming, ...]:
    """Read a webhook of Alertmanager.

    Args:
        document: Its JSON.
        severities: What the label ``severity`` comes to.

    Raises:
        InvalidDocument: It is none; the message says why.

    >>> one = {"status": "firing", "labels": {"alertname": "Down", "severity": "critical"}}
    >>> read_alertmanager({"version": "4", "alerts": [one]}, {"critical": "page"})[0].severity
    'page'
    """
    alerts = document.get("alerts") if isinstance(document, dict) else None
    if not isinstance(alerts, list):
        raise _invalid("a webhook of Alertmanager has `alerts`, a list")
    if document.get("version", "4") != "4":
        raise _invalid("version 4 of Alertmanager's webhooks is understood")
    if len(alerts) > MOST_ALERTS:
        raise _invalid(f"{len(alerts)} alerts were sent; {MOST_ALERTS} are taken at once")
    return tuple(_of_alertmanager(n, one, severities) for n, one in enumerate(alerts))


def _of_alertmanager(number: int, told: Any, severities: Mapping[str, Severity]) -> Incoming:
    where = f"alerts[{number}]"
    if not isinstance(told, dict) or told.get("status") not in ("firing", "resolved"):
        raise _invalid(f"{where}.status must be `firing` or `resolved`")
    labels = _texts(told.get("labels"), f"{where}.labels")
    notes = _texts(told.get("annotations") or {}, f"{where}.annotations", LONGEST_TEXT)
    if not labels:
        raise _invalid(f"{where}.labels must name the alert")
    name = labels.get("alertname", "")
    links = (told.get("generatorURL"), notes.get("runbook_url"), notes.get("dashboard_url"))
    return Incoming(
        source=ALERTMANAGER,
        labels={key: value for key, value in labels.items() if key != "severity"},
        identity=labels,
        severity=severities.get(labels.get("severity", "").lower(), OTHERWISE),
        summary=_line(notes.get("summary") or notes.get("message") or name or "an alert"),
        details=notes.get("description", ""),
        links=tuple(one for one in links if _is_link(one)),
        starts_at=_moment(told.get("startsAt")),
        resolved=told["status"] == "resolved",
    )


def read_pagerduty(document: Any, severities: Mapping[str, Severity]) -> Incoming:
    """Read an event of PagerDuty's Events API v2.

    Args:
        document: Its JSON; the routing key is none of our business here.
        severities: What ``payload.severity`` comes to.

    Raises:
        InvalidDocument: It is none; the message says why.

    >>> read_pagerduty({"event_action": "resolve", "dedup_key": "disk"}, {}).resolved
    True
    """
    action = document.get("event_action") if isinstance(document, dict) else None
    if action not in ("trigger", "acknowledge", "resolve"):
        raise _invalid("event_action must be `trigger`, `acknowledge` or `resolve`")
    key, payload = document.get("dedup_key") or "", document.get("payload") or {}
    if not isinstance(key, str) or len(key) > 255:
        raise _invalid("dedup_key must be a text of at most 255 characters")
    if not isinstance(payload, dict):
        raise _invalid("payload must be an object")
    summary = payload.get("summary")
    if action == "trigger" and not (isinstance(summary, str) and summary):
        raise _invalid("payload.summary must say what is wrong")
    if action == "trigger" and not isinstance(payload.get("source"), str):
        raise _invalid("payload.source must say where")
    if action != "trigger" and not key:
        raise _invalid(f"dedup_key must say what to {action}")
    return _of_pagerduty(document, payload, key, action, severities)


def _of_pagerduty(
    document: Mapping[str, Any],
    payload: Mapping[str, Any],
    key: str,
    action: str,
    severities: Mapping[str, Severity],
) -> Incoming:
    custom = payload.get("custom_details")
    details = custom if isinstance(custom, dict) else {}
    labels = {
        "alertname": payload.get("class") or _line(payload.get("summary") or key),
        "instance": payload.get("source"),
        "service": details.get("service") or payload.get("component"),
        "environment": details.get("environment") or payload.get("group"),
    }
    links = document.get("links")
    found = [one.get("href") for one in links or () if isinstance(one, dict)]
    return Incoming(
        source=PAGERDUTY,
        labels={name: str(one)[:LONGEST_VALUE] for name, one in labels.items() if one},
        identity={"dedup_key": key or fingerprint({k: str(v) for k, v in labels.items()})},
        severity=severities.get(str(payload.get("severity", "")).lower(), OTHERWISE),
        summary=_line(str(payload.get("summary") or key)),
        details=_details(custom),
        links=tuple(one for one in (*found, document.get("client_url")) if _is_link(one)),
        starts_at=_moment(payload.get("timestamp")),
        resolved=action == "resolve",
        acknowledged=action == "acknowledge",
    )


def _details(custom: Any) -> str:
    if isinstance(custom, dict):
        return "\n".join(f"{key}: {value}" for key, value in custom.items())[:LONGEST_TEXT]
    return str(custom or "")[:LONGEST_TEXT]


def _texts(found: Any, where: str, longest: int = LONGEST_VALUE) -> dict[str, str]:
    if not isinstance(found, dict) or len(found) > MOST_LABELS:
        raise _invalid(f"{where} must be an object of at most {MOST_LABELS} texts")
    if not all(isinstance(value, str) for value in found.values()):
        raise _invalid(f"{where} must have texts")
    return {str(key)[:LONGEST_VALUE]: value[:longest] for key, value in found.items()}


def _line(text: str) -> str:
    return " ".join(text.split())[:300]


def _is_link(found: Any) -> TypeGuard[str]:
    """Say whether it leads to a page; what else an address may be made to do is nobody's wish."""
    return isinstance(found, str) and found.startswith(("https://", "http://"))


def _moment(text: Any) -> float:
    """Read a moment; 0 where none is told that can be read."""
    try:
        found = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return 0.0
    seconds = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    return max(0.0, seconds)


def _invalid(why: str) -> InvalidDocument:
    return InvalidDocument(why, hint="docs/alerts.md shows what is taken in")
