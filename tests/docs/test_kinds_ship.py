"""The worked examples of docs/kinds are one project; here it is, and it ships."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from andon.testing.children import free_port

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "kinds" / "examples"
PROGRAM = {
    "server.py": """\
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        told = ("LOG_LEVEL", "CACHE_SECONDS")
        body = " ".join(os.environ[name] for name in told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
""",
    "migrate.py": "import os\nprint('migrated with', os.environ['CACHE_SECONDS'])\n",
    "build.py": """\
from pathlib import Path
from shutil import copy

Path("dist/storefront").mkdir(parents=True)
copy("server.py", "dist/storefront")
""",
    "tests/test_server.py": """\
import unittest
import server


class Test(unittest.TestCase):
    def test_answers(self):
        self.assertTrue(server.Handler.do_GET)
""",
}


def test_worked_examples_ship_together_to_dev(days):
    text = "---\n".join(file.read_text() for file in sorted(EXAMPLES.glob("*.yaml")))
    port = free_port()
    text = text.replace("8080", str(port)).replace("8081", str(free_port()))
    day = days("shop").write({**PROGRAM, "andon.yaml": text, ".gitignore": ".andon/\n"})
    day.commit("feat: a shop")
    day.andon("validate")
    day.up()
    day.andon("ship", "--until", "dev", "--timeout", "240s")
    run = "rollout-dev-storefront-" + day.ask("status")["changes"][0]["name"]
    assert "migrated with 30" in day.andon("logs", run).stdout
    assert day.address("dev", "storefront").endswith(f":{port}")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
        assert answer.read() == b"debug 30"
