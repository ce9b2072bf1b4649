"""Follows an Incident: mitigated once the bad version is gone, resolved once a good one has shipped."""

from __future__ import annotations

from msgspec.structs import replace

from andon.api.v1.control import Decision, Event, Link, Selector, View
from andon.api.v1.incidents import IncidentSpec, IncidentStatus
from andon.api.v1.records import Object
from andon.domains.line.events import environment_stream, purl

RECENT_RUNS = 20


class IncidentController:
    """Reconciles Incidents."""

    kind = "Incident"

    def select(self, obj: Object) -> dict[str, Selector]:
        """See the Run that stopped and what rolled out there since."""
        spec: IncidentSpec = obj.spec
        place = {"environment": spec.environment, "service": spec.service}
        return {
            "run": Selector(kind="Run", name=spec.run),
            "recent": Selector(kind="Run", labels=place, newest=RECENT_RUNS),
        }

    def wakes(self, changed: Object) -> tuple[Selector, ...]:
        """Wake the Incidents of a place where a Run changed."""
        place = {key: changed.labels.get(key, "") for key in ("environment", "service")}
        if changed.kind != "Run" or not all(place.values()):
            return ()
        return (Selector(kind="Incident", labels=place, newest=RECENT_RUNS),)

    def reconcile(self, view: View, now: float) -> Decision:
        """Move the Incident along."""
        spec: IncidentSpec = view.object.spec
        status: IncidentStatus = view.object.status
        if status.phase == "Resolved":
            return Decision()
        changed = _mitigate(status, view.related.get("run", ()), now)
        changed = _resolve(spec, changed, view.related.get("recent", ()), now)
        if changed == status:
            return Decision()
        events = (_resolved(view.object),) if changed.phase == "Resolved" else ()
        return Decision(status=changed, events=events)


def _mitigate(status: IncidentStatus, runs: tuple[Object, ...], now: float) -> IncidentStatus:
    back = any(run.status.phase == "RolledBack" for run in runs)
    if status.phase != "Open" or not back:
        return status
    moment = runs[0].status.zero_weight_at or now
    return replace(
        status,
        phase="Mitigated",
        mitigated_at=moment,
        timeline=(
            *status.timeline,
            (moment, "rolled back: no traffic reaches the version any more"),
        ),
    )


def _resolve(
    spec: IncidentSpec, status: IncidentStatus, recent: tuple[Object, ...], now: float
) -> IncidentStatus:
    later = [
        run
        for run in recent
        if run.status.phase == "Succeeded"
        and run.status.reason == "Promoted"
        and run.status.started_at >= spec.detected_at
    ]
    if not later:
        return status
    return replace(
        status,
        phase="Resolved",
        resolved_at=now,
        timeline=(*status.timeline, (now, f"{later[0].name} succeeded")),
    )


def _resolved(incident: Object) -> Event:
    spec: IncidentSpec = incident.spec
    return Event(
        id=f"incident/{incident.name}/resolved",
        stream=environment_stream(spec.environment),
        type="dev.cdevents.incident.resolved.0.3.0",
        subject=incident.name,
        chain=spec.change,
        content={
            "description": spec.title,
            "environment": {"id": spec.environment},
            "service": {"id": spec.service},
            "artifactId": purl(spec.service, spec.digest),
        },
        links=(Link(target=f"incident/{incident.name}/detected"),),
    )
