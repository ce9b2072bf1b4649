"""A Check that could not be asked is refused, with all that is wrong at once."""

from __future__ import annotations

import pytest

from andon.api.project import check_project

REST = """\
apiVersion: andon/v1
kind: Pipeline
metadata: {name: shop}
spec: {jobs: {build: {run: "true"}}}
---
apiVersion: andon/v1
kind: Service
metadata: {name: shop}
spec: {command: [serve], artifact: {path: .}, health: {path: /}}
---
apiVersion: andon/v1
kind: Environment
metadata: {name: prod}
spec: {}
---
apiVersion: andon/v1
kind: Check
metadata: {name: front}
spec: """


def problems(spec: str) -> list[tuple[str, str]]:
    parsed = check_project({"andon.yaml": (REST + spec).encode()})
    return [(one.field, one.message) for one in parsed.problems]


@pytest.mark.parametrize(
    "spec",
    [
        "{service: shop, environment: prod, http: {url: /}}",
        "{http: {url: 'https://shop.example/'}, workers: [here, tokyo]}",
        "{steps: [{name: a, url: 'https://a.example', capture: {next: url}}, {name: b, url: '{{next}}'}]}",
        "{tcp: {address: '[::1]:22', expect: SSH}}",
        "{tls: {address: 'shop.example:443'}}",
        "{dns: {name: shop.example, type: MX}}",
    ],
)
def test_check_that_can_be_asked_is_accepted(spec: str):
    assert problems(spec) == []


def test_everything_that_is_wrong_is_told_at_once():
    spec = (
        "{service: shelf, everySeconds: 10, http: {url: /}, tcp: {address: 'a:1'},"
        " browser: {steps: [{go: 'file:///etc/passwd'}]}}"
    )
    assert problems(spec) == [
        ("spec.service", "no Service is called `shelf`"),
        (
            "spec",
            "expected one of `http`, `steps`, `tcp`, `tls`, `dns`, `browser`;"
            " found `http` and `tcp` and `browser`",
        ),
        ("spec.everySeconds", "2 tries of 10 s do not fit into `everySeconds` (10)"),
        ("spec.http.url", "`/` is a path: of which service, and in which environment?"),
        (
            "spec.browser.steps[0].go",
            "expected http(s)://… or a path, found `file:///etc/passwd`",
        ),
    ]


def test_check_that_asks_nothing_is_refused():
    assert problems("{}")[0][1].endswith("found none")
