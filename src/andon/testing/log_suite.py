"""What every LogStore must do."""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from andon.kernel.errors import UsageError
from andon.ports.telemetry import LogLine, LogPage, LogQuestion, LogStore, Matcher

SECOND = 1_000_000_000
TRACE = "0af7651916cd43dd8448eb211c80319c"


def line(second: float, text: str, **more: Any) -> LogLine:
    """Return a line of the service ``shop``."""
    labels = {"source": "service", "service": "shop", "environment": "prod"} | more.pop(
        "labels", {}
    )
    return LogLine(at_ns=int(second * SECOND), text=text, labels=labels, **more)


def asked(**more: Any) -> LogQuestion:
    """Return a question for lines of any time."""
    return LogQuestion(**({"start_ns": 0, "end_ns": 10**6 * SECOND} | more))


def texts(page: LogPage) -> list[str]:
    """Return what lines of a page say."""
    return [one.text for one in page.lines]


def _digest(*parts: int) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


class LogStoreSuite:
    """Fixture to provide: ``store``, open and empty."""

    def test_line_comes_back_as_it_was_said(self, store: LogStore) -> None:
        said = line(
            7,
            "käse\tist\nalle",
            severity="warn",
            trace=TRACE,
            span="b7ad6b7169203331",
            attributes={"a": "b"},
            labels={"zone": "é"},
        )
        assert store.append([said]) == 1
        for _ in range(2):
            (found,) = store.search(asked()).lines
            assert found.template > 0
            assert (found.at_ns, found.text, found.labels) == (said.at_ns, said.text, said.labels)
            assert (found.severity, found.trace, found.span) == ("warn", TRACE, said.span)
            assert found.attributes == said.attributes
            store.seal()

    def test_pages_go_from_the_newest_to_the_oldest_and_miss_nothing(self, store: LogStore) -> None:
        for part in range(5):  # Late ones, ones of the same moment, sealed and unsealed.
            store.append([line((7 * n + part) % 13, f"{part}.{n}") for n in range(20)])
            if part in (1, 3):
                store.seal()
        found: list[LogLine] = []
        cursor = ""
        while True:
            page = store.search(asked(limit=7, before=cursor))
            assert len(page.lines) <= 7
            found += page.lines
            cursor = page.next
            if not cursor:
                break
        assert len(found) == 100
        assert {one.text for one in found} == {f"{p}.{n}" for p in range(5) for n in range(20)}
        assert [one.at_ns for one in found] == sorted((one.at_ns for one in found), reverse=True)

    @pytest.mark.parametrize("sealed", [False, True])
    def test_every_condition_is_kept(self, store: LogStore, sealed: bool) -> None:
        store.append(
            [
                line(1, "Connection REFUSED by 10.0.0.1", severity="error", trace=TRACE),
                line(2, "connection accepted", severity="info"),
                line(3, "user ann paid", severity="debug", labels={"service": "bank"}),
                line(4, "nothing"),
            ]
        )
        if sealed:
            store.seal()
        assert texts(store.search(asked(text="connection"))) == [
            "connection accepted",
            "Connection REFUSED by 10.0.0.1",
        ]
        assert texts(store.search(asked(pattern=r"REFUSED|pa(i|y)d$"))) == [
            "user ann paid",
            "Connection REFUSED by 10.0.0.1",
        ]
        assert texts(store.search(asked(severity="info"))) == [
            "connection accepted",
            "Connection REFUSED by 10.0.0.1",
        ]
        assert texts(store.search(asked(trace=TRACE))) == ["Connection REFUSED by 10.0.0.1"]
        between = asked(start_ns=2 * SECOND, end_ns=4 * SECOND)
        assert texts(store.search(between)) == ["user ann paid", "connection accepted"]
        assert texts(store.search(asked(text="connection", pattern="^nothing"))) == []

    @pytest.mark.parametrize("sealed", [False, True])
    def test_labels_are_matched_as_prometheus_does(self, store: LogStore, sealed: bool) -> None:
        store.append(
            [
                line(1, "a", labels={"zone": "eu-1"}),
                line(2, "b", labels={"zone": "us-1"}),
                line(3, "c"),
            ]
        )
        if sealed:
            store.seal()

        def with_zone(op: Any, value: str) -> str:
            return "".join(texts(store.search(asked(labels=(Matcher("zone", op, value),)))))

        assert with_zone("=", "eu-1") == "a"
        assert with_zone("!=", "eu-1") == "cb"
        assert with_zone("=~", "eu-.*|us-1") == "ba"
        assert with_zone("=~", "eu") == ""
        assert with_zone("!~", "eu.*") == "cb"
        assert with_zone("=", "") == "c"

    @pytest.mark.parametrize("sealed", [False, True])
    def test_templates_are_counted(self, store: LogStore, sealed: bool) -> None:
        store.append([line(n, f"order {n} of customer {n * 7} shipped") for n in range(30)])
        store.append([line(40, "disk full", severity="error")])
        if sealed:
            store.seal()
        first, second = store.templates(asked())
        assert (first.text, first.count) == ("order <*> of customer <*> shipped", 30)
        assert (first.first_ns, first.last_ns) == (0, 29 * SECOND)
        assert first.example == "order 0 of customer 0 shipped"
        assert (second.text, second.count) == ("disk full", 1)
        of_first = asked(template=first.id, limit=100)
        assert len(store.search(of_first).lines) == 30
        part = asked(start_ns=10 * SECOND, end_ns=15 * SECOND)
        assert [one.count for one in store.templates(part)] == [5]
        assert [one.text for one in store.templates(asked(severity="error"))] == ["disk full"]

    @pytest.mark.parametrize("sealed", [False, True])
    def test_what_became_one_template_is_found_by_every_id(
        self, store: LogStore, sealed: bool
    ) -> None:
        names = ["ann", "bob", "cyd", "dan", "eve"]
        ids = set()
        for second, name in enumerate(names):
            store.append([line(second, f"user {name} has left")])
            ids |= {one.template for one in store.search(asked(limit=1)).lines}
            if sealed:
                store.seal()
        assert len(ids) > 1
        for id in ids:
            assert len(store.search(asked(template=id)).lines) == len(names)
        (only,) = store.templates(asked())
        assert (only.text, only.count) == ("user <*> has left", len(names))

    @pytest.mark.parametrize("sealed", [False, True])
    def test_lines_are_counted_over_time(self, store: LogStore, sealed: bool) -> None:
        store.append([line(n, f"{n}", severity="error" if n % 2 else "info") for n in range(10)])
        if sealed:
            store.seal()
        bars = store.histogram(asked(start_ns=0, end_ns=12 * SECOND), 4)
        assert [one.start_ns // SECOND for one in bars] == [0, 3, 6, 9]
        assert [sum(one.counts.values()) for one in bars] == [3, 3, 3, 1]
        assert bars[0].counts == {"info": 2, "error": 1}

    def test_label_sets_of_a_time_are_told(self, store: LogStore) -> None:
        store.append([line(1, "a", labels={"service": "one"})])
        store.seal()
        store.append([line(100, "b", labels={"service": "two"})])
        assert [one["service"] for one in store.label_sets(0, 50 * SECOND)] == ["one"]
        assert [one["service"] for one in store.label_sets(0, 200 * SECOND)] == ["one", "two"]

    def test_marks_are_kept_with_lines(self, store: LogStore) -> None:
        store.append([line(1, "a")], {"one": "7", "two": "x"})
        store.append([], {"one": "9"})
        store.append([], {"two": ""})
        assert store.marks() == {"one": "9"}

    def test_old_lines_are_forgotten(self, store: LogStore) -> None:
        store.append([line(n, f"old {n}") for n in range(5)])
        store.seal()
        store.append([line(100_000, "new")])
        store.seal()
        assert store.forget(50_000 * SECOND, 1 << 30) == 5
        assert texts(store.search(asked())) == ["new"]

    def test_the_oldest_are_forgotten_where_there_is_no_more_room(self, store: LogStore) -> None:
        for hour in range(40):
            at = hour * 86_400
            store.append([line(at + n, f"{hour} {_digest(hour, n)}") for n in range(200)])
            store.seal()
        assert store.forget(0, 250_000) > 0
        page = store.search(asked(limit=8000, end_ns=10**9 * SECOND))
        hours = {one.text.split()[0] for one in page.lines}
        assert "39" in hours
        assert "0" not in hours

    def test_evil_pattern_ends(self, store: LogStore) -> None:
        store.append([line(n, "a" * 3000 + "!") for n in range(20)])
        store.seal()
        assert texts(store.search(asked(pattern="(a+)+$"))) == []

    @pytest.mark.parametrize("wrong", [{"pattern": "("}, {"severity": "loud"}, {"before": "?"}])
    def test_a_question_put_wrongly_is_refused(
        self, store: LogStore, wrong: dict[str, str]
    ) -> None:
        with pytest.raises(UsageError):
            store.search(asked(**wrong))
