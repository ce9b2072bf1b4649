"""`andon run`: the real command, real processes, real kills."""

from __future__ import annotations

import json
import signal
import sys

import pytest
from local_world import PATIENCE_SECONDS, Here, alive, steps, until


@pytest.fixture
def here(tmp_path):
    return Here(tmp_path)


def test_what_is_not_committed_is_run_and_nothing_of_the_repository_is_touched(here):
    here.write({"show": {"run": "cat new.txt old.txt >&2; test ! -e ignored.txt"}})
    (here.project / "old.txt").write_text("before\n")
    (here.project / ".gitignore").write_text("ignored.txt\n")
    here.commit()
    (here.project / "old.txt").write_text("changed\n")
    (here.project / "new.txt").write_text("new\n")
    (here.project / "ignored.txt").write_text("ignored\n")
    before = (here.git("status", "--porcelain"), (here.project / ".git/index").read_bytes())
    code, events, _ = here.run()
    assert (code, steps(events)) == (0, {"show": "passed"})
    log = next(step["log"] for step in events[-1]["steps"])
    with open(log) as file:
        assert file.read() == "new\nchanged\n"
    assert before == (here.git("status", "--porcelain"), (here.project / ".git/index").read_bytes())


def test_the_tree_of_a_clean_repository_is_that_of_its_commit(here):
    (here.project / "deep").mkdir()
    (here.project / "deep/tool").write_text("#!/bin/sh\n")
    (here.project / "deep/tool").chmod(0o755)
    (here.project / "link").symlink_to("deep/tool")
    here.write({"sha": {"run": f"test -x link; echo $ANDON_SHA >{here.marks}/sha"}})
    commit = here.commit()
    assert here.run()[0] == 0
    assert (here.marks / "sha").read_text().strip() == commit


def test_a_folder_without_git_is_run_and_said_to_be_one(tmp_path):
    here = Here(tmp_path, git=False)
    here.write({"unit": {"run": "test -e andon.yaml"}})
    code, events, _ = here.run()
    assert code == 0
    assert any("no git repository" in event.get("text", "") for event in events)


def test_a_failure_ends_with_8_and_shows_its_log_and_what_did_not_run(here):
    here.write(
        {
            "lint": {"run": "true"},
            "unit": {"run": "echo 'the \x1b[2Jreason'; exit 3"},
            "later": {"run": "true", "needs": ["unit"]},
        }
    )
    started = here.start("--no-sandbox")
    said, complaint = started.communicate(timeout=PATIENCE_SECONDS)
    assert started.returncode == 8
    assert "│ the reason" in said
    assert "\x1b" not in said
    assert "- " not in complaint.partition("\n")[0]
    assert "unit" in complaint
    assert here.states() == {"lint": "passed", "unit": "failed", "later": "not-run"}


def test_the_log_of_what_failed_names_its_steps_and_hides_the_marks_that_fold_them(here):
    steps = [{"name": "compile", "run": "echo made"}, {"name": "try it", "run": "exit 3"}]
    here.write({"bad": {"steps": steps}})
    said, _ = here.start("--no-sandbox").communicate(timeout=PATIENCE_SECONDS)
    assert "section_" not in said
    told = [line.removeprefix("  │ ") for line in said.splitlines() if line.startswith("  │ ")]
    assert told == ["── compile", "made", "── try it"]


def test_a_failure_is_seen_by_who_was_started_to_ignore_how_its_children_end(here):
    here.write({"bad": {"run": "exit 3"}})
    ignoring = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
    here.program = (sys.executable, "-c", f"{ignoring} os.execv(sys.executable, sys.argv[1:])")
    code, events, _ = here.run()
    assert code == 8
    assert steps(events) == {"bad": "failed"}


def test_jobs_are_run_by_name_with_what_they_need(here):
    jobs = {"a": {"run": "true"}, "b": {"run": "true", "needs": ["a"]}, "c": {"run": "false"}}
    here.write(jobs)
    code, events, _ = here.run("b")
    assert (code, steps(events)) == (0, {"a": "passed", "b": "passed"})
    code, _, complaint = here.run("bb")
    assert code == 4
    assert "did you mean" in complaint


def test_a_secret_reaches_its_job_and_no_log(here):
    here.write(
        {"deploy": {"run": "echo $TOKEN; test $TOKEN = s3cr3t-value", "secrets": {"TOKEN": "key"}}}
    )
    code, events, _ = here.run("--secret", "key", KEY="s3cr3t-value")
    assert code == 0
    with open(events[-1]["steps"][0]["log"]) as file:
        assert "s3cr3t-value" not in file.read()
    code, _, complaint = here.run()
    assert code == 8
    assert "key" in complaint


def test_what_passed_with_the_same_inputs_does_not_run_again(here):
    (here.project / "a.txt").write_text("1")
    jobs = {
        "unit": {"run": here.mark("unit"), "inputs": ["a.txt"]},
        "after": {"run": here.mark("after"), "inputs": ["a.txt"], "needs": ["unit"]},
    }
    here.write(jobs)
    assert here.run()[0] == 0
    (here.project / "other.txt").write_text("1")
    code, events, _ = here.run()
    assert code == 0
    assert "reused" in events[-1]["steps"][0]["message"]
    assert (here.count("unit"), here.count("after")) == (1, 1)
    (here.project / "a.txt").write_text("2")
    assert here.run()[0] == 0
    assert (here.count("unit"), here.count("after")) == (2, 2)
    assert here.run("--fresh")[0] == 0
    assert (here.count("unit"), here.count("after")) == (3, 3)


def test_only_one_run_at_a_time_in_one_state(here):
    here.write(
        {
            "wait": {
                "run": f"{here.mark('wait')}; while ! test -e {here.marks}/go; do sleep 0.02; done"
            }
        }
    )
    first = here.start("--no-sandbox")
    until(lambda: here.count("wait"))
    code, _, complaint = here.run()
    assert code == 5
    assert str(first.pid) in json.loads(complaint)["message"]
    (here.marks / "go").touch()
    first.communicate(timeout=PATIENCE_SECONDS)
    assert first.returncode == 0


def test_what_is_interrupted_at_the_terminal_ends_with_all_its_children(here):
    inner = f"sleep 300 & echo $! >{here.marks}/pid; env -i setsid sleep 300 & wait"
    here.write({"long": {"run": inner}, "clean": {"run": here.mark("clean"), "always": True}})
    started = here.start("--no-sandbox")
    until(lambda: (here.marks / "pid").exists() and (here.marks / "pid").read_text().strip())
    pid = int((here.marks / "pid").read_text())
    started.send_signal(signal.SIGINT)
    started.communicate(timeout=PATIENCE_SECONDS)
    assert started.returncode == 130
    assert not alive(pid)
    assert here.states() == {"long": "cancelled", "clean": "passed"}
    assert here.count("clean") == 1


def test_what_will_not_end_ends_at_once_when_asked_again_and_is_in_nobodys_way(here):
    text = f"{here.mark('stubborn')}; test -e {here.marks}/go && exit 0; trap '' TERM INT; while :; do sleep 0.1; done"
    here.write({"stubborn": {"run": text}})
    started = here.start("--no-sandbox")
    until(lambda: here.count("stubborn"))
    started.send_signal(signal.SIGINT)
    for line in started.stdout:
        if "once more" in line:
            break
    started.send_signal(signal.SIGINT)
    _, complaint = started.communicate(timeout=PATIENCE_SECONDS)
    assert started.returncode == 130
    assert "Traceback" not in complaint
    (here.marks / "go").touch()
    code, events, _ = here.run()
    if code == 130:  # It was killed before its end was written down: that comes first.
        assert any("takes up" in event.get("text", "") for event in events)
        code, _, _ = here.run()
    assert code == 0


def chain(here: Here) -> None:
    jobs = {}
    for number in range(6):
        name = f"j{number}"
        text = (
            f"{here.mark(name)}; echo said by {name}; sleep 300 & echo $! >{here.marks}/{name}.pid"
        )
        jobs[name] = {"run": f"{text}; sleep 0.03"}
        if number > 1:
            jobs[name]["needs"] = [f"j{number - 2}"]
    here.write(jobs)


@pytest.mark.parametrize("job", ["j0", "j2", "j3", "j5"])
def test_a_killed_run_is_taken_up_and_nothing_that_ended_runs_again(here, job):
    chain(here)
    first = here.start("--no-sandbox")
    until(lambda: here.count(job))
    first.kill()
    first.communicate()
    before = here.states()
    pid_file = here.marks / f"{job}.pid"
    until(lambda: pid_file.exists() and pid_file.read_text().strip())
    orphan = int(pid_file.read_text())
    code, events, complaint = here.run()
    assert code == 0, complaint
    assert set(steps(events).values()) == {"passed"}
    assert not alive(orphan)
    assert any("takes up" in event.get("text", "") for event in events)
    for name, state in before.items():
        if state == "passed":
            assert here.count(name) == 1, f"{name} had passed and ran again"
    interrupted = {event["job"] for event in events if event["event"] == "interrupted"}
    assert here.count(job) == (2 if job in interrupted else 1)
    # One that was killed before its first word has said it once.
    assert {here.count(name) for name in interrupted} <= {1, 2}
    logs = list((here.state / "local/logs").glob(f"*/{job}-*.log"))
    assert any(f"said by {job}" in log.read_text() for log in logs)


def test_a_job_that_must_not_be_repeated_stays_interrupted(here):
    here.write({"once": {"run": f"{here.mark('once')}; sleep 300", "resumes": False}})
    first = here.start("--no-sandbox")
    until(lambda: here.count("once"))
    first.kill()
    first.communicate()
    code, events, _ = here.run()
    assert (code, steps(events)) == (8, {"once": "interrupted"})
    assert here.count("once") == 1


def test_a_killed_run_of_other_content_is_ended_and_a_new_one_begins(here):
    here.write({"wait": {"run": f"{here.mark('wait')}; sleep 300"}})
    first = here.start("--no-sandbox")
    until(lambda: here.count("wait"))
    first.kill()
    first.communicate()
    here.write({"other": {"run": "true"}})
    code, events, _ = here.run()
    assert (code, steps(events)) == (0, {"other": "passed"})
    assert here.count("wait") == 1


def test_what_cannot_be_read_or_written_is_one_message(here, tmp_path):
    code, _, complaint = here.run()
    assert code == 3
    assert "andon.yaml" in complaint
    here.write({"unit": {"run": "true"}})
    (here.project / "out").symlink_to("/etc")
    code, _, complaint = here.run()
    assert code == 8
    assert "leads outside" in complaint
    (here.project / "out").unlink()
    (tmp_path / "file").write_text("")
    code, _, complaint = here.run("--state", str(tmp_path / "file"))
    assert code == 7
    assert "cannot be written" in complaint


PINNED = f"python@sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("asks", "said"),
    [
        ({"image": PINNED}, "no container engine answers"),
        ({"runsOn": ["windows"]}, "a worker with windows"),
    ],
)
def test_what_this_machine_has_not_is_refused_before_anything_runs(here, tmp_path, asks, said):
    here.write({"unit": {"run": here.mark("unit")}, "far": {"run": "true", **asks}})
    nowhere = f"unix://{tmp_path}/none.sock"
    code, events, complaint = here.run(DOCKER_HOST=nowhere)
    assert (code, here.count("unit")) == (7, 0)
    assert json.loads(complaint)["message"].startswith("job far runs")
    assert said in complaint
    assert "`andon run unit`" in complaint
    assert [event for event in events if event["event"] != "said"] == []
    assert here.run("unit", DOCKER_HOST=nowhere)[0] == 0
