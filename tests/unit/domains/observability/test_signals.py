"""Signs of an attack."""

from __future__ import annotations

import pytest

from andon.domains.observability.signals import (
    MOST_SIGNALS,
    QUIET_NS,
    Match,
    SignalBook,
    Spikes,
    is_failed_login,
    suspicious_request,
)

MINUTE = 60 * 10**9
BEGIN = 1000 * MINUTE


def match(rule: str = "r", service: str = "shop") -> Match:
    return Match(
        rule=rule, title="R", level="high", service=service, environment="prod", at_ns=1, text="x"
    )


@pytest.mark.parametrize(
    "uri",
    [
        "/.env", "/a/.git/config", "/wp-login.php", "/x?f=../../etc/passwd", "/?q=${jndi:ldap://x}",
        "/actuator/heapdump", "/?id=1+UNION+SELECT+1", "/%2e%2e/x",
    ],
)  # fmt: skip
def test_endpoints_only_attackers_ask_for(uri: str) -> None:
    found = suspicious_request({"c-uri": uri, "sc-status": "404"}, "shop", "prod", 1, uri)
    assert found is not None
    assert found.level == "low"


@pytest.mark.parametrize(
    "uri", ["/", "/environment", "/items/.well-known", "/select?union=1", "/my-env/.environment"]
)
def test_endpoints_anybody_asks_for(uri: str) -> None:
    assert suspicious_request({"c-uri": uri}, "shop", "prod", 1, uri) is None


def test_an_answer_to_such_an_endpoint_is_worse() -> None:
    found = suspicious_request({"c-uri": "/.env", "sc-status": "200"}, "shop", "prod", 1, "")
    assert found is not None
    assert found.level == "high"


def test_a_signal_goes_on_until_it_was_not_seen_for_a_while() -> None:
    book = SignalBook()
    book.note(match(), BEGIN)
    book.note(match(), BEGIN + QUIET_NS - 1)
    (one,) = book.active(BEGIN + QUIET_NS)
    assert (one.count, one.first_ns) == (2, BEGIN)
    assert book.active(BEGIN + 2 * QUIET_NS) == []


def test_signals_of_services_are_apart_and_bounded() -> None:
    book = SignalBook()
    for number in range(MOST_SIGNALS + 10):
        book.note(match(service=f"s{number}"), BEGIN)
    found = book.active(BEGIN)
    assert len(found) == MOST_SIGNALS
    assert found[-1].service == f"s{MOST_SIGNALS + 9}"


def test_many_more_failed_logins_than_usual_are_a_spike() -> None:
    logins = Spikes()
    for minute in range(55):
        logins.add("shop", "prod", BEGIN + minute * MINUTE, 2)
    now = BEGIN + 55 * MINUTE
    logins.add("shop", "prod", now, 20)
    assert list(logins.spikes(now)) == []
    logins.add("shop", "prod", now, 40)
    (found,) = logins.spikes(now)
    assert (found.rule, found.service) == ("andon-login-failures", "shop")


def test_few_failed_logins_are_never_a_spike() -> None:
    logins = Spikes()
    logins.add("shop", "prod", BEGIN, 9)
    assert list(logins.spikes(BEGIN)) == []
    logins.add("shop", "prod", BEGIN, 1)
    assert len(list(logins.spikes(BEGIN))) == 1
    assert list(logins.spikes(BEGIN + 5 * MINUTE)) == []


def test_failed_logins_are_told_from_other_lines() -> None:
    assert is_failed_login({"status": "403"}, "")
    assert is_failed_login({}, "pam_unix(sshd:auth): authentication failure; logname=")
    assert not is_failed_login({"sc-status": "200"}, "login of ann")
