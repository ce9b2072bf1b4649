"""Alert policies of OpenSLO as alerts of an Objective, and what they say that has no meaning here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from andon.api.burnrates import can_fire
from andon.api.openslo.documents import (
    AlertConditionSpec,
    AlertNotificationTargetSpec,
    AlertPolicySpec,
    Document,
    SloPolicy,
    SloSpec,
)
from andon.api.openslo.names import Names
from andon.api.openslo.rules import plain_name
from andon.api.problems import Path
from andon.api.v1.alerts import SEVERITIES, AlertsSpec, Severity
from andon.api.v1.objectives import BurnAlert

ANDON = "andon"
"""Type of a metric source, and of a notification target, that only Andon has."""
AS_ROUTED = "as-routed"
"""In place of a receiver: whoever the routes say."""

Told = tuple[Path, str, str]
"""Where, what, and what to write instead."""
_REFERRED = {
    "AlertPolicy": "no SLO refers to it: nothing comes of it",
    "AlertCondition": "no AlertPolicy refers to it: nothing comes of it",
    "AlertNotificationTarget": "no AlertPolicy refers to it: nothing comes of it",
}


class Alerts(Struct, frozen=True, kw_only=True):
    """What the policies of an SLO say.

    Args:
        alerts: Alerts of ours.
        unfireable: Conditions that would take more than all events to fail.
        notes: What is not taken over.
    """

    alerts: tuple[BurnAlert, ...] = ()
    unfireable: tuple[Told, ...] = ()
    notes: tuple[Told, ...] = ()


class _Draft(Struct, frozen=True, kw_only=True):
    """A condition, whom it tells, and where it stands: itself, or the reference to it."""

    path: Path
    inline: bool
    name: str
    spec: AlertConditionSpec
    receivers: tuple[str, ...]

    def at(self, *field: str) -> Path:
        """Return where a field stands."""
        if self.path[-1] == "alertPolicyRef":
            return self.path
        return (*self.path, "spec", *field) if self.inline else (*self.path, "conditionRef")


def alerts_of(spec: SloSpec, names: Names) -> Alerts:
    """Understand the alert policies of an SLO; a name that is nowhere is told elsewhere."""
    targets = [one.target or (one.target_percent or 0) / 100 for one in spec.objectives]
    found: dict[str, BurnAlert] = {}
    unfireable: list[Told] = []
    notes: list[Told] = []
    for number, policy in enumerate(spec.alert_policies):
        path: Path = ("spec", "alertPolicies", number)
        for draft in _drafts(policy, path, names, notes):
            refused = list(_refused(draft, targets))
            unfireable += refused
            alert = None if refused else _alert(draft, notes)
            if alert is not None:
                _join(found, alert)
    return Alerts(alerts=tuple(found.values()), unfireable=tuple(unfireable), notes=tuple(notes))


def _drafts(policy: SloPolicy, path: Path, names: Names, notes: list[Told]) -> Iterator[_Draft]:
    ref = policy.alert_policy_ref or ""
    spec: AlertPolicySpec | None = policy.spec or names.find("AlertPolicy", ref)
    if spec is None:
        return
    here: Path = (*path, "spec") if policy.spec is not None else (*path, "alertPolicyRef")
    receivers = tuple(_receivers(spec, here, names, notes))
    for number, one in enumerate(spec.conditions):
        told = one.spec or names.find("AlertCondition", one.condition_ref or "")
        name = one.metadata.name if one.metadata is not None else one.condition_ref or ""
        if told is None:
            continue
        if not spec.alert_when_breaching:
            message = f"`{name}` never alerts: `alertWhenBreaching` of its policy is not true"
            notes.append((_below(here, "alertWhenBreaching"), message, "alertWhenBreaching: true"))
            continue
        yield _Draft(
            path=_below(here, "conditions", number),
            inline=one.spec is not None,
            name=plain_name(name),
            spec=told,
            receivers=receivers,
        )


def _below(here: Path, *rest: str | int) -> Path:
    """Return a place within a policy; of one that is referred to, the reference."""
    return here if here[-1] == "alertPolicyRef" else (*here, *rest)


def _receivers(spec: AlertPolicySpec, path: Path, names: Names, notes: list[Told]) -> Iterator[str]:
    for number, one in enumerate(spec.notification_targets):
        name = one.metadata.name if one.metadata is not None else one.target_ref or ""
        told: AlertNotificationTargetSpec | None = one.spec or names.find(
            "AlertNotificationTarget", one.target_ref or ""
        )
        receiver = plain_name(name)
        if told is not None and told.target != ANDON:
            message = (
                f"`target: {told.target[:60]}` is not looked at: how somebody is told is said there"
            )
            hint = f"the installation's receiver called `{receiver}` is told"
            where = _below(path, "notificationTargets", number, *_field(one.spec is not None))
            notes.append((where, message, hint))
        if receiver and not (receiver == AS_ROUTED and told is not None and told.target == ANDON):
            yield receiver


def _field(inline: bool) -> tuple[str, ...]:
    return ("spec", "target") if inline else ("targetRef",)


def _refused(draft: _Draft, targets: Iterable[float]) -> Iterator[Told]:
    """Yield why a condition would take more than all events to fail."""
    condition = draft.spec.condition
    burn = condition.threshold
    for target in targets:
        if condition.op in ("gt", "gte") and not can_fire(burn, target):
            message = (
                f"an alert on a burn of {burn:g} can never fire at a target of {target:g}: "
                "more than everything would have to fail"
            )
            yield (
                draft.at("condition", "threshold"),
                message,
                f"expected a threshold below {1 / (1 - target):g}",
            )


def _alert(draft: _Draft, notes: list[Told]) -> BurnAlert | None:
    """Return an alert; None, with a note: it has no meaning here."""
    told = draft.spec.condition
    if told.op in ("lt", "lte"):
        message = (
            f"`{draft.name}` alerts on a burn of {told.threshold:g} or less, which is when all is well: "
            "it is not taken over"
        )
        notes.append((draft.at("condition", "op"), message, "did you mean `op: gt`?"))
        return None
    if told.threshold <= 0:
        message = f"`{draft.name}` alerts on any burn at all: it is not taken over"
        notes.append((draft.at("condition", "threshold"), message, "expected more than 0"))
        return None
    if told.op == "gte":
        message = f"`{draft.name}` fires above {told.threshold:g}, not at it"
        notes.append((draft.at("condition", "op"), message, "`op: gt` says the same"))
    return BurnAlert(
        name=draft.name,
        burn=told.threshold,
        window=told.lookback_window,
        after=told.alert_after if told.alert_after and int(told.alert_after[:-1]) else None,
        severity=_severity(draft, notes),
        receivers=draft.receivers,
        description=draft.spec.description,
    )


def _severity(draft: _Draft, notes: list[Told]) -> Severity:
    word = draft.spec.severity.lower()
    ours = next((one for one in SEVERITIES if one == word), None) or AlertsSpec().severities.get(
        word
    )
    if ours is None:
        message = f"severity `{draft.spec.severity[:60]}` of `{draft.name}` is taken for a ticket"
        notes.append((draft.at("severity"), message, f"known: {', '.join(SEVERITIES)}"))
    return ours or "ticket"


def _join(found: dict[str, BurnAlert], alert: BurnAlert) -> None:
    """Take an alert in; the same condition of two policies is one alert, of which both tell."""
    name, number = alert.name, 1
    while (known := found.get(name)) is not None:
        if replace(known, receivers=()) == replace(alert, name=name, receivers=()):
            both = tuple(dict.fromkeys((*known.receivers, *alert.receivers)))
            found[name] = replace(known, receivers=both)
            return
        number += 1
        name = f"{alert.name[:60]}-{number}"
    found[name] = replace(alert, name=name)


def unused(document: Document, documents: Sequence[Document]) -> Iterator[Told]:
    """Yield that nothing comes of a document about alerts, if nothing refers to it."""
    message = _REFERRED.get(document.kind)
    if message and document.metadata.name not in set(_references(document.kind, documents)):
        yield ("metadata", "name"), message, ""


def _references(kind: str, documents: Iterable[Document]) -> Iterator[str | None]:
    policies: list[AlertPolicySpec] = []
    for one in documents:
        if one.kind == "SLO":
            yield from (
                p.alert_policy_ref for p in one.spec.alert_policies if kind == "AlertPolicy"
            )
            policies += [p.spec for p in one.spec.alert_policies if p.spec is not None]
        if one.kind == "AlertPolicy":
            policies.append(one.spec)
    for policy in policies:
        if kind == "AlertCondition":
            yield from (each.condition_ref for each in policy.conditions)
        if kind == "AlertNotificationTarget":
            yield from (each.target_ref for each in policy.notification_targets)
