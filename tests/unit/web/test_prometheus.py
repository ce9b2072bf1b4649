"""Prometheus's HTTP API, word by word."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from asgi import Answered, ask

from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.api.v1.access import Grant, Identity
from andon.app.telemetry.queries import Metrics
from andon.ports.offices import Offices
from andon.ports.telemetry import Exemplar, Labels, Metadata
from andon.testing.clock import FakeClock
from andon.testing.door import FixedDoor
from andon.testing.line import StillLine
from andon.web.app import create_app

NOW = 1_700_000_000
UP: Labels = (("__name__", "up"), ("instance", "a:1"), ("job", "api"))


@pytest.fixture
def app(tmp_path: Path):
    store = MetricChunks(tmp_path)
    for back in range(60, -1, -15):
        store.append((NOW - back) * 1000 + 500 * (back > 0), [(UP, 1.0 + back / 100)])
    store.describe({"up": Metadata("gauge", "Whether it is.")})
    store.add_exemplars([(UP, Exemplar((NOW - 5) * 1000, 0.5, (("trace_id", "ab"),)))])
    guest = Identity(name="service:grafana", grants=(Grant(role="viewer", environment="*"),))
    door = FixedDoor(guests={"secret": guest})
    metrics = Metrics(store, FakeClock(float(NOW)))
    yield create_app(Offices(line=StillLine(), access=door, metrics=metrics))
    store.close()


async def get(app: Any, path: str) -> Answered:
    return await ask(app, "GET", f"/api/v1{path}", authorization="Bearer secret")


async def data(app: Any, path: str) -> Any:
    said = (await get(app, path)).json
    assert said["status"] == "success", said
    return said["data"]


async def post(app: Any, path: str, form: str) -> Any:
    """Send a form; the ASGI helper sends JSON only."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": form.encode(), "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = {
        "authorization": "Bearer secret",
        "content-type": "application/x-www-form-urlencoded",
        "host": "localhost",
    }
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": f"/api/v1{path}", "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "client": ("127.0.0.1", 4000), "server": ("127.0.0.1", 7411), "state": {},
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    await app(scope, receive, send)
    status = next(one["status"] for one in sent if one["type"] == "http.response.start")
    body = b"".join(one.get("body", b"") for one in sent)
    return Answered(status, {}, body).json


async def test_a_query_is_answered_in_prometheus_envelope(app: Any) -> None:
    metric = {"__name__": "up", "instance": "a:1", "job": "api"}
    assert await data(app, "/query?query=up") == {
        "resultType": "vector",
        "result": [{"metric": metric, "value": [NOW, "1"]}],
    }
    said = await data(app, f"/query?query=up&time={NOW - 20}.25")
    assert said["result"][0]["value"] == [NOW - 19.75, "1.3"]
    assert await data(app, "/query?query=1/0") == {"resultType": "scalar", "result": [NOW, "+Inf"]}
    assert (await data(app, "/query?query='a'"))["result"] == [NOW, "a"]


async def test_a_range_takes_seconds_durations_and_rfc_3339(app: Any) -> None:
    at = "/query_range?query=up"
    seconds = await data(app, f"{at}&start={NOW - 30}&end={NOW}&step=15")
    assert [one[0] for one in seconds["result"][0]["values"]] == [NOW - 30, NOW - 15, NOW]
    times = "start=2023-11-14T22:12:50Z&end=2023-11-14T22:13:20Z&step=15s"
    assert await data(app, f"{at}&{times}") == seconds


async def test_a_form_is_as_good_as_a_query(app: Any) -> None:
    said = await post(app, "/query", "query=up&timeout=10s")
    assert said["data"] == await data(app, "/query?query=up")
    said = await post(app, "/series", "match[]=up&match[]=none")
    assert said == {"status": "success", "data": [dict(UP)]}


async def test_names_values_and_metadata(app: Any) -> None:
    assert await data(app, "/labels") == ["__name__", "instance", "job"]
    assert await data(app, "/label/job/values") == ["api"]
    assert await data(app, "/label/job/values?match[]=none") == []
    assert await data(app, "/series?match[]=up&match[]=up") == [dict(UP)]
    assert await data(app, "/metadata?metric=up") == {
        "up": [{"type": "gauge", "help": "Whether it is.", "unit": ""}]
    }
    assert (await data(app, "/query_exemplars?query=rate(up[5m])"))[0]["exemplars"] == [
        {"labels": {"trace_id": "ab"}, "value": "0.5", "timestamp": NOW - 5}
    ]
    assert (await data(app, "/targets"))["activeTargets"][0]["health"] == "up"
    assert await data(app, "/rules") == {"groups": []}
    assert (await data(app, "/status/buildinfo"))["version"]
    assert await data(app, "/format_query?query=sum(up)by(job)") == "sum by (job) (up)"


async def test_answers_are_cut_at_a_limit_and_say_so(app: Any) -> None:
    cut = ["results truncated due to limit"]
    for path in (
        "/query?query={job!=%22%22}%20or%20vector(1)&limit=1",
        f"/query_range?query=up%20or%20vector(1)&start={NOW - 30}&end={NOW}&step=15&limit=1",
    ):
        said = (await get(app, path)).json
        assert len(said["data"]["result"]) == 1
        assert said["warnings"] == cut
        assert "warnings" not in (await get(app, path.replace("limit=1", "limit=0"))).json
    assert (await get(app, "/query?query=1&limit=1")).json == {
        "status": "success",
        "data": {"resultType": "scalar", "result": [NOW, "1"]},
    }
    assert (await get(app, "/labels?limit=2")).json["data"] == ["__name__", "instance"]
    assert (await get(app, "/labels?limit=2")).json["warnings"] == cut
    assert (await get(app, "/label/job/values?limit=one")).status == 400
    assert (await data(app, "/metadata?limit_per_metric=1"))["up"][0]["type"] == "gauge"


async def test_values_of_a_label_are_those_of_chosen_series(app: Any) -> None:
    assert await data(app, "/label/job/values?match[]=up&match[]=none") == ["api"]
    assert await data(app, '/label/__name__/values?match[]={job="api"}&limit=40000') == ["up"]
    assert await data(app, '/label/job/values?match[]={job="other"}') == []
    assert await data(app, f"/label/job/values?match[]=up&start={NOW - 9}&end={NOW}") == ["api"]
    assert await data(app, "/label/U__job/values") == ["api"]
    assert await data(app, "/label/U___5f__5f_name_5f__5f_/values") == ["up"]
    assert (await get(app, "/label/U___110000_/values")).status == 400
    assert (await get(app, "/label/job/values?match[]=up{")).status == 400


TREE = {
    "type": "binaryExpr",
    "op": "/",
    "bool": False,
    "matching": {"card": "many-to-one", "labels": ["job"], "on": True, "include": ["a"]},
    "lhs": {
        "type": "aggregation",
        "op": "sum",
        "grouping": ["job"],
        "without": False,
        "param": None,
        "expr": {
            "type": "call",
            "func": {
                "name": "rate",
                "argTypes": ["matrix"],
                "variadic": 0,
                "returnType": "vector",
            },
            "args": [
                {
                    "type": "matrixSelector",
                    "range": 300000,
                    "name": "up",
                    "matchers": [{"name": "__name__", "type": "=", "value": "up"}],
                    "offset": 60000,
                    "timestamp": None,
                    "startOrEnd": "end",
                }
            ],
        },
    },
    "rhs": {
        "type": "vectorSelector",
        "name": "",
        "matchers": [{"name": "job", "type": "=~", "value": "a.*"}],
        "offset": 0,
        "timestamp": 1000,
        "startOrEnd": None,
    },
}


async def test_a_query_is_told_as_a_tree(app: Any) -> None:
    text = (
        'sum by (job) (rate(up[5m] @ end() offset 1m)) / on (job) group_left (a) {job=~"a.*"} @ 1'
    )
    said = await post(app, "/parse_query", urlencode({"query": text}))
    assert said["data"] == TREE
    assert await data(app, "/parse_query?query=topk(2,-up)") == {
        "type": "aggregation",
        "op": "topk",
        "grouping": [],
        "without": False,
        "param": {"type": "numberLiteral", "val": "2"},
        "expr": {
            "type": "unaryExpr",
            "op": "-",
            "expr": {
                "type": "vectorSelector",
                "name": "up",
                "matchers": [{"name": "__name__", "type": "=", "value": "up"}],
                "offset": 0,
                "timestamp": None,
                "startOrEnd": None,
            },
        },
    }
    subquery = await data(app, "/parse_query?query=max_over_time(up[1h:1m])%20>%20bool%201")
    assert (subquery["bool"], subquery["matching"]) == (True, None)
    assert subquery["lhs"]["args"][0] | {"expr": None} == {
        "type": "subquery",
        "range": 3600000,
        "step": 60000,
        "offset": 0,
        "timestamp": None,
        "startOrEnd": None,
        "expr": None,
    }
    assert (await get(app, "/parse_query?query=up{")).status == 400


WRONG = {
    "/query?query=": (400, "bad_data", "no expression"),
    "/query?query=up{": (400, "bad_data", "parse error"),
    "/query?query=info(up)": (400, "bad_data", "the function info() at 1:1"),
    "/query?query=up&time=noon": (400, "bad_data", 'cannot parse "noon"'),
    "/query_range?query=up&start=0&end=1": (400, "bad_data", 'invalid parameter "step"'),
    "/query_range?query=up&start=2&end=1&step=1": (400, "bad_data", 'invalid parameter "end"'),
    "/query_range?query=up&start=0&end=99999&step=1": (422, "execution", "exceeded maximum"),
    "/query?query=up%2Bon()group_left()up": (200, "", ""),
    "/series": (400, "bad_data", "no match[] parameter"),
    "/series?match[]=1": (400, "bad_data", "is no selector"),
    "/query?query=label_replace(up,%22a%22,%22%22,%22b%22,%22(%22)": (422, "execution", "regular"),
    "/query?query=up&lookback_delta=1m": (400, "bad_data", "is not taken"),
    "/query?query=up&time=1e300": (400, "bad_data", "cannot parse"),
}


@pytest.mark.parametrize("path", WRONG)
async def test_what_is_wrong_is_said_as_prometheus_says_it(app: Any, path: str) -> None:
    status, kind, text = WRONG[path]
    said = await get(app, path)
    assert said.status == status
    if kind:
        assert (said.json["status"], said.json["errorType"]) == ("error", kind)
        assert text in said.json["error"]


async def test_a_token_may_be_the_password_of_what_only_reads(app: Any) -> None:
    basic = f"Basic {b64encode(b'any:secret').decode()}"
    said = await ask(app, "GET", "/api/v1/query?query=up", authorization=basic)
    assert said.status == 200
    wrong = f"Basic {b64encode(b'secret:any').decode()}"
    assert (await ask(app, "GET", "/api/v1/query?query=up", authorization=wrong)).status == 401
    assert (await ask(app, "GET", "/api/v1/status", authorization=basic)).status == 401
