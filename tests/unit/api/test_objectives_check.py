"""An Objective that could not be evaluated, or would mislead, is refused with its place."""

from __future__ import annotations

import json

import pytest

from andon.api.project import check_project

PROJECT = """
apiVersion: andon/v1
kind: Service
metadata: {name: shop}
spec: {command: [./run]}
---
apiVersion: andon/v1
kind: Pipeline
metadata: {name: ci}
spec: {jobs: {test: {run: "true"}}}
---
apiVersion: andon/v1
kind: Environment
metadata: {name: prod}
spec: {}
"""
GATEWAY = {"gateway": {}}
SLICE = {"timeSliceTarget": 0.9, "timeSliceWindow": "1m"}


def wrong(*specs: dict[str, object]) -> list[tuple[str, str]]:
    documents = [
        {
            "apiVersion": "andon/v1",
            "kind": "Objective",
            "metadata": {"name": f"o{number}"},
            "spec": {"service": "shop", **spec},
        }
        for number, spec in enumerate(specs)
    ]
    text = "\n---\n".join([PROJECT, *(json.dumps(one) for one in documents)])
    problems = check_project({"andon.yaml": text.encode()}).problems
    return [(problem.field, problem.message) for problem in problems]


@pytest.mark.parametrize(
    ("spec", "field", "said"),
    [
        ({}, "spec", "needs `availability`, `latency` or `targets`"),
        ({"targets": [{"target": 0.9}]}, "spec.targets[0]", "nothing says what is measured"),
        ({"indicator": GATEWAY}, "spec.indicator", "an `indicator` needs `targets`"),
        (
            {"indicator": {}, "targets": [{"target": 0.9}]},
            "spec.indicator",
            "expected one of `gateway`",
        ),
        (
            {"indicator": {"gateway": {"measure": "latency"}}, "targets": [{"target": 0.9}]},
            "spec.indicator.gateway",
            "`thresholdSeconds` belongs",
        ),
        (
            {"indicator": {"metrics": {"good": "a"}}, "targets": [{"target": 0.9}]},
            "spec.indicator.metrics",
            "expected `total` with one of",
        ),
        (
            {"indicator": {"metrics": {"value": "a"}}, "targets": [{"target": 0.9}]},
            "spec.targets[0]",
            "`op` and `value` are missing",
        ),
        (
            {
                "indicator": {"logs": {"bad": {f"l{n}": "x" for n in range(6)}}},
                "targets": [{"target": 0.9}],
            },
            "spec.indicator.logs.bad",
            "at most 5 labels; found 6",
        ),
        (
            {
                "indicator": {"logs": {"bad": {"1st": "x"}}},
                "targets": [{"target": 0.9}],
            },
            "spec.indicator.logs.bad.1st",
            "expected a label such as",
        ),
        (
            {"indicator": {"logs": {"bad": {"code": ""}}}, "targets": [{"target": 0.9}]},
            "spec.indicator.logs.bad.code",
            "expected 1 to 64 characters",
        ),
        (
            {"indicator": GATEWAY, "targets": [{"target": 0.9, "op": "lt", "value": 1}]},
            "spec.targets[0].op",
            "only a target of a value",
        ),
        (
            {
                "indicator": GATEWAY,
                "budgeting": "Timeslices",
                "targets": [{"target": 0.9, **SLICE}],
            },
            "spec.targets[0].timeSliceTarget",
            "a healthy service would miss it",
        ),
        (
            {"indicator": GATEWAY, "budgeting": "RatioTimeslices", "targets": [{"target": 0.9}]},
            "spec.targets[0]",
            "`timeSliceWindow` is missing",
        ),
        (
            {"availability": 0.9, "calendar": {"start": "2026-01-01", "timeZone": "Europe/Bern"}},
            "spec.calendar.timeZone",
            "no time zone is called",
        ),
        (
            {"availability": 0.9, "calendar": {"start": "2026-02-30"}},
            "spec.calendar.start",
            "no such moment",
        ),
        ({"availability": 0.9, "window": "0d"}, "spec.window", "is no length of time"),
        ({"availability": 0.9, "environments": ["prd"]}, "spec.environments[0]", "no Environment"),
        (
            {
                "availability": 0.9,
                "exclusions": [
                    {
                        "start": "2026-03-01",
                        "end": "2026-03-02",
                        "reason": "x",
                        "agreed": "2026-03-03",
                    }
                ],
            },
            "spec.exclusions[0].agreed",
            "agreed before it begins",
        ),
    ],
)
def test_what_is_wrong_is_told_where_it_is(spec: dict[str, object], field: str, said: str):
    assert any(where == field and said in message for where, message in wrong(spec))


def test_a_service_has_many_objectives_but_is_judged_by_one():
    targets = {"indicator": GATEWAY, "targets": [{"target": 0.9}]}
    assert wrong({"availability": 0.9}, targets, targets) == []
    assert wrong({"availability": 0.9}, {"availability": 0.99}) == [
        ("spec.service", "`shop` already has the Objective `o0` (andon.yaml:18)")
    ]
