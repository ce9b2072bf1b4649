"""What people read of a forecast and of a rollout decided again."""

from __future__ import annotations

from click import unstyle

from andon.cli.commands.judge import _tell_replay, tell_forecast

SIGHTS = [
    {"risk": 1.2, "afterSeconds": None, "weight": 0.0, "failedRequests": 39},
    {"risk": 2.0, "afterSeconds": 900.0, "weight": 25.0, "failedRequests": 80},
    {"risk": 3.0, "afterSeconds": 480.0, "weight": 10.0, "failedRequests": 20},
    {"risk": 30.0, "afterSeconds": 25.0, "weight": 10.0, "failedRequests": 8},
]
FORECAST = {
    "service": "web",
    "environment": "prod",
    "requestsPerSecond": 100.0,
    "errorShare": 0.001,
    "goodSeconds": 400.0,
    "seen": SIGHTS,
    "fewestErrors": 4,
    "firstWeight": 10.0,
    "advice": ["stay longer"],
}
DECISION = {
    "step": "canary-10",
    "sample": 6,
    "at": 0.0,
    "verdict": "RollBack",
    "reason": "web: 4 of 30 failed",
    "verdictNow": "RollBack",
    "reasonNow": "web: 4 of 30 failed",
    "same": True,
}
REPLAY = {
    "run": "rollout-1",
    "samples": 6,
    "rules": 2,
    "same": True,
    "decisions": [DECISION],
    "judges": [
        {"judge": "andon", "verdict": "RollBack", "rollbackAfterSeconds": 6.0, "failedRequests": 4},
        {"judge": "kayenta", "verdict": "Wait", "rollbackAfterSeconds": None, "failedRequests": 9},
    ],
}


def test_forecast_says_what_is_seen_when_and_what_is_not() -> None:
    said = [unstyle(line).strip() for line in tell_forecast(FORECAST)]
    assert said == [
        "web in prod: 100 requests per second, 0.1 % of them fail",
        "a good release takes about 7 minutes",
        "a 20 % rise of errors cannot be seen in this plan (39 requests fail)",
        "a doubling of errors is seen in about 15 minutes, at 25 % (80 requests fail)",
        "a tripling of errors is seen in about 8 minutes, at 10 % (20 requests fail)",
        "30 times the errors is seen in about 25 seconds, at 10 % (8 requests fail)",
        "4 errors of the new version alone, while the other has none, roll it back at 10 %",
        "advice: stay longer",
    ]


def test_forecast_of_too_little_traffic_says_that_a_person_is_waited_for() -> None:
    said = unstyle(tell_forecast(FORECAST | {"goodSeconds": None, "fewestErrors": None})[1])
    assert "waits for a person" in said


def test_replay_shows_decisions_and_other_rules_beside() -> None:
    said = [unstyle(line) for line in _tell_replay(REPLAY)]
    assert said[0].endswith("from 6 counts, rules of edition 2: the same, byte for byte")
    assert said[1].endswith("RollBack: web: 4 of 30 failed")
    assert [line.split() for line in said[3:]] == [
        ["andon", "RollBack", "6.0s", "4"],
        ["kayenta", "Wait", "-", "9"],
    ]


def test_replay_that_differs_says_what_it_was_and_what_it_is() -> None:
    other = DECISION | {"same": False, "verdictNow": "Wait", "reasonNow": "web: nothing"}
    said = _tell_replay(REPLAY | {"same": False, "decisions": [other]})
    assert unstyle(said[0]).endswith("NOT the same")
    assert "was RollBack: web: 4 of 30 failed; is Wait: web: nothing" in said[1]
