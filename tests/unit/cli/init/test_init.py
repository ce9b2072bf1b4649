from __future__ import annotations

import os
import stat

import pytest

from andon.api.project import check_project, read_project
from andon.cli.init import init, inspect_folder, render_andon_yaml
from andon.kernel.errors import Conflict, NotFound


def fill(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def only(root):
    (service,) = inspect_folder(root).services
    return service


@pytest.mark.parametrize(
    ("files", "command", "test", "build"),
    [
        (
            {"app.py": "PORT", "test_app.py": ""},
            ("python3", "app.py"),
            "python3 -m unittest discover",
            "",
        ),
        (
            {"main.py": "PORT", "tests/test_a.py": ""},
            ("python3", "main.py"),
            "python3 -m unittest discover -s tests",
            "",
        ),
        (
            {"app.py": "app = FastAPI()\n", "requirements.txt": "fastapi\nuvicorn\npytest\n"},
            ("sh", "-c", "PYTHONPATH=.deps:. exec python3 -m uvicorn app:app --port $PORT"),
            "python -m pytest -q --junitxml=junit.xml",
            "python3 -m pip install --quiet --target .deps -r requirements.txt",
        ),
        (
            {"package.json": '{"scripts": {"start": "node s.js", "test": "node --test"}}'},
            ("node", "s.js"),
            "npm test",
            "",
        ),
        (
            {
                "package.json": '{"scripts": {"start": "next start", "build": "next build"}, "dependencies": {"next": "1"}}',
                "package-lock.json": "{}",
            },
            ("npm", "start"),
            "",
            "npm ci\nnpm run build",
        ),
        (
            {"go.mod": "module x\n", "cmd/shop/main.go": "PORT"},
            ("./bin/server",),
            "go test ./...",
            "go build -o bin/server ./cmd/shop",
        ),
        (
            {
                "Makefile": "test: build\n\ttrue\nbuild:\n\ttrue\nX := 1\n",
                "Dockerfile": 'CMD ["./run", "-v"]\n',
            },
            ("./run", "-v"),
            "make test",
            "make build",
        ),
        (
            {"Procfile": "worker: x\nweb: gunicorn app:app\n", "requirements.txt": "gunicorn\n"},
            ("sh", "-c", "PATH=.deps/bin:$PATH PYTHONPATH=.deps:. exec gunicorn app:app"),
            "",
            "python3 -m pip install --quiet --target .deps -r requirements.txt",
        ),
    ],
    ids=["python", "python-tests", "fastapi", "node", "next", "go", "make", "procfile"],
)
def test_project_is_recognised(tmp_path, files, command, test, build):
    service = only(fill(tmp_path, files))
    assert (service.command, service.test, service.build) == (command, test, build)


def test_placeholder_test_of_npm_init_is_no_test(tmp_path):
    script = (
        '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}, "main": "i.js"}'
    )
    service = only(fill(tmp_path, {"package.json": script, "i.js": ""}))
    assert (service.test, service.command) == ("", ("node", "i.js"))


def test_health_path_is_read_from_the_program(tmp_path):
    assert (
        only(fill(tmp_path, {"app.py": 'PORT\nif path == "/healthz":'})).health_path == "/healthz"
    )


def test_services_in_subfolders_each_get_their_documents(tmp_path):
    server = "PORT /healthz"
    fill(tmp_path, {"services/cart/server.py": server, "services/cart/tests/test_c.py": ""})
    fill(tmp_path, {"web/package.json": '{"scripts": {"start": "node s.js"}}', "docs/app.py": ""})
    found = read_project({"andon.yaml": render_andon_yaml(inspect_folder(tmp_path)).encode()})
    assert list(found.services) == ["web", "cart"]
    assert found.services["cart"].artifact.path == "services/cart"
    assert found.pipeline.jobs["test-cart"].run.startswith("cd services/cart\n")
    assert found.environments["prod"].requires == ("test-cart",)
    assert set(found.objectives) == set(found.routes) == {"web", "cart"}


def test_what_was_not_found_is_a_marked_choice_and_a_note(tmp_path):
    result = init(tmp_path)
    text = result.file.read_text()
    assert text.count("CHOICE: ") >= 4
    assert len(result.notes) == 3
    assert check_project({"andon.yaml": text.encode()}).problems == ()


def test_an_existing_file_is_kept_unless_forced(tmp_path):
    fill(tmp_path, {"andon.yaml": "mine"})
    with pytest.raises(Conflict, match="exists") as caught:
        init(tmp_path)
    assert "--force" in caught.value.hint
    assert (tmp_path / "andon.yaml").read_text() == "mine"
    assert init(tmp_path, force=True).file.read_text() != "mine"


def test_a_missing_folder_is_not_found(tmp_path):
    with pytest.raises(NotFound):
        init(tmp_path / "gone")


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, ".andon/\n"), ("x", "x\n.andon/\n"), ("/.andon\n", "/.andon\n"), ("", ".andon/\n")],
)
def test_git_ignores_the_state_folder_once(tmp_path, before, after):
    if before is not None:
        fill(tmp_path, {".gitignore": before})
    init(tmp_path)
    init(tmp_path, force=True)
    assert (tmp_path / ".gitignore").read_text() == after


def test_links_out_of_the_folder_are_neither_read_nor_written(tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    fill(
        outside,
        {"package.json": '{"scripts": {"start": "node secret.js"}}', "y": "1", "ignore": "1"},
    )
    inside.mkdir()
    (inside / "package.json").symlink_to(outside / "package.json")
    (inside / "services").symlink_to(outside)
    (inside / "andon.yaml").symlink_to(outside / "y")
    (inside / ".gitignore").symlink_to(outside / "ignore")
    result = init(inside, force=True)
    assert "secret" not in result.file.read_text()
    assert not result.file.is_symlink()
    assert ((outside / "y").read_text(), (outside / "ignore").read_text()) == ("1", "1")
    assert any(".gitignore" in note for note in result.notes)


def test_pipes_endless_files_and_nonsense_do_not_stop_it(tmp_path):
    os.mkfifo(tmp_path / "Makefile")
    (tmp_path / "requirements.txt").write_bytes(b"\xff\x00" * 100)
    (tmp_path / "package.json").write_text("[" * 100_000)
    with (tmp_path / "app.py").open("wb") as sparse:
        sparse.truncate(2**33)
    assert stat.S_ISREG(init(tmp_path).file.stat().st_mode)


@pytest.mark.parametrize(
    "files",
    [
        {"Procfile": 'web: x"]\nkind: Evil\n'},
        {"Procfile": "web: \x1b[31m\n"},
        {"Dockerfile": 'CMD ["a", "\\u2028---\\nkind: Evil"]\n'},
        {"we\nird: [/app.py": "PORT", 'q"/app.py': "PORT", "Ünï/app.py": "PORT"},
        {
            "package.json": '{"main": "../../x.js", "scripts": {"start": "node ../../x.js\\nevil: 1"}}'
        },
    ],
)
def test_hostile_contents_never_make_the_file_invalid(tmp_path, files):
    result = init(fill(tmp_path, files))
    text = result.file.read_text()
    assert check_project({"andon.yaml": text.encode()}).problems == ()
    assert "\x1b" not in text + "".join(result.notes)
    assert "\nkind: Evil" not in text
