from __future__ import annotations

from pathlib import Path

from andon.api.v1.latency import bucket_of, upper_bound
from andon.cli.demo.tally import FAILURES_LIMIT, SERIES_SECONDS, Failure, Tally, write_file


def failure(at: float, reason: str = "500") -> Failure:
    return Failure(at=at, ended_at=at, method="GET", path="/", client="a", reason=reason)


def test_sent_is_what_ended_and_what_is_in_flight() -> None:
    tally = Tally()
    tally.sent = 5
    tally.complete(at=1.0)
    tally.complete(at=1.5)
    tally.fail(failure(2.0))
    report = tally.report()
    assert (report.completed, report.failed, report.in_flight) == (2, 1, 2)


def test_failures_are_told_by_reason_with_time_and_path() -> None:
    tally = Tally()
    tally.fail(failure(2.0, "502"))
    tally.fail(failure(3.0, "502"))
    tally.fail(failure(4.0, "ConnectionRefusedError"))
    report = tally.report()
    assert report.reasons == {"502": 2, "ConnectionRefusedError": 1}
    assert [(kept.at, kept.path) for kept in report.failures] == [
        (2.0, "/"),
        (3.0, "/"),
        (4.0, "/"),
    ]


def test_list_of_failures_is_bounded_and_their_number_is_not() -> None:
    tally = Tally()
    for number in range(FAILURES_LIMIT + 10):
        tally.fail(failure(float(number)))
    report = tally.report()
    assert (len(report.failures), report.failed) == (FAILURES_LIMIT, FAILURES_LIMIT + 10)


def test_quantiles_are_upper_bounds_of_the_common_buckets() -> None:
    tally = Tally()
    for _ in range(98):
        tally.answer(at=1.0, latency_seconds=0.01)
    tally.answer(at=1.0, latency_seconds=0.2)
    tally.answer(at=1.0, latency_seconds=3.0)
    report = tally.report()
    assert report.p50_ms == round(upper_bound(bucket_of(0.01)) * 1000, 3)
    assert report.p99_ms == round(upper_bound(bucket_of(0.2)) * 1000, 3)


def test_no_answers_have_no_quantiles() -> None:
    report = Tally().report()
    assert (report.p50_ms, report.p99_ms) == (None, None)


def test_seconds_are_the_latest_in_order_whatever_the_order_of_answers() -> None:
    tally = Tally()
    for at in (10.2, 12.1, 11.9, 10.8):
        tally.complete(at)
    tally.fail(failure(11.0))
    seconds = tally.report().seconds
    assert [(s.at, s.completed, s.failed) for s in seconds] == [(10, 2, 0), (11, 1, 1), (12, 1, 0)]


def test_series_is_bounded() -> None:
    tally = Tally()
    for at in range(SERIES_SECONDS + 50):
        tally.complete(float(at))
    tally.complete(0.0)
    seconds = tally.report().seconds
    assert (len(seconds), seconds[0].at) == (SERIES_SECONDS, 50)


def test_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    write_file(file, b"old")
    write_file(file, b"new")
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]
