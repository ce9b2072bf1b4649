"""What people do to the line, by command: exit codes, what is said, and what the ledger keeps."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from driver import Installation, Json, Person, installation
from project import ROLLING, Project, Shape
from traffic import request, until

from andon.cli.demo.receiver import Notices, Receiver

ENVIRONMENTS = {
    "dev": {"requires": ["unit"], "rollout": ROLLING},
    "prod": {"after": "dev", "requires": ["unit", "approval"], "rollout": ROLLING},
}
WHY = ("-m", "because the test says so")


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver(Notices(tmp_path_factory.mktemp("told") / "told.json")) as receiver:
        thread = threading.Thread(target=receiver.serve_forever, args=(0.05,))
        thread.start()
        yield receiver
        receiver.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def andon(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Installation]:
    state = tmp_path_factory.mktemp("cord") / "state"
    with installation(state, "--notify", receiver.url) as one:
        yield one


@pytest.fixture(scope="module")
def ann(andon: Installation) -> Person:
    return andon.as_person("ann")


@pytest.fixture(scope="module")
def project(andon: Installation, ann: Person) -> Project:
    """The repository, with "one" everywhere: held back until a person approved it."""
    project = Project(andon.state.with_name("hello"), Shape(environments=ENVIRONMENTS))
    held = andon.ship(project)
    assert held.code == 10, held.text
    assert "missing Evidence for prod: approval" in held.text
    change = andon.change(project.good[:12])["name"]
    assert f"andon approve {change} --environment prod" in held.text, held.text
    assert andon.ask("dev") == "one"
    own = andon.andon("approve", change, "-e", "prod", *WHY)
    assert own.code == 6, own.text
    assert "nobody approves their own change" in own.text
    approve(andon, ann, project.good)
    assert andon.ask() == "one"
    return project


def approve(andon: Installation, person: Person, sha: str) -> None:
    """Have somebody else consent, and see it everywhere."""
    name = andon.change(sha[:12])["name"]
    said = person.andon("approve", name, "-e", "prod", *WHY)
    assert said.code == 0, said.text
    assert andon.ended(name)["phase"] == "Succeeded"


def recorded(andon: Installation, *query: str) -> list[Json]:
    events: list[Json] = json.loads(andon.andon("ledger", "list", "--json", *query).text)
    return events


def told(receiver: Receiver, run: str) -> list[Json]:
    return [
        notice.body
        for notice in receiver.notices.all()
        if notice.body["run"] == run and notice.body["event"] == "line.stopped"
    ]


def test_approval_is_recorded(andon: Installation, project: Project) -> None:
    [event] = recorded(andon, "--type", "dev.cdeventsx.andon-approval.given.0.1.0")
    assert event["stream"] == "env/prod"
    assert event["text"].startswith("ann approves hello-")
    [denied] = recorded(andon, "--type", "dev.cdeventsx.andon-access.denied.0.1.0")
    assert "approve" in denied["text"]
    why = andon.andon("why", project.good[:12])
    assert f"prod by ann: {WHY[1]}" in why.text, why.text


def test_hold_stops_a_ship_and_lift_lets_it_go_on(
    andon: Installation, project: Project, ann: Person
) -> None:
    pulled = andon.andon("hold", "-e", "dev", "-m", "freeze", "--json")
    assert pulled.code == 0, pulled.text
    hold = json.loads(pulled.text)
    sha = project.commit("two")
    held = andon.ship(project, sha)
    assert held.code == 10, held.text
    assert "held by person:" in held.text
    assert "person:person:" not in held.text
    assert "freeze" in held.text
    assert f"andon lift {hold['name']}" in held.text
    status = andon.andon("status")
    assert f"andon lift {hold['name']}" in status.text
    assert (andon.ask("dev"), andon.ask()) == ("one", "one")

    assert andon.andon("lift", hold["name"], *WHY).code == 0
    until(lambda: andon.ask("dev") == "two", "two is in dev")
    approve(andon, ann, sha)
    assert andon.ask() == "two"
    about = [
        event["type"].split(".")[-4:-3] for event in recorded(andon, "--subject", hold["name"])
    ]
    assert about == [["pulled"], ["lifted"]]


def test_hold_without_a_scope_and_lift_of_nothing_are_refused(
    andon: Installation, project: Project
) -> None:
    assert andon.andon("hold", *WHY).code == 2
    assert andon.andon("lift", "hold-99", *WHY).code == 4
    assert andon.andon("unlatch", "prod", "hello", *WHY).code == 4


def test_rollback_goes_back_and_says_so(andon: Installation, project: Project) -> None:
    assert andon.ask() == "two"
    back = andon.andon("rollback", "prod", "hello", "-m", "users complain", "--json")
    assert back.code == 0, back.text
    run = json.loads(back.text)["name"]
    until(lambda: andon.client.get(f"/runs/{run}")["phase"] == "Succeeded", "gone back")
    assert (andon.ask(), andon.ask("dev")) == ("one", "two")
    assert any(
        event["text"] == "hello rolled back in prod"
        for event in recorded(andon, "--stream", "env/prod")
    )
    further = andon.andon("rollback", "prod", "hello", *WHY)
    assert further.code == 5, further.text
    assert "no earlier version" in further.text
    assert andon.andon("rollback", "prod", "nobody", *WHY).code == 4


def test_stopped_line_tells_the_webhook_once_and_unlatch_lets_it_try_again(
    andon: Installation, project: Project, receiver: Receiver
) -> None:
    look = {"postDeploy": [{"name": "look", "run": "echo broken; exit 3"}]}
    sha = project.aside("bad", Shape(environments=ENVIRONMENTS, service=look))
    stopped = andon.ship(project, sha)
    assert stopped.code == 8, stopped.text
    assert "post-look: exit code 3" in stopped.text
    assert andon.ask("dev") == "two"
    rollout = until(lambda: andon.run(andon.change(sha[:12])["name"], environment="dev"), "a run")
    [notice] = until(lambda: told(receiver, rollout["name"]), "the webhook is told")
    assert "exit code 3" in notice["message"]
    assert notice["next"] == "andon why hello --environment dev"

    denied = andon.andon("lift", f"latch-{rollout['name']}", *WHY)
    assert denied.code == 6, denied.text
    assert "andon unlatch dev hello" in denied.text
    assert andon.ship(project, sha).code == 10
    assert andon.andon("unlatch", "dev", "hello", *WHY).code == 0
    name = andon.change(sha[:12])["name"]
    assert andon.ended(name)["phase"] == "RolledBack"
    assert andon.ask("dev") == "two"
    assert len(told(receiver, rollout["name"])) == 1


def test_ledger_leads_from_incident_to_commit_and_back(
    andon: Installation, project: Project
) -> None:
    incident = json.loads(andon.andon("incidents", "list", "--json").text)[-1]
    [first] = recorded(andon, "--subject", incident["name"])[:1]
    merged = f"change/{incident['change']}/merged"
    assert merged in walk(andon, first["id"], "causes")
    assert first["id"] in walk(andon, merged, "effects")
    shown = andon.andon("ledger", "show", first["id"])
    assert shown.code == 0
    assert "caused by" in shown.text


def walk(andon: Installation, start: str, way: str) -> set[str]:
    """Every event that links lead to."""
    seen, ahead = set(), [start]
    while ahead:
        one = ahead.pop()
        if one not in seen:
            seen.add(one)
            shown = json.loads(andon.andon("ledger", "show", one, "--json").text)
            ahead += [event["id"] for event in shown[way]]
    return seen


def test_push_to_a_watched_branch_ships_by_itself(andon: Installation, project: Project) -> None:
    path = str(project.path)
    assert andon.andon("watch", "add", path, "--every", "500ms").code == 0
    shipped = watched(andon, project, "pushed")
    assert shipped["phase"] in {"Running", "Waiting", "Succeeded"}

    away = project.path.with_name("away")
    project.path.rename(away)
    until(lambda: "no git repository" in andon.andon("watch", "list").text, "it is out of reach")
    assert andon.ask("dev") == "pushed"
    away.rename(project.path)
    watched(andon, project, "back")
    assert "no git repository" not in andon.andon("watch", "list").text
    assert andon.andon("watch", "remove", path).code == 0
    assert andon.andon("watch", "remove", path).code == 4


def watched(andon: Installation, project: Project, text: str) -> Json:
    """Commit, and wait until it has shipped itself to dev."""
    sha = project.commit(text)
    until(lambda: request(andon.service("dev")["address"]) == (200, text), f"{text} is in dev")
    return andon.change(sha[:12])


def test_altered_event_is_found_and_named(andon: Installation, project: Project) -> None:
    whole = andon.andon("ledger", "verify")
    assert whole.code == 0, whole.text
    seq, body = alter(andon.state, "body", 5, "replace(body, 'e', 'f')")
    broken = andon.andon("ledger", "verify")
    assert broken.code == 11, broken.text
    assert f"(seq {seq})" in broken.text
    with closing(sqlite3.connect(andon.state / "control.db")) as database, database:
        database.execute("UPDATE event SET body = ? WHERE seq = ?", (body, seq))
    assert andon.andon("ledger", "verify").code == 0


def alter(state: Path, column: str, seq: int, to: str) -> tuple[int, str]:
    """Change an event behind the control plane's back; what it was before."""
    with closing(sqlite3.connect(state / "control.db")) as database, database:
        [before] = database.execute(f"SELECT {column} FROM event WHERE seq = ?", (seq,)).fetchone()
        database.execute(f"UPDATE event SET {column} = {to} WHERE seq = ?", (seq,))
        return seq, before
