import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import msgspec
import pytest

from andon.adapters import steps
from andon.adapters.steps import render_step
from andon.api.v1.jobs import TypedStep
from andon.kernel.errors import InvalidDocument


def test_python_step_keeps_its_environment_by_what_is_required():
    step = render_step("python", {"requirements": ("a.txt",), "packages": ("pytest==8.4",)})
    environment, packages = step.caches
    assert environment.key == ("a.txt",)
    assert "pytest==8.4" in environment.also
    assert not environment.nearest  # What is required no longer must not be there.
    assert packages.nearest


def test_settings_are_quoted_and_never_shell():
    step = render_step("python", {"packages": ("x; touch pwned",)})
    assert "'x; touch pwned'" in step.run


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("python", {"requirement": "x"}, "requirement"),
        ("python", {"python": "python3; true"}, "python"),
        ("node", {"node": "22; true"}, "node"),
        ("ruby", {}, "no typed step is called `ruby`"),
    ],
)
def test_what_is_not_understood_is_said_with_what_would_be(name, settings, said):
    with pytest.raises(InvalidDocument, match=said) as refused:
        render_step(name, settings)
    assert refused.value.hint


class Greeting(msgspec.Struct):
    who: str


class Greet:
    settings = Greeting

    def render(self, settings: Greeting) -> TypedStep:
        return TypedStep(run=f"echo hello {settings.who}")


def test_plugin_is_found_by_its_entry_point(monkeypatch):
    module = sys.modules[__name__]
    monkeypatch.setattr(module, "GREET", Greet(), raising=False)
    point = EntryPoint("greet", f"{__name__}:GREET", steps.SEAM)
    monkeypatch.setattr(EntryPoint, "load", lambda _: Greet())
    monkeypatch.setattr(steps, "entry_points", lambda **_: [point])
    assert render_step("greet", {"who": "ada"}).run == "echo hello ada"


def run_step(tree: Path, step: TypedStep) -> subprocess.CompletedProcess[str]:
    env = {"PATH": "/usr/bin:/bin", "ANDON_ENV": str(tree / "env"), "HOME": str(tree), **step.env}
    return subprocess.run(
        ["/bin/sh", "-euc", step.run],
        cwd=tree,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_python_step_makes_an_environment_that_still_works_where_a_cache_brings_it(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    run = "python -c 'import sys; print(sys.prefix)'; pip --version"
    step = render_step("python", {"python": sys.executable, "run": run})
    first = run_step(here, step)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith(f"{here}/.venv\n")
    there.mkdir()
    (here / ".venv").rename(there / ".venv")
    again = run_step(there, step)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith(f"{there}/.venv\n")
    assert f"PATH={there}/.venv/bin:" in (there / "env").read_text()


def test_node_step_refuses_another_version(tmp_path):
    (tmp_path / "node").write_text("#!/bin/sh\necho v18.1.0\n")
    (tmp_path / "node").chmod(0o755)
    step = render_step("node", {"node": "22"})
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "ANDON_ENV": str(tmp_path / "env")}
    done = subprocess.run(
        ["/bin/sh", "-euc", step.run], cwd=tmp_path, env=env, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"v18.1.0 is here, and 22 is asked for" in done.stderr
