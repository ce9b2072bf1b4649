"""Steps of GitHub's jobs."""

from __future__ import annotations

import re
import shlex

from andon.api.foreign import Node
from andon.api.problems import shorten
from andon.domains.pipelines.foreign import github_expressions as expressions
from andon.domains.pipelines.foreign.carrying import Document, as_variable, without_empty
from andon.domains.pipelines.foreign.cel import Untold
from andon.domains.pipelines.foreign.drafts import VARIABLE, Draft, of_pattern, refuses_path
from andon.domains.pipelines.foreign.shell import MISSING, for_sh, refusing, substitute

EXPRESSION = re.compile(r"\$\{\{((?:(?!\}\}).)*)\}\}", re.DOTALL)
_SECRET = re.compile(r"\s*\$\{\{\s*secrets\.([A-Za-z_]\w*)\s*\}\}\s*")
_OF_THE_FORGE = "GITHUB_TOKEN"
_OURS = {"GITHUB_ENV": "ANDON_ENV", "GITHUB_SHA": "ANDON_SHA", "GITHUB_WORKSPACE": "PWD"}
_IN_RUN = {"github.sha": "ANDON_SHA", "github.workspace": "PWD"}
_PLACE = "write it in `env`, or in the shell text by hand"
_WHEN = "STEP_IF"
_HASHED = re.compile(r"\s*hashFiles\(\s*((?:'[^']*'\s*,?\s*)+)\)\s*")
_PIP = ("PIP_CACHE_DIR", ".cache/pip", ["**/requirements*.txt", "**/pyproject.toml"])
_NPM = ("npm_config_cache", ".cache/npm", ["**/package-lock.json"])
_CACHES = {"pip": _PIP, "npm": _NPM}
_IGNORED = {
    "actions/checkout": {"fetch-depth", "persist-credentials", "clean", "token", "fetch-tags"},
    "actions/setup-python": {"architecture", "check-latest", "token", "allow-prereleases"},
    "actions/setup-node": {"architecture", "check-latest", "token", "always-auth"},
    "actions/upload-artifact": {"name", "overwrite", "compression-level", "if-no-files-found"},
    "actions/cache": {"enableCrossOsArchive", "upload-chunk-size", "save-always"},
    "actions/download-artifact": {"merge-multiple"},
}
"""Settings of known actions that could mean nothing here."""


class Known:
    """What steps may refer to.

    Args:
        env: Variables of the workflow and the job, in clear.
        uploads: Artifacts by name: the job that leaves them.
        shell: The shell unless a step says otherwise.
        folder: Likewise the folder.
    """

    def __init__(
        self, env: dict[str, str], uploads: dict[str, str], shell: str, folder: str
    ) -> None:
        self.env = env
        self.uploads = uploads
        self.shell = shell
        self.folder = folder


def variables(draft: Draft, node: Node | None, known: dict[str, str]) -> dict[str, str]:
    """Return variables in clear; secrets go to the job."""
    found: dict[str, str] = {}
    carrying = draft.carrying
    for name, value in (node.fields or {}).items() if node else ():
        secret = _SECRET.fullmatch(value.typed)
        if value.text is None or not VARIABLE.fullmatch(name):
            carrying.lost(value, "no name or value of an environment variable")
        elif secret and secret[1] == _OF_THE_FORGE:
            carrying.lost(value, "jobs get no token of the forge", "keep one: andon secret set")
        elif secret:
            if not draft.secret(value, name, secret[1]):
                carrying.lost(
                    value, f"`{name}` is another secret elsewhere in the job", "rename it"
                )
        else:
            try:
                found[name] = text_of(value.text, draft, known)
                carrying.take(value)
            except Untold as untold:
                carrying.lost(value, f"{untold.what} is not known here", _PLACE)
                draft.refuse(f"the variable {name} has no value")
    return found


def text_of(text: str, draft: Draft, known: dict[str, str]) -> str:
    """Translate the expressions inside of a text.

    Raises:
        Untold: One cannot be translated.
    """

    def replaced(found: re.Match[str]) -> str:
        word = found[1].strip()
        if word.startswith("env.") and word[4:] in known:
            return known[word[4:]]
        if word.startswith("matrix.") and draft.axes.get(word[7:], ()) is None:
            raise Untold(f"`{word}`, which only some combinations have,")
        return "${{ " + expressions.value_of(word, draft.axes) + " }}"

    if "${{" in EXPRESSION.sub("", text):
        raise Untold("an expression without its `}}`")
    return EXPRESSION.sub(replaced, text)


class Steps:
    """Translates the steps of one job.

    Args:
        draft: The job.
        known: What they may refer to.
    """

    def __init__(self, draft: Draft, known: Known) -> None:
        self.draft = draft
        self.known = known
        self.carrying = draft.carrying

    def add(self, node: Node) -> None:
        """Add a step to the job; one that cannot be carried over fails and says why."""
        if node.fields is None:
            self.carrying.lost(node, "a step is a mapping")
            return
        made = self._head(node)
        if identity := node.get("id"):
            self.carrying.meaningless(
                identity, "outputs of steps are not carried; nothing refers to it"
            )
        for field in ("continue-on-error", "timeout-minutes"):
            if found := node.get(field):
                self._own_limit(found, field)
        env = variables(self.draft, node.get("env"), {**self.known.env, **self.draft.env})
        if uses := node.get("uses"):
            self._uses(node, uses, made, env)
        elif run := node.get("run"):
            self._run(node, run, made, env)
        else:
            self.carrying.lost(node, "neither `run` nor `uses`")

    def _head(self, node: Node) -> Document:
        name = node.get("name")
        if name is None or name.text is None:
            return {}
        self.carrying.take(name)
        plain = EXPRESSION.sub(lambda found: found[1].strip(), name.text)
        return {"name": " ".join(plain.split())[:100]}

    def _own_limit(self, node: Node, field: str) -> None:
        if node.value is False:
            self.carrying.meaningless(node, "so it is")
        elif field == "timeout-minutes":
            self.carrying.lost(
                node, "a step has no timeout of its own", "the job's holds, or: timeout 60 CMD"
            )
        else:
            instead = "`CMD || true`, or a job of its own with `blocking: false`"
            self.carrying.lost(node, "a step that fails ends the job", instead)

    # --- shell ------------------------------------------------------------------------------------

    def _run(self, node: Node, run: Node, made: Document, env: dict[str, str]) -> None:
        if run.text is None or not run.text.strip() or "\0" in run.text:
            self.carrying.lost(run, "nothing that a shell could run")
            return
        shell = self._shell(node.get("shell"))
        try:
            when = self._when(node.get("if"), env)
            folder = self._folder(node.get("working-directory"))
            script = for_sh(self._script(run, env), shell)
            self.carrying.take(run)
        except Untold as untold:
            self._refused(node, run, untold, made)
            return
        text = when + folder + script
        self.draft.steps.append(without_empty(made | {"run": text, "env": env}))

    def _refused(self, node: Node, at: Node, untold: Untold, made: Document) -> None:
        self.carrying.lost(at, f"{untold.what} is not known here", untold.instead or _PLACE)
        for name in ("if", "working-directory", "shell", "with"):
            if (rest := node.get(name)) and self.carrying.untold(rest):
                self.carrying.lost(rest, "the step was not carried over")
        self.draft.steps.append(made | {"run": refusing(f"line {at.line}: {untold.what}")})

    def _shell(self, node: Node | None) -> str:
        if node is None:
            return self.known.shell
        self.carrying.take(node)
        return node.text or ""

    def _when(self, node: Node | None, env: dict[str, str]) -> str:
        if node is None:
            return ""
        if node.text is None:
            raise Untold("a condition that is no text")
        code = expressions.condition(node.text, self.draft.axes)
        self.carrying.take(node)
        if code == "true":
            self.carrying.meaningless(node, "always true here")
            return ""
        env[_WHEN] = "${{ " + code + " }}"
        return f'[ "${_WHEN}" = true ] || exit 0\n'

    def _folder(self, node: Node | None) -> str:
        folder = self.known.folder
        if node is not None:
            folder = node.text or ""
            if "${{" in folder:
                raise Untold(f"the folder {shorten(folder)}")
            self.carrying.take(node)
        return f"cd {shlex.quote(folder)}\n" if folder and folder != "." else ""

    def _script(self, run: Node, env: dict[str, str]) -> str:
        text = run.text or ""
        self._forge_variables(run, text)
        for name, own in _OURS.items():
            text = re.sub(rf"\$({name}\b|\{{{name}\}})", f"${own}", text)
        if "${{" in EXPRESSION.sub("", text):
            raise Untold("an expression without its `}}`")
        if EXPRESSION.search(text) and re.search(r"<<-?\s*['\"\\]", text):
            raise Untold("an expression beside a quoted here-document")
        return substitute(text, EXPRESSION, lambda word: self._in_shell(run, word.strip(), env))

    def _in_shell(self, run: Node, word: str, env: dict[str, str]) -> str:
        """Return the variable that holds a value, having seen to it that it does."""
        if word in _IN_RUN:
            return _IN_RUN[word]
        if word.startswith("env.") and VARIABLE.fullmatch(word[4:]):
            return word[4:]
        if word.startswith("matrix.") and word[7:] in self.draft.axes:
            missing = self.draft.axes[word[7:]] is None
            return f"MATRIX_{as_variable(word[7:]).upper()}{'-' if missing else ''}"
        secret = re.fullmatch(r"secrets\.([A-Za-z_]\w*)", word)
        if secret and secret[1] != _OF_THE_FORGE and self.draft.secret(run, secret[1], secret[1]):
            return secret[1]
        code = expressions.value_of(word, self.draft.axes)
        name = as_variable(word.replace(".", "_")).upper()
        if not VARIABLE.fullmatch(name) or len(name) > 60:
            raise Untold(f"`{word[:60]}`")
        env[name] = "${{ " + code + " }}"
        return name

    def _forge_variables(self, run: Node, text: str) -> None:
        for name in dict.fromkeys(MISSING.findall(text)):
            if name not in _OURS:
                instead = "artifacts, caches and `needs` carry values; $ANDON_SHA is the commit"
                self.carrying.lost(run, f"${name} is not set here, and the step uses it", instead)

    # --- actions ----------------------------------------------------------------------------------

    def _uses(self, node: Node, uses: Node, made: Document, env: dict[str, str]) -> None:
        action, _, _ = (uses.text or "").partition("@")
        step = getattr(self, "_" + re.sub(r"\W", "_", action), None)
        settings = node.get("with")
        try:
            if action not in _IGNORED or step is None:
                raise Untold(f"the action {action[:60]}", "write what it does as shell, in `run`")
            if when := node.get("if"):
                raise Untold(f"a condition of this action ({shorten(when.typed)})")
            run = step(settings or Node(node.line), _IGNORED[action])
        except Untold as untold:
            self._refused(node, uses, untold, made or {"name": action[:100]})
            return
        self._settings(settings, _IGNORED[action])
        if run:
            self.carrying.take(uses)
            self.carrying.differs(uses, "as shell, with what this machine has", "see the step")
            self.draft.steps.append(without_empty(made | {"run": run, "env": env}))
        else:
            self.carrying.meaningless(uses, f"{action} is no step here: Andon does it by itself")

    def _settings(self, settings: Node | None, ignored: set[str]) -> None:
        for name, value in (settings.fields or {}).items() if settings else ():
            if name in ignored and self.carrying.untold(value):
                self.carrying.meaningless(value, "nothing it could mean here")

    def _actions_checkout(self, settings: Node, _: set[str]) -> str:
        for name in (
            "repository",
            "ref",
            "path",
            "submodules",
            "lfs",
            "ssh-key",
            "sparse-checkout",
        ):
            value = settings.get(name)
            if value and value.value is not False:
                raise Untold(
                    f"a work tree other than the commit's ({name})", "fetch it with git, in `run`"
                )
            if value:
                self.carrying.meaningless(value, "so it is")
        return ""

    def _actions_setup_python(self, settings: Node, _: set[str]) -> str:
        self._dependency_cache(settings)
        version = self._version(settings, "python-version")
        exact = re.fullmatch(r"\d+\.\d+(\.\d+)?|\$\{\w+\}", version)
        if not exact and version and not re.fullmatch(r"3(\.x)?", version):
            raise Untold(f"Python {version[:30]}", "name it: `3.12`")
        of = ".".join(version.split(".")[:2]) if exact else "3"
        return f'"python{of}" -m venv "$TMPDIR/venv"\necho "PATH=$TMPDIR/venv/bin:$PATH" >>"$ANDON_ENV"\n'

    def _actions_setup_node(self, settings: Node, _: set[str]) -> str:
        self._dependency_cache(settings)
        version = self._version(settings, "node-version").removeprefix("v").removesuffix(".x")
        if not version or version in ("lts/*", "node", "latest", "*"):
            return "node --version\n"
        if not re.fullmatch(r"\d+(\.\d+){0,2}|\$\{\w+\}", version):
            raise Untold(f"Node {version[:30]}", "name it: `22`")
        return (
            f'case "$(node --version)." in\n  v"{version}".*) ;;\n'
            f'  *) echo "node {version} is wanted" >&2; exit 1 ;;\nesac\n'
        )

    def _version(self, settings: Node, name: str) -> str:
        node = settings.get(name)
        if node is None:
            return ""
        if node.text is None:
            raise Untold(f"a list as {name}")
        found = EXPRESSION.fullmatch(node.text.strip())
        self.carrying.take(node)
        if found:
            return "${" + self._in_shell(node, found[1].strip(), {}) + "}"
        return node.text

    def _dependency_cache(self, settings: Node) -> None:
        node, keys = settings.get("cache"), settings.get("cache-dependency-path")
        if node is None:
            return
        if node.text not in _CACHES:
            self.carrying.lost(node, "not a cache that is known here", "see `caches`")
            return
        variable, folder, files = _CACHES[node.text]
        self.carrying.take(node)
        if keys and keys.text and not refuses_path(keys.text.strip()):
            self.carrying.take(keys)
            files = [of_pattern(keys.text.strip())]
        self.draft.env.setdefault(variable, folder)
        self.draft.cache({"name": node.text, "paths": [folder], "key": files})

    def _actions_cache(self, settings: Node, _: set[str]) -> str:
        path, key, restore = (settings.get(name) for name in ("path", "key", "restore-keys"))
        if path is None or key is None or path.text is None or key.text is None:
            raise Untold("a cache without `path` and `key`")
        paths = [of_pattern(line.strip()) for line in path.text.splitlines() if line.strip()]
        wrong = next((f"`{one}` {said}" for one in paths if (said := refuses_path(one))), "")
        files, also = self._cache_key(key.text)
        if wrong or not files:
            why = f"a path of the cache {wrong}" if wrong else "the cache's key names no files"
            instead = "`caches`, with folders of the work tree and files that decide"
            for node in (path, key, *([restore] if restore else [])):
                self.carrying.lost(node, why, instead)
            return ""
        self.carrying.take(path)
        self.carrying.take(key)
        if restore:
            self.carrying.differs(restore, "the newest of this cache is brought, whatever its key")
        name = paths[0].strip("./*").split("/")[-1]
        entry = {
            "name": name,
            "paths": paths,
            "key": files,
            "also": also,
            "nearest": bool(restore) or None,
        }
        self.draft.cache(without_empty(entry))
        return ""

    def _cache_key(self, text: str) -> tuple[list[str], list[str]]:
        files: list[str] = []

        def hashed(found: re.Match[str]) -> str:
            inside = _HASHED.fullmatch(found[1])
            if inside is None:
                return found[0]
            files.extend(of_pattern(one) for one in re.findall(r"'([^']*)'", inside[1]))
            return ""

        rest = EXPRESSION.sub(hashed, text).strip("- ")
        if any(refuses_path(one) for one in files):
            return [], []
        return files, [text_of(rest, self.draft, self.known.env)] if rest else []

    def _actions_upload_artifact(self, settings: Node, _: set[str]) -> str:
        path, days = settings.get("path"), settings.get("retention-days")
        if path is None or path.text is None:
            raise Untold("an artifact without `path`")
        for line in filter(None, map(str.strip, path.text.splitlines())):
            self.draft.artifact(path, of_pattern(line))
        if days and isinstance(days.value, int) and 0 < days.value <= 400:
            self.carrying.take(days)
            self.draft.keep_days = days.value
        return ""

    def _actions_download_artifact(self, settings: Node, _: set[str]) -> str:
        name, path = settings.get("name"), settings.get("path")
        needs = self.draft.head.get("needs", [])
        if name is not None and self.known.uploads.get(name.text or "") not in needs:
            raise Untold(
                "an artifact of a job that this one does not need", "add the job to `needs`"
            )
        if name is not None:
            self.carrying.meaningless(name, "the files of all needed jobs are there")
        if path is not None and path.text not in (None, ".", "./"):
            raise Untold("files at another place than they were made", "move them, in `run`")
        if path is not None:
            self.carrying.meaningless(path, "files are where they were made")
        return ""
