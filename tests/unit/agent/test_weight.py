import subprocess
import sys

HEAVY = {"click", "rich", "starlette", "uvicorn", "sqlite3", "yaml", "ryaml", "andon.store"}


def test_agent_imports_nothing_heavy():
    script = "import andon.agent.__main__, sys; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert HEAVY.isdisjoint(modules.stdout.split())
