"""OpenSLO documents become Objectives, and Objectives OpenSLO documents."""

from __future__ import annotations

import pytest

from andon.api.openslo.translate import translate
from andon.api.openslo.write import write_openslo
from andon.api.parse import read_documents
from andon.api.project import check_project
from andon.api.v1.objectives import (
    BurnAlert,
    Calendar,
    ChecksIndicator,
    Exclusion,
    GatewayIndicator,
    Indicator,
    LatencyObjective,
    LogsIndicator,
    MetricsIndicator,
    ObjectiveSpec,
    Target,
)

PROJECT = b"""
apiVersion: andon/v1
kind: Service
metadata: {name: shop}
spec: {command: [./run]}
---
apiVersion: andon/v1
kind: Environment
metadata: {name: prod}
spec: {}
---
apiVersion: andon/v1
kind: Pipeline
metadata: {name: ci}
spec: {jobs: {test: {run: "true"}}}
---
"""
SLO = """
apiVersion: openslo/v1
kind: SLO
metadata: {name: shop-slo}
spec:
  service: shop
  indicator:
    metadata: {name: errors}
    spec:
      ratioMetric:
        counter: true
        bad: {metricSource: {type: Prometheus, spec: {query: 'sum(bad_total)'}}}
        total: {metricSource: {type: Prometheus, spec: {query: 'sum(all_total)'}}}
  timeWindow: [{duration: 28d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{displayName: most, targetPercent: 99.9}]
"""


def objective(text: str) -> ObjectiveSpec:
    parsed = read_documents(text.encode(), "openslo.yaml")
    assert not parsed.problems
    told = translate(parsed.openslo)
    assert not told.problems
    spec = told.definitions[0].spec
    assert isinstance(spec, ObjectiveSpec)
    return spec


def test_a_ratio_is_understood():
    assert objective(SLO) == ObjectiveSpec(
        service="shop",
        window="28d",
        indicator=Indicator(
            metrics=MetricsIndicator(
                bad="sum(bad_total)", total="sum(all_total)", source="Prometheus"
            )
        ),
        targets=(Target(target=0.999, name="most"),),
    )


def test_documents_stand_next_to_ours():
    parsed = check_project({"andon.yaml": PROJECT + SLO.encode()})
    assert not parsed.problems
    assert [one.metadata.name for one in parsed.definitions if one.kind == "Objective"] == [
        "shop-slo"
    ]


def test_a_service_that_runs_elsewhere_may_have_objectives():
    text = PROJECT + SLO.replace("service: shop", "service: Mainframe 2").encode()
    parsed = check_project({"andon.yaml": text})
    assert not parsed.problems
    assert parsed.definitions[-1].spec.service == "mainframe-2"


def test_an_alert_that_can_never_fire_is_refused():
    text = (
        SLO.replace("targetPercent: 99.9", "target: 0.9")
        + """
  alertPolicies:
    - kind: AlertPolicy
      metadata: {name: page}
      spec:
        alertWhenBreaching: true
        conditions:
          - kind: AlertCondition
            metadata: {name: fast}
            spec:
              severity: page
              condition: {kind: burnrate, op: gt, threshold: 14.4, lookbackWindow: 1h}
        notificationTargets: [{targetRef: ops}]
"""
    )
    told = translate(read_documents(text.encode(), "f").openslo)
    assert [problem.message for problem in told.problems] == [
        "an alert on a burn of 14.4 can never fire at a target of 0.9: more than everything would have "
        "to fail"
    ]


POLICY = """
  alertPolicies:
    - kind: AlertPolicy
      metadata: {name: policy}
      spec:
        alertWhenBreaching: true
        conditions:
          - kind: AlertCondition
            metadata: {name: Fast One}
            spec:
              description: look
              severity: critical
              condition: {kind: burnrate, op: gt, threshold: 3, lookbackWindow: 2h, alertAfter: 10m}
        notificationTargets:
          - {targetRef: ops}
"""
OPS = """
---
apiVersion: openslo/v1
kind: AlertNotificationTarget
metadata: {name: ops}
spec: {target: email}
"""


def policies(text: str) -> tuple[tuple[BurnAlert, ...], list[str]]:
    told = translate(read_documents(text.encode(), "f").openslo)
    assert not told.problems
    return told.definitions[0].spec.alerts, [one.message for one in told.notes]


def test_alert_policies_become_alerts_and_targets_receivers():
    alerts, notes = policies(SLO + POLICY + OPS)
    assert alerts == (
        BurnAlert(
            name="fast-one",
            burn=3,
            window="2h",
            after="10m",
            severity="page",
            receivers=("ops",),
            description="look",
        ),
    )
    assert notes == ["`target: email` is not looked at: how somebody is told is said there"]


@pytest.mark.parametrize(
    ("before", "after", "severity", "note"),
    [
        ("op: gt,", "op: lte,", None, "alerts on a burn of 3 or less, which is when all is well"),
        ("threshold: 3", "threshold: 0", None, "alerts on any burn at all"),
        ("alertWhenBreaching: true", "alertWhenNoData: true", None, "never alerts"),
        ("op: gt,", "op: gte,", "page", "fires above 3, not at it"),
        ("severity: critical", "severity: P7", "ticket", "severity `P7` of `fast-one` is taken"),
    ],
)
def test_what_has_no_meaning_here_is_told_field_by_field(
    before: str, after: str, severity: str | None, note: str
):
    alerts, notes = policies(SLO + POLICY.replace(before, after))
    assert [one.severity for one in alerts] == ([severity] if severity else [])
    (told,) = notes
    assert note in told


def test_same_condition_of_two_policies_is_one_alert_that_tells_both():
    second = POLICY.replace("\n  alertPolicies:", "").replace("ops", "dev")
    alerts, _ = policies(SLO + POLICY.rstrip() + second)
    assert [(one.name, one.receivers) for one in alerts] == [("fast-one", ("ops", "dev"))]
    other = second.replace("threshold: 3", "threshold: 4")
    alerts, _ = policies(SLO + POLICY.rstrip() + other)
    assert [(one.name, one.burn) for one in alerts] == [("fast-one", 3), ("fast-one-2", 4)]


def test_everything_wrong_is_told_at_once_with_its_place():
    text = SLO.replace(
        "isRolling: true", "isRolling: true, calendar: {startTime: now, timeZone: X}"
    )
    text = text.replace("targetPercent: 99.9", "targetPercent: 100").replace("shop-slo", "Shop")
    text = text.replace("counter: true", "counters: true")
    problems = read_documents(text.encode(), "openslo.yaml").problems
    assert [(problem.line, problem.field) for problem in problems] == [
        (11, "spec.indicator.spec.ratioMetric.counters"),
        (16, "spec.objectives[0].targetPercent"),
    ]
    text = text.replace("counters", "counter").replace("targetPercent: 100", "target: 0.5")
    parsed = read_documents(text.encode(), "openslo.yaml")
    assert [problem.field for problem in (*parsed.problems, *parsed.warnings)] == [
        "spec.timeWindow[0].calendar",
        "spec.timeWindow[0].calendar.startTime",
        "spec.timeWindow[0].calendar.timeZone",
        "metadata.name",
    ]


ROUND = {
    "alerts": ObjectiveSpec(
        service="shop",
        indicator=Indicator(gateway=GatewayIndicator()),
        targets=(Target(target=0.99, name="most"),),
        alerts=(
            BurnAlert(name="fast", burn=10.5, window="1h", after="5m", severity="page"),
            BurnAlert(
                name="slow", burn=2, window="1d", receivers=("ann", "bob"), description="look soon"
            ),
        ),
        pages=False,
    ),
    "gateway": ObjectiveSpec(
        service="shop",
        window="1M",
        calendar=Calendar(start="2026-01-01", time_zone="Europe/Berlin"),
        environments=("prod",),
        indicator=Indicator(gateway=GatewayIndicator(measure="latency", threshold_seconds=0.3)),
        targets=(Target(target=0.99, name="fast"), Target(target=0.9, name="slow")),
    ),
    "composite": ObjectiveSpec(
        service="shop",
        min_coverage=0.5,
        silence_seconds=60,
        targets=(
            Target(
                target=0.99,
                name="checks",
                indicator=Indicator(checks=ChecksIndicator(names=("home", "cart"))),
                weight=2,
            ),
            Target(
                target=0.999,
                name="logs",
                indicator=Indicator(logs=LogsIndicator(bad={"severity": "error"})),
            ),
        ),
    ),
    "value": ObjectiveSpec(
        service="shop",
        budgeting="Timeslices",
        indicator=Indicator(metrics=MetricsIndicator(value="max(lag)", source="Prometheus")),
        targets=(
            Target(target=0.99, op="lt", value=5, time_slice_target=0.9, time_slice_window="5m"),
        ),
        exclusions=(
            Exclusion(start="2026-03-01", end="2026-03-02", reason="the move", agreed="2026-02-01"),
        ),
    ),
    "raw": ObjectiveSpec(
        service="shop",
        description="by itself",
        indicator=Indicator(
            metrics=MetricsIndicator(raw="ratio", raw_type="failure", source="Prometheus")
        ),
        targets=(Target(target=0.5, name="x"),),
    ),
}


@pytest.mark.parametrize("name", sorted(ROUND))
def test_what_is_written_is_valid_and_says_the_same(name: str):
    written = write_openslo({name: ROUND[name]})
    parsed = read_documents(written.text.encode(), "openslo.yaml")
    assert not parsed.problems
    assert not parsed.warnings
    read = translate(parsed.openslo).definitions[0].spec
    expected = ROUND[name]
    if expected.calendar is not None:
        expected = ObjectiveSpec(
            **{
                **{f: getattr(expected, f) for f in expected.__struct_fields__},
                "calendar": Calendar(start="2026-01-01 00:00:00", time_zone="Europe/Berlin"),
            }
        )
    assert read == expected


def test_what_openslo_has_no_field_for_is_told():
    notes = write_openslo({"value": ROUND["value"]}).notes
    assert notes == ("value: OpenSLO has no field for andon/exclusions",)


def test_shorthands_become_an_slo_each():
    spec = ObjectiveSpec(
        service="shop",
        availability=0.99,
        latency=LatencyObjective(threshold_seconds=1, target=0.95),
    )
    written = write_openslo({"shop": spec})
    assert [one["metadata"]["name"] for one in written.documents] == [
        "shop-availability",
        "shop-latency",
    ]
    assert not read_documents(written.text.encode(), "f").problems
