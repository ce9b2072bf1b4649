"""Scrape after scrape: what is told again is known again, and what is told no more is marked."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from andon.adapters.outbound import Guard
from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.adapters.telemetry.scrape.fetch import fetch
from andon.adapters.telemetry.scrape.target import Target
from andon.api.v1.telemetry import Relabel
from andon.calc.relabel import rules_of
from andon.calc.staleness import is_stale
from andon.kernel.errors import Denied, InvalidDocument, Unavailable
from andon.ports.telemetry import Exemplar, Matcher, Metadata

START_MS = 1_800_000_000_000
PLACE = {"job": "shop", "instance": "127.0.0.1:80"}


@pytest.fixture
def store(tmp_path):
    store = MetricChunks(tmp_path)
    yield store
    store.close()


def series(store, name, **labels):
    """Return values by labels beside those of the target; a staleness mark is None."""
    matchers = [Matcher("__name__", "=", name), *(Matcher(k, "=", v) for k, v in labels.items())]
    return {
        tuple(
            f"{key}={value}"
            for key, value in one.labels
            if key not in ("__name__", *PLACE)
            or (key, value) not in [*PLACE.items(), ("__name__", name)]
        ): [None if is_stale(value) else value for value in one.values.tolist()]
        for one in store.select(matchers, 0, 1 << 41)
    }


def take(target, *answers, **told):
    for step, text in enumerate(answers):
        target.take(text, START_MS + step * 15_000, 0.01, **told)


def test_second_scrape_means_the_same_as_the_first(store):
    awkward = 'm{a="x} 5 # {y",b="\\"quoted\\\\"} 1\nm{a="é"} 2\nplain 3\n'
    again = awkward.replace("} 1\n", "} 11\n").replace("} 2\n", "} NaN\n")
    take(Target(store, PLACE), awkward, again, awkward)
    assert series(store, "m")["a=x} 5 # {y", 'b="quoted\\'] == [1, 11, 1]
    assert series(store, "plain") == {(): [3, 3, 3]}
    assert series(store, "up") == {(): [1, 1, 1]}
    assert series(store, "scrape_samples_scraped") == {(): [3, 3, 3]}


@pytest.mark.parametrize("bad", ["m 1_0", "m \u0661", "m 1 x", "m one", "m{", "m 0x5"])
def test_known_series_with_a_bad_value_is_refused_as_a_new_one_is(store, bad):
    target = Target(store, PLACE)
    target.take("m 1\n", START_MS, 0.01)
    with pytest.raises(InvalidDocument):
        target.take(bad + "\n", START_MS + 15_000, 0.01)
    assert series(store, "m") == {(): [1, None]}
    assert series(store, "up") == {(): [1, 0]}


def test_series_that_is_told_no_more_is_marked_once(store):
    take(Target(store, PLACE), "a 1\nb 1\n", "a 2\n", "a 3\n", "a 4\nb 4\n")
    assert series(store, "b") == {(): [1, None, 4]}
    assert series(store, "a") == {(): [1, 2, 3, 4]}


def test_target_that_goes_leaves_marks_behind(store):
    target = Target(store, PLACE)
    target.take("a 1\n", START_MS, 0.01)
    target.leave(START_MS + 15_000)
    assert series(store, "a") == {(): [1, None]}
    assert series(store, "up") == {(): [1, None]}


def test_times_that_are_told_are_kept(store):
    text = f"a 1 {START_MS - 5000}\nb 2\n"
    take(Target(store, PLACE), text)
    (one,) = store.select([Matcher("__name__", "=", "a")], 0, 1 << 41)
    assert one.times_ms.tolist() == [START_MS - 5000]


def test_labels_of_the_target_go_first(store):
    take(Target(store, PLACE), 'a{job="other",empty=""} 1\n')
    assert series(store, "a") == {("exported_job=other",): [1]}


def test_rules_rename_and_drop(store):
    rules = rules_of(
        [
            Relabel(action="drop", source_labels=("__name__",), regex="go_.*"),
            Relabel(action="labeldrop", regex="secret"),
        ]
    )
    target = Target(store, PLACE, rules)
    take(target, 'go_gc 1\na{secret="x",b="c"} 1\n', 'go_gc 2\na{secret="x",b="c"} 2\n')
    assert series(store, "a") == {("b=c",): [1, 2]}
    assert series(store, "go_gc") == {}
    assert series(store, "scrape_samples_scraped") == {(): [2, 2]}
    assert series(store, "scrape_samples_post_metric_relabeling") == {(): [1, 1]}


def test_more_samples_than_may_be_are_refused_whole(store):
    target = Target(store, PLACE, sample_limit=2)
    with pytest.raises(InvalidDocument, match="3 samples"):
        target.take("a 1\nb 1\nc 1\n", START_MS, 0.01)
    assert series(store, "a") == {}
    assert series(store, "up") == {(): [0]}


def test_series_beyond_the_limit_are_tried_again_later(tmp_path):
    store = MetricChunks(tmp_path, max_series=5)
    target = Target(store, PLACE)
    assert target.take("a 1\nb 1\n", START_MS, 0.01).refused == 1
    store._max_series = 50
    take(target, *["a 1\nb 1\n"] * 25)
    assert series(store, "b")
    store.close()


def test_open_metrics_tells_types_and_exemplars(store):
    text = (
        "# TYPE h histogram\n# HELP h How long.\n# UNIT h seconds\n"
        'h_bucket{le="1"} 5 # {trace_id="ab"} 0.7 1800000000.5\nh_bucket{le="+Inf"} 6\n# EOF\n'
    )
    take(Target(store, PLACE), text, text, open_metrics=True)
    assert store.metadata()["h"] == Metadata("histogram", "How long.", "seconds")
    (found,) = store.exemplars([Matcher("__name__", "=", "h_bucket")], 0, 1 << 41).values()
    assert found == [Exemplar(1_800_000_000_500, 0.7, (("trace_id", "ab"),))]


def test_open_metrics_that_is_cut_off_is_refused(store):
    with pytest.raises(InvalidDocument, match="cut off"):
        Target(store, PLACE).take("a 1\n", START_MS, 0.01, open_metrics=True)


def test_texts_of_many_series_that_come_and_go_do_not_pile_up(store):
    target = Target(store, PLACE)
    for step in range(30):
        lines = "".join(f'm{{i="{step * 100 + i}"}} 1\n' for i in range(100))
        target.take(lines, START_MS + step * 15_000, 0.01)
    assert len(target._known) <= 1400


class Answering(BaseHTTPRequestHandler):
    body, status, kind = b"a 1\n", 200, "text/plain; version=0.0.4"

    def do_GET(self):
        self.send_response(self.status)
        self.send_header("Content-Type", self.kind)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint():
    handler = type("Handler", (Answering,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        handler.url = f"http://127.0.0.1:{server.server_port}/metrics"
        yield handler
        server.shutdown()
        thread.join()


def test_answer_comes_plain_or_packed(endpoint):
    assert fetch(endpoint.url, 5).text == "a 1\n"
    endpoint.body, endpoint.kind = (
        gzip.compress(b"a 2\n# EOF\n", mtime=0),
        "application/openmetrics-text",
    )
    found = fetch(endpoint.url, 5)
    assert (found.text, found.open_metrics) == ("a 2\n# EOF\n", True)


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (b"gone", 404, "status 404"),
        (b"\xff\xfe", 200, "no UTF-8"),
        (gzip.compress(b"a" * 1000, mtime=0)[:-20], 200, "breaks its answer off"),
        (gzip.compress(b"a" * (33 << 20), mtime=0), 200, "more than"),
    ],
)
def test_answer_that_is_no_use_is_told(endpoint, body, status, why):
    endpoint.body, endpoint.status = body, status
    with pytest.raises(Unavailable, match=why):
        fetch(endpoint.url, 5)


def test_guard_says_where_calls_may_lead(endpoint):
    with pytest.raises(Denied):
        fetch(endpoint.url, 5, Guard())
