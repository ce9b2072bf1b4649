from andon.adapters.haproxy.counters import Counters, Line, LineReader, is_of_half

SHOP, SHOP_NEW, ORDERS = "prod.shop.v1", "prod.shop.v2", "prod.orders.v1"


def line(b=SHOP, s=200, t=5, c="u1", i="t1", e="--", d=1000):
    return Line(b=b, s=s, t=t, c=c, i=i, e=e, p=1, d=d)


def fold(*lines, now=100.0, counters=None):
    counters = counters or Counters()
    for each in lines:
        counters.fold(each, now)
    return counters


def tally(counters, backend=SHOP, now=100.0):
    return counters.tally(backend, now)


def test_a_server_error_counts_once_per_client_and_window():
    counters = fold(line(s=500), line(s=500), line(s=500, c="u2"))
    assert (tally(counters).errors, tally(counters).client_errors) == (3, 2)
    fold(line(s=503), now=110.0, counters=counters)
    assert tally(counters, now=110.0).client_errors == 3


def test_an_answer_broken_off_by_the_server_is_an_error_that_the_status_does_not_show():
    seen = tally(fold(line(s=200, e="SD")))
    assert (seen.errors, seen.answered_errors) == (1, 0)


def test_a_client_that_left_before_the_answer_is_nobodys_error():
    seen = tally(fold(line(s=-1, e="CH"), line(s=503, e="CC"), line(s=200, e="CD")))
    assert (seen.requests, seen.answered, seen.errors, seen.answered_errors) == (2, 2, 0, 1)


def test_an_error_whose_body_the_client_did_not_read_is_still_one():
    assert tally(fold(line(s=500, e="CD"))).errors == 1


def test_a_request_without_any_answer_is_an_error():
    seen = tally(fold(line(s=-1, e="SH")))
    assert (seen.requests, seen.errors, seen.answered) == (1, 1, 0)


def test_every_request_is_of_one_class_and_bad_classes_are_the_errors():
    seen = tally(
        fold(line(), line(s=302), line(s=404), line(s=500), line(s=503, e="CC"), line(s=-1, e="SH"),
             line(s=200, e="SD"), line(s=-1, e="CH"))
    ).counts(0, 0)  # fmt: skip
    assert seen.classes == {"2xx": 1, "3xx": 1, "4xx": 2, "5xx": 1, "failed": 2}
    assert sum(seen.classes.values()) == seen.requests == sum(seen.latency.values())
    assert seen.classes["5xx"] + seen.classes["failed"] == seen.errors
    assert seen.latency_ms == 7 * 5


def test_clients_are_those_of_the_last_full_window():
    counters = fold(line(), line(c="u2"), line(c="u2"))
    assert tally(counters).counts(0, 0).clients == 0
    assert tally(counters, now=110.0).counts(0, 0).clients == 2
    assert tally(counters, now=130.0).counts(0, 0).clients == 0


def test_a_version_touched_by_a_failed_trace_is_charged_once_per_client():
    counters = Counters()
    for trace, client in (("t1", "u1"), ("t2", "u1"), ("t3", "u2")):
        fold(line(ORDERS, i=trace, c="inner"), line(s=500, i=trace, c=client), counters=counters)
    assert tally(counters, ORDERS).attributed_errors == 2
    assert tally(counters).attributed_errors == 0


def test_an_inner_failure_is_not_counted_twice_but_lets_other_clients_speak():
    counters = Counters()
    for trace, client in (("t1", "u1"), ("t2", "u2"), ("t3", "u3")):
        inner = line(ORDERS, s=500, i=trace, c="inner")
        fold(inner, line(s=500, i=trace, c=client), counters=counters)
    seen = tally(counters, ORDERS)
    assert (seen.client_errors, seen.attributed_errors) == (1, 2)


def test_the_failed_one_is_charged_and_not_its_healthy_neighbour():
    healthy, sick = "prod.stock.v1", ORDERS
    counters = fold(line(sick, s=500, i="t0", c="inner"))
    earlier, later = line(healthy, d=1006), line(sick, s=500, c="inner", d=1012)
    fold(earlier, later, line(s=500, t=13, d=1013), counters=counters)
    assert tally(counters, healthy).attributed_errors == 0
    assert tally(counters, sick).attributed_errors == 1


def test_traces_of_other_environments_versions_of_the_same_service_and_old_ones_do_not_join():
    counters = fold(line("dev.orders.v1"), line(SHOP_NEW))
    fold(line(ORDERS, i="old"), counters=counters)
    fold(line(s=500), counters=counters)
    fold(line(s=500, i="old"), now=120.0, counters=counters)
    for backend in ("dev.orders.v1", SHOP_NEW, ORDERS):
        assert tally(counters, backend).attributed_errors == 0


def test_requests_that_reached_no_version_are_left_out():
    counters = fold(line("nowhere", s=503), line("prod.shop", s=400))
    assert tally(counters).requests == 0


def test_only_lines_with_the_token_are_read():
    reader = LineReader("secret")
    text = b'{"b":"a.b.c","s":"200","t":"3","c":"-12","i":"-","e":"--","p":"9","d":"7"}\n'
    assert reader.read(b"secret " + text) == Line("a.b.c", 200, 3, "-12", "-", "--", 9, 7)
    for other in (text, b"guess " + text, b"secret {", b"secret \xff", b""):
        assert reader.read(other) is None


def test_one_half_of_the_clients_is_counted_apart():
    clients = [f"u{number}" for number in range(40)]
    seen = tally(fold(*[line(s=500, c=client) for client in clients * 2]))
    half = [client for client in clients if is_of_half(client)]
    assert (seen.requests, seen.errors, seen.client_errors) == (80, 80, 40)
    told = (seen.half_requests, seen.half_errors, seen.half_client_errors)
    assert told == (2 * len(half), 2 * len(half), len(half))
    assert seen.counts(80, 80).half == told


def test_what_surfaced_elsewhere_is_of_the_half_of_the_client_that_met_it():
    clients = [f"u{number}" for number in range(20)]
    lines = [
        each
        for client in clients
        for each in (line(b=ORDERS, i=client), line(s=500, c=client, i=client))
    ]
    seen = tally(fold(*lines), ORDERS)
    half = sum(is_of_half(client) for client in clients)
    assert (seen.attributed_errors, seen.half_errors, seen.half_client_errors) == (20, half, half)
