"""Somebody's own repository, and what `andon init` makes of it."""

from __future__ import annotations

import shutil
import urllib.request

import pytest

from andon.adapters.git import GitSource
from andon.app.shipping import load

PYTHON_APP = """\
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def greeting(name):
    return f"Hello, {name}!"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = greeting(self.path.strip("/") or "world").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
PYTHON_TEST = """\
import unittest
from app import greeting


class Test(unittest.TestCase):
    def test_greets(self):
        self.assertEqual(greeting("you"), "Hello, you!")
"""
NODE_APP = """\
const http = require("node:http");
exports.greeting = (name) => `Hello, ${name}!`;
if (require.main === module) {
  http.createServer((request, response) => {
    if (request.url === "/healthz") return response.end("ok");
    response.end(exports.greeting(request.url.slice(1) || "world"));
  }).listen(process.env.PORT, "127.0.0.1");
}
"""
NODE_TEST = """\
const test = require("node:test");
const assert = require("node:assert");
test("greets", () => assert.equal(require("../server.js").greeting("you"), "Hello, you!"));
"""
NODE_PACKAGE = '{"scripts": {"start": "node server.js", "test": "node --test"}}'
PROJECTS = {"python": {"app.py": PYTHON_APP, "test_app.py": PYTHON_TEST}}
NODE = {"server.js": NODE_APP, "test/server.test.js": NODE_TEST, "package.json": NODE_PACKAGE}
if shutil.which("npm"):  # elsewhere what is written for it is only validated
    PROJECTS["node"] = NODE
OTHERS = {
    "node-only-validated": NODE,
    "requirements": {
        "app.py": PYTHON_APP,
        "test_app.py": PYTHON_TEST,
        "requirements.txt": "flask\n",
    },
    "pyproject": {
        "pyproject.toml": '[project]\nname = "a"\ndependencies = ["starlette"]\n',
        "src/a/__main__.py": PYTHON_APP,
        "tests/test_app.py": "import unittest\n",
    },
    "go": {"go.mod": "module example.org/a\n", "main.go": 'package main // os.Getenv("PORT")\n'},
    "image": {"Dockerfile": 'FROM python\nENV A=b\nCMD ["python", "serve/it.py"]\n'},
    "make": {"Makefile": "build:\n\tcc -o a a.c\ntest: build\n\t./a -t\nrun:\n\t./a $$PORT\n"},
    "several": {
        "services/web/server.js": NODE_APP,
        "services/web/package.json": NODE_PACKAGE,
        "services/stock/app.py": PYTHON_APP,
        "services/stock/test_app.py": PYTHON_TEST,
    },
    "empty": {},
    "nothing-to-run": {"README.md": "# Notes\n", "notes/one.md": "one\n"},
}


def get(address: str) -> str:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.read().decode()


@pytest.fixture(scope="module")
def shipped(days):
    """Two first days at once: init, commit, up, ship."""
    people = {}
    for name, files in PROJECTS.items():
        day = people[name] = days(name).write(files)
        day.commit("feat: greet")
        day.andon("init")
        day.andon("validate")
        day.commit("build: ship with andon")
        day.up()
    ships = {name: day.start("andon", "ship", "--timeout", "240s") for name, day in people.items()}
    for name, ship in ships.items():
        said, _ = ship.communicate(timeout=300)
        assert ship.returncode == 0, f"{name}: {said}"
    return people


@pytest.mark.parametrize("name", PROJECTS)
def test_what_init_writes_ships_to_production(shipped, name):
    for environment in ("dev", "prod"):
        assert get(shipped[name].address(environment, name) + "/you") == "Hello, you!"
    assert shipped[name].ask("why", "prod")["open"]


def test_a_release_nobody_uses_says_what_it_waits_for_and_a_person_may_go_on(shipped, until):
    day = shipped["python"]
    day.write({"app.py": PYTHON_APP.replace("ThreadingHTTPServer((", "ThreadingHTTPServer( (")})
    day.commit("style: space")
    follows = day.start("andon", "ship", "--timeout", "240s")
    said = next(line for line in follows.stdout if "nobody uses python in prod now" in line)
    follows.terminate()
    (missing,) = day.ask("why", "prod")["missing"]
    change = day.ask("status")["changes"][0]["name"]
    assert missing["opens"] == f"andon approve {change} --environment prod -m REASON"
    assert missing["opens"] in said
    assert "nobody uses python in prod now" in day.andon("why", change).stdout
    assert get(day.address("prod", "python")) == "Hello, world!"
    consent = (*missing["opens"].removesuffix("REASON").split()[1:], "nobody is here yet")
    day.andon(*consent)
    run = f"rollout-prod-python-{change}"

    until(lambda: day.ask("runs", "show", run)["weight"] == 50)


@pytest.mark.parametrize("name", OTHERS)
def test_what_init_writes_is_valid_and_short(days, name):
    day = days(name).write(OTHERS[name])
    day.run("git", "init", "-q", "-b", "main")
    day.andon("init")
    day.andon("validate")
    text = (day.folder / "andon.yaml").read_text()
    assert len(text.splitlines()) < 80 + 30 * (name == "several")
    assert day.run("git", "status", "--short").stdout.count("andon.yaml") == 1


def test_rules_are_adopted_from_master_where_there_is_no_main(days):
    day = days("older").write(PROJECTS["python"])
    day.andon("init")
    day.run("git", "init", "-q", "-b", "master")
    day.commit("one")
    one = day.run("git", "rev-parse", "HEAD").stdout.strip()
    day.commit("two")
    two = day.run("git", "rev-parse", "HEAD").stdout.strip()
    loaded = load(GitSource(day.folder.with_suffix(".cache")), str(day.folder), "HEAD", one, "main")
    assert (loaded.policy_revision, loaded.next_policy) == (one, two)
