"""Every operation × everybody: who may ask what, written down here a second time, by hand.

The requests are made from the routes themselves: an operation that is not in the table fails.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
from asgi import ask

from andon.api.v1.access import Grant, Identity
from andon.ports.metrics import Told
from andon.ports.offices import Offices
from andon.ports.telemetry import LogBar, LogPage
from andon.testing.door import FixedDoor
from andon.testing.line import StillLine
from andon.web.api import OPERATIONS
from andon.web.app import API, create_app
from andon.web.operations import Operation

EVERYWHERE, SOMEWHERE, PROD, EVERYBODY = "everywhere", "somewhere", "prod", "everybody"

MAY: dict[str, set[str]] = {
    "viewer": {"view"},
    "developer": {"view", "ship", "hold"},
    "approver": {"view", "approve", "hold"},
    "operator": {"view", "ship", "hold", "operate"},
    "admin": {"view", "ship", "approve", "hold", "operate", "administer", "tell"},
    "worker": {"work"},
    "reporter": {"tell"},
}

REASON = {"reason": "because"}
OF_PROD = {"environment": "prod"} | REASON

# operation: verb, where it is asked, body
TABLE: dict[str, tuple[str, str, Any]] = {
    "health": ("", EVERYBODY, None),
    "openapi": ("", EVERYBODY, None),
    "metrics": ("view", EVERYWHERE, None),
    "status": ("view", SOMEWHERE, None),
    "status?environment=prod": ("view", PROD, None),
    "why?subject=shop-2": ("view", SOMEWHERE, None),
    "why?subject=prod": ("view", PROD, None),
    "why?subject=prod&environment=dev": ("view", PROD, None),
    "diff?repository=r&environment=prod": ("view", PROD, None),
    "changes_list": ("view", SOMEWHERE, None),
    "changes_show": ("view", SOMEWHERE, None),
    "schedules_list": ("view", SOMEWHERE, None),
    "incidents_list": ("view", SOMEWHERE, None),
    "objects_list": ("view", EVERYWHERE, None),
    "objects_show": ("view", EVERYWHERE, None),
    "objects_write": ("view", SOMEWHERE, None),
    "events_follow": ("view", SOMEWHERE, None),
    "runs_list": ("view", SOMEWHERE, None),
    "runs_show": ("view", PROD, None),
    "runs_log": ("view", PROD, None),
    "runs_graph": ("view", PROD, None),
    "runs_log_outline?step=x": ("view", PROD, None),
    "runs_log_lines?step=x": ("view", PROD, None),
    "runs_log_search?step=x&text=why": ("view", PROD, None),
    "runs_log_raw?step=x": ("view", PROD, None),
    "repositories_list": ("view", SOMEWHERE, None),
    "repositories_show": ("view", SOMEWHERE, None),
    "repositories_feedback": ("view", SOMEWHERE, None),
    "runs_cancel": ("operate", PROD, REASON),
    "ship": ("ship", EVERYWHERE, {"repository": "r"}),
    "ship until prod": ("ship", PROD, {"repository": "r", "until": "prod"}),
    "holds_list": ("view", SOMEWHERE, None),
    "holds_show": ("view", PROD, None),
    "hold": ("hold", PROD, REASON | {"scope": {"environment": "prod"}}),
    "hold of a service": ("hold", EVERYWHERE, REASON | {"scope": {"service": "shop"}}),
    "lift": ("hold", PROD, REASON),
    "unlatch": ("operate", PROD, OF_PROD | {"subject": "shop"}),
    "rollback": ("operate", PROD, OF_PROD | {"service": "shop"}),
    "approve": ("approve", PROD, OF_PROD | {"change": "shop-2"}),
    "withdraw": ("approve", PROD, OF_PROD | {"change": "shop-2"}),
    "ledger_list": ("view", SOMEWHERE, None),
    "ledger_verify": ("view", EVERYWHERE, None),
    "ledger_key": ("view", SOMEWHERE, None),
    "ledger_export": ("view", EVERYWHERE, None),
    "ledger_show": ("view", PROD, None),
    "ledger_checkpoint": ("operate", EVERYWHERE, None),
    "ledger_erase": ("administer", EVERYWHERE, REASON | {"id": "event-1"}),
    "ledger_archive": ("administer", EVERYWHERE, {"before": 1.0}),
    "ledger_import": ("administer", EVERYWHERE, {}),
    "ledger_compare": ("view", EVERYWHERE, {"heads": {}}),
    "watches_list": ("view", EVERYWHERE, None),
    "watches_add": ("operate", EVERYWHERE, {"repository": "r"}),
    "watches_remove?repository=r&branch=main": ("operate", EVERYWHERE, None),
    "queue": ("view", EVERYWHERE, None),
    "tests_report": ("view", SOMEWHERE, None),
    "tests_history": ("view", SOMEWHERE, None),
    "queue_retry": ("operate", EVERYWHERE, {"queue": "turns", "subject": "Run/one"}),
    "queue_drop": ("operate", EVERYWHERE, {"queue": "turns", "subject": "Run/one"} | REASON),
    "workers_list": ("view", EVERYWHERE, None),
    "workers_drain": ("operate", EVERYWHERE, {}),
    "workers_resume": ("operate", EVERYWHERE, {}),
    "logs_search": ("view", SOMEWHERE, None),
    "logs_search?environment=prod": ("view", PROD, None),
    "logs_templates": ("view", SOMEWHERE, None),
    "logs_templates?environment=prod": ("view", PROD, None),
    "logs_histogram": ("view", SOMEWHERE, None),
    "logs_histogram?environment=prod": ("view", PROD, None),
    "logs_tail": ("view", SOMEWHERE, None),
    "logs_tail?environment=prod": ("view", PROD, None),
    "objectives_board": ("view", SOMEWHERE, None),
    "objectives_show": ("view", SOMEWHERE, None),
    "objectives_report?begin=1&end=2": ("view", SOMEWHERE, None),
    "objectives_export": ("view", SOMEWHERE, None),
    "traces_list": ("view", EVERYWHERE, None),
    "traces_show": ("view", EVERYWHERE, None),
    "traces_services": ("view", EVERYWHERE, None),
    "prometheus_query?query=up": ("view", EVERYWHERE, None),
    "prometheus_query_form?query=up": ("view", EVERYWHERE, None),
    "prometheus_query_range?start=0&end=1&step=1": ("view", EVERYWHERE, None),
    "prometheus_query_range_form?start=0&end=1&step=1": ("view", EVERYWHERE, None),
    "prometheus_series": ("view", EVERYWHERE, None),
    "prometheus_series_form": ("view", EVERYWHERE, None),
    "prometheus_labels": ("view", EVERYWHERE, None),
    "prometheus_labels_form": ("view", EVERYWHERE, None),
    "prometheus_label_values": ("view", EVERYWHERE, None),
    "prometheus_metadata": ("view", EVERYWHERE, None),
    "prometheus_exemplars": ("view", EVERYWHERE, None),
    "prometheus_exemplars_form": ("view", EVERYWHERE, None),
    "prometheus_format": ("view", EVERYWHERE, None),
    "prometheus_format_form": ("view", EVERYWHERE, None),
    "prometheus_parse": ("view", EVERYWHERE, None),
    "prometheus_parse_form": ("view", EVERYWHERE, None),
    "prometheus_targets": ("view", EVERYWHERE, None),
    "prometheus_rules": ("view", EVERYWHERE, None),
    "prometheus_build": ("view", EVERYWHERE, None),
    "otlp_traces": ("tell", EVERYWHERE, None),
    "otlp_metrics": ("tell", EVERYWHERE, None),
    "otlp_logs": ("tell", EVERYWHERE, None),
    "work_take": ("work", EVERYWHERE, {"worker": "gpu-1"}),
    "work_begin": ("work", EVERYWHERE, {"lease": 1}),
    "work_piece?lease=1": ("work", EVERYWHERE, None),
    "work_beat": ("work", EVERYWHERE, {"lease": 1}),
    "work_log?lease=1": ("work", EVERYWHERE, {}),
    "work_blob?lease=1": ("work", EVERYWHERE, {}),
    "work_end": ("work", EVERYWHERE, {"lease": 1, "outcome": "{}"}),
    "subscriptions_list": ("view", EVERYWHERE, None),
    "subscriptions_show": ("view", EVERYWHERE, None),
    "subscriptions_add": ("administer", EVERYWHERE, {"name": "one", "url": "https://x.example"}),
    "subscriptions_pause": ("administer", EVERYWHERE, {}),
    "subscriptions_resume": ("administer", EVERYWHERE, {}),
    "subscriptions_replay": ("administer", EVERYWHERE, {"start": "now"}),
    "subscriptions_rotate": ("administer", EVERYWHERE, {}),
    "subscriptions_retry": ("administer", EVERYWHERE, {}),
    "subscriptions_remove": ("administer", EVERYWHERE, {}),
    "events_take": ("ship", EVERYWHERE, {}),
    "hooks_list": ("administer", EVERYWHERE, None),
    "hooks_add": ("administer", EVERYWHERE, {"name": "x", "forge": "gitea", "repository": "r"}),
    "hooks_show": ("administer", EVERYWHERE, None),
    "hooks_rotate": ("administer", EVERYWHERE, {}),
    "hooks_remove": ("administer", EVERYWHERE, None),
    "hooks_take": ("", EVERYBODY, {}),
    "secrets_list": ("operate", SOMEWHERE, None),
    "secrets_put": ("operate", PROD, {"value": "correct horse"}),
    "secrets_remove": ("operate", PROD, None),
    "secrets_rewrap": ("administer", EVERYWHERE, {}),
    "session_show": ("", EVERYBODY, None),
    "session_begin": ("", EVERYBODY, {"name": "ann", "password": "ann"}),
    "session_end": ("", EVERYBODY, None),
    "session_code": ("view", SOMEWHERE, None),
    "alerts_list": ("view", SOMEWHERE, None),
    "alerts_show": ("view", PROD, None),
    "alerts_acknowledge": ("hold", PROD, REASON),
    "alerts_alertmanager": ("tell", EVERYWHERE, {"alerts": []}),
    "alerts_pagerduty": ("", EVERYBODY, {"event_action": "trigger"}),
    "silences_list": ("view", EVERYWHERE, None),
    "silences_add": ("hold", EVERYWHERE, {"matchers": ['a="b"'], "seconds": 60} | REASON),
    "silences_end": ("hold", EVERYWHERE, {}),
    "budgets_list": ("view", SOMEWHERE, None),
    "budgets_show": ("view", SOMEWHERE, None),
    "budgets_override": ("approve", EVERYWHERE, {"seconds": 60} | REASON),
    "budgets_override ": ("approve", PROD, {"seconds": 60} | OF_PROD),
    "runs_replay": ("view", PROD, None),
    "runs_rounds": ("view", PROD, None),
    "changes_forecast": ("view", SOMEWHERE, None),
    "services_forecast?environment=prod": ("view", PROD, None),
    "checks_list": ("view", EVERYWHERE, None),
    "checks_show": ("view", EVERYWHERE, None),
    "checks_ask": ("operate", EVERYWHERE, {}),
    "workers_checks": ("work", EVERYWHERE, None),
    "workers_check_results": ("work", EVERYWHERE, {"results": []}),
    "session_pair": ("", EVERYBODY, {"machine": "laptop"}),
    "session_pairing": ("view", SOMEWHERE, None),
    "session_decide": ("view", SOMEWHERE, {"allow": True}),
    "session_take": ("", EVERYBODY, {"secret": "x"}),
    "session_password": ("view", SOMEWHERE, {"old": "x", "new": "y"}),
    "users_list": ("administer", EVERYWHERE, None),
    "users_add": ("administer", EVERYWHERE, {"name": "ann"}),
    "users_show": ("administer", EVERYWHERE, None),
    "users_change": ("administer", EVERYWHERE, {}),
    "users_remove": ("administer", EVERYWHERE, None),
    "teams_list": ("administer", EVERYWHERE, None),
    "teams_add": ("administer", EVERYWHERE, {"name": "sre"}),
    "teams_change": ("administer", EVERYWHERE, {}),
    "teams_remove": ("administer", EVERYWHERE, None),
    "tokens_list": ("administer", EVERYWHERE, None),
    "tokens_make": ("administer", EVERYWHERE, {"name": "ci"}),
    "tokens_revoke": ("administer", EVERYWHERE, None),
    "tokens_rotate_admin": ("administer", EVERYWHERE, None),
    "admin_state": ("view", EVERYWHERE, None),
    "admin_errand": ("administer", EVERYWHERE, None),
    "admin_pause": ("administer", EVERYWHERE, REASON),
    "admin_resume": ("administer", EVERYWHERE, {}),
    "admin_migrate": ("administer", EVERYWHERE, {"to": "postgresql://x"}),
    "admin_backup": ("administer", EVERYWHERE, {"path": "/x"}),
}
BY_NAME = {one.name: one for one in OPERATIONS}
FILLED = {
    "environment": "prod",
    "kind": "Run",
    "name": "rollout-prod-storefront-2",
    "id:path": "event-1",
    "digest": "sha256:0",
}


class Agreeable:
    """Says yes to everything: only the door is looked at here."""

    SYNC = frozenset({"errand", "migrate", "back_up", "key"})

    def __getattr__(self, name: str) -> Any:
        async def answer(*_: Any, **__: Any) -> Any:
            return {"name": name}

        async def lines(**_: Any) -> AsyncIterator[bytes]:
            yield b"{}\n"

        async def piece(*_: Any) -> bytes:
            return b"bytes"

        if name in ("export", "piece"):
            return lines if name == "export" else piece
        return (lambda *_, **__: {"name": name}) if name in self.SYNC else answer


class AgreeableMetrics:
    """Metrics that say nothing to everything."""

    NOTHING: ClassVar[dict[str, Any]] = {
        "query": {"resultType": "vector", "result": []},
        "query_range": {"resultType": "matrix", "result": []},
        "metadata": {},
        "rules": {"groups": []},
        "targets": {"activeTargets": [], "droppedTargets": []},
    }

    def __getattr__(self, name: str) -> Any:
        async def answer(*_: Any, **__: Any) -> Told:
            return Told(self.NOTHING.get(name, []))

        return answer


class AgreeableAlerts(Agreeable):
    """Alerts of which none fires."""

    async def list(self, **_: Any) -> dict[str, Any]:
        return {"alerts": [], "pending": [], "refused": [], "evaluatedAt": 0.0}


class AgreeableLogs:
    """Logs without lines."""

    def now(self) -> float:
        return 1e9

    async def search(self, _: Any) -> LogPage:
        return LogPage(lines=[])

    async def templates(self, _: Any) -> list[Any]:
        return []

    async def histogram(self, *_: Any) -> list[LogBar]:
        return [LogBar(start_ns=0, counts={})]

    async def tail(self, _: Any) -> AsyncIterator[list[Any]]:
        for none in ():
            yield none


class AgreeableLine(Agreeable, StillLine):
    """A line that takes whatever else is asked, too."""

    subscriptions = intake = book = Agreeable()


def identity(role: str, place: str) -> Identity:
    where = "*" if place == EVERYWHERE else place
    return Identity(name=f"person:{role}-{place}", grants=(Grant(role=role, environment=where),))


GUESTS = {
    f"{role} {place}": identity(role, place)
    for role in MAY
    for place in (EVERYWHERE, "dev", "prod")
}


@pytest.fixture
def door() -> FixedDoor:
    return FixedDoor(guests=GUESTS | {"developer stage": identity("developer", "stage")})


@pytest.fixture
def app(door: FixedDoor) -> Any:
    line: Any = AgreeableLine(endless=False)
    anybody: Any = Agreeable()
    alerts: Any = AgreeableAlerts()
    return create_app(
        Offices(
            line=line,
            access=door,
            admin=anybody,
            secrets=anybody,
            hooks=anybody,
            workers=anybody,
            suites=anybody,
            builds=anybody,
            alerts=alerts,
            budgets=anybody,
            objectives=anybody,
            metrics=AgreeableMetrics(),
            logs=AgreeableLogs(),
        )
    )


def request_of(row: str) -> tuple[Operation, str]:
    name = row.partition(" ")[0].partition("?")[0]
    operation = BY_NAME[name]
    path = operation.path
    for part, value in FILLED.items():
        path = path.replace("{" + part + "}", value)
    query = row.partition("?")[2]
    return operation, f"{API}{path}" + (f"?{query}" if query else "")


def allowed(verb: str, where: str, role: str, place: str) -> bool:
    if where == EVERYBODY:
        return True
    if verb not in MAY[role]:
        return False
    return where == SOMEWHERE or place in (EVERYWHERE, where)


def test_every_operation_is_in_the_table() -> None:
    assert {row.partition(" ")[0].partition("?")[0] for row in TABLE} == set(BY_NAME)


def test_no_two_operations_share_a_name_or_a_route() -> None:
    assert len(BY_NAME) == len(OPERATIONS)
    assert len({(one.method, one.path) for one in OPERATIONS}) == len(OPERATIONS)


@pytest.mark.parametrize("row", sorted(TABLE))
async def test_a_stranger_is_let_into_nothing_but_the_door(
    app: Any, door: FixedDoor, row: str
) -> None:
    _, where, body = TABLE[row]
    operation, path = request_of(row)
    said = await ask(app, operation.method, path, body=body)
    if where == EVERYBODY:
        assert said.status < 400
    else:
        assert said.status == 401
        assert said.json["code"] == "NotLoggedIn"
        assert door.refused == [("nobody at 127.0.0.1", operation.name, "")]


@pytest.mark.parametrize("row", sorted(TABLE))
async def test_everybody_may_do_what_their_role_says_and_nothing_else(
    app: Any, door: FixedDoor, row: str
) -> None:
    verb, where, body = TABLE[row]
    operation, path = request_of(row)
    for guest in GUESTS:
        role, place = guest.split(" ")
        door.refused.clear()
        said = await ask(app, operation.method, path, body=body, authorization=f"Bearer {guest}")
        refused = said.status == 403 and not said.body.count(b"definitions live in git")
        if allowed(verb, where, role, place):
            assert not refused, (guest, said.body)
            assert not door.refused or b"definitions live in git" in said.body
            assert said.status != 500
        else:
            assert refused, (guest, said.status)
            assert door.refused[0][:2] == (f"person:{role}-{place}", operation.name)


READS = {
    "ship": ("POST", "/ship", {"repository": "strange", "until": "dev"}),
    "diff": ("GET", "/diff?repository=strange&environment=dev", None),
    "watches_add": ("POST", "/watches", {"repository": "strange"}),
}


@pytest.mark.parametrize("name", READS)
async def test_only_an_administrator_brings_a_repository_that_has_rules_of_its_own(
    app: Any, door: FixedDoor, name: str
) -> None:
    method, path, body = READS[name]
    for role in ("operator everywhere", "admin dev"):
        said = await ask(app, method, f"{API}{path}", body=body, authorization=f"Bearer {role}")
        assert said.status == 403
        assert door.refused[-1][1] == name
    admin = "Bearer admin everywhere"
    assert (await ask(app, method, f"{API}{path}", body=body, authorization=admin)).status < 300
    said = await ask(
        app, method, f"{API}{path}", body=body, authorization="Bearer operator everywhere"
    )
    assert said.status == 403, "not even in the moment in which an administrator asked"


async def test_who_ships_is_asked_for_every_environment_on_the_way(app: Any) -> None:
    ask_for = {"repository": "r", "until": "stage"}
    both = "Bearer developer everywhere"
    assert (await ask(app, "POST", f"{API}/ship", body=ask_for, authorization=both)).status == 201
    one = "Bearer developer stage"
    said = await ask(app, "POST", f"{API}/ship", body=ask_for, authorization=one)
    assert (said.status, "through dev" in said.json["detail"]) == (403, True)


def test_whatever_names_a_repository_asks_whether_it_is_known() -> None:
    named = {
        one.name
        for one in OPERATIONS
        for kind in (one.body, one.query)
        if kind is not None and "repository" in kind.__struct_fields__
    }
    harmless = {"watches_remove", "hooks_add", "tests_report", "tests_history"}
    """The second is an administrator's alone; the others read no repository."""
    assert {one.name for one in OPERATIONS if one.rule.reads} == named - harmless == set(READS)


@pytest.mark.parametrize("scheme", ["Bearer unknown", "Basic YTpi", "Bearer", "bearer  "])
async def test_a_token_that_nobody_knows_lets_nobody_in(app: Any, scheme: str) -> None:
    said = await ask(app, "GET", f"{API}/status", authorization=scheme)
    assert said.status == 401
    assert said.headers["www-authenticate"].startswith("Bearer")


async def test_what_a_rule_of_the_line_forbids_is_written_down_too(
    app: Any, door: FixedDoor
) -> None:
    own = {"change": "own", "environment": "prod", "reason": "mine"}
    guest = "approver prod"
    said = await ask(app, "POST", f"{API}/approvals", body=own, authorization=f"Bearer {guest}")
    assert said.status == 403
    assert "nobody approves their own change" in said.json["detail"]
    assert door.refused == [("person:approver-prod", "approve", "prod")]


async def test_what_belongs_to_other_environments_is_left_out(app: Any) -> None:
    seen = await ask(app, "GET", f"{API}/status", authorization="Bearer viewer dev")
    assert seen.json["environments"] == ["dev"]
    assert {row["environment"] for row in seen.json["services"]} == {"dev"}
    assert seen.json["runs"] == []
    assert seen.json["holds"] == []
    assert all("prod" not in one["environments"] for one in seen.json["changes"])


async def test_a_page_must_send_what_only_our_page_knows(app: Any, door: FixedDoor) -> None:
    door.sessions["abc"] = GUESTS["admin everywhere"]
    hold = {"scope": {"environment": "prod"}, "reason": "freeze"}
    wanted = {"cookie": "andon_session=abc"}
    assert (await ask(app, "GET", f"{API}/status", **wanted)).status == 200
    assert (await ask(app, "POST", f"{API}/holds", body=hold, **wanted)).status == 403
    wrong = wanted | {"x_andon_csrf": "wrong"}
    assert (await ask(app, "POST", f"{API}/holds", body=hold, **wrong)).status == 403
    right = wanted | {"x_andon_csrf": "csrf-of-the-session"}
    assert (await ask(app, "POST", f"{API}/holds", body=hold, **right)).status == 201
    for stranger in ({"origin": "https://evil.example"}, {"sec_fetch_site": "cross-site"}):
        said = await ask(app, "POST", f"{API}/holds", body=hold, **right, **stranger)
        assert said.status == 403


async def test_a_login_from_another_site_is_refused(app: Any) -> None:
    who = {"name": "ann", "password": "ann"}
    said = await ask(app, "POST", f"{API}/session", body=who, origin="https://evil.example")
    assert said.status == 403


async def test_over_tls_only_the_cookie_counts_that_no_neighbour_can_set(
    app: Any, door: FixedDoor
) -> None:
    door.sessions["abc"] = GUESTS["viewer everywhere"]
    for name, scheme, status in (
        ("andon_session", "https", 401),
        ("__Host-andon_session", "https", 200),
        ("andon_session", "http", 200),
    ):
        said = await ask(app, "GET", f"{API}/status", scheme=scheme, cookie=f"{name}=abc")
        assert said.status == status, (name, scheme)


class Shrinking(FixedDoor):
    """Takes everything but ``dev`` from whoever has been let in once."""

    def of_token(self, secret: str) -> Identity | None:
        found = super().of_token(secret)
        self.guests[secret] = GUESTS["viewer dev"]
        return found


async def test_a_stream_ends_when_its_reader_may_see_less() -> None:
    line: Any = AgreeableLine(endless=False)
    door = Shrinking({"ann": GUESTS["viewer everywhere"], "ben": GUESTS["viewer dev"]})
    app = create_app(Offices(line=line, access=door))
    for who, heard in (("ann", False), ("ben", True)):
        path = f"{API}/events?after=0"
        said = await ask(app, "GET", path, authorization=f"Bearer {who}")
        assert said.status == 200
        assert (b"event: " in said.body) is heard


async def test_who_hangs_up_while_asking_is_no_fault_of_ours(
    app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await ask(app, "POST", f"{API}/session", hangs_up=True)
    assert caplog.records == []
