"""GitHub Actions workflows as Pipelines.

Source: GitHub, "Workflow syntax for GitHub Actions".
"""

from __future__ import annotations

import re

from andon.api.foreign import Node
from andon.domains.pipelines.foreign import github_triggers as triggers
from andon.domains.pipelines.foreign.carrying import (
    Carrying,
    Document,
    Imported,
    as_name,
    texts,
)
from andon.domains.pipelines.foreign.cel import Untold
from andon.domains.pipelines.foreign.drafts import Draft, image, service, timeout
from andon.domains.pipelines.foreign.github_expressions import condition
from andon.domains.pipelines.foreign.github_matrix import matrix
from andon.domains.pipelines.foreign.github_steps import (
    Known,
    Steps,
    text_of,
    variables,
)
from andon.domains.pipelines.foreign.pipeline import finish
from andon.domains.pipelines.foreign.shell import refusing

_UNKNOWN = "not known to this version of the import"
_HEAD = (
    "GitHub gives a job six hours and a network: `timeoutSeconds` is an hour here unless it was said, and",
    "`network: true` may go where nothing is fetched.",
)
_ALWAYS = re.compile(
    r"^\s*(?:\$\{\{)?\s*(always\(\)|!\s*cancelled\(\))\s*(?:&&(.*?))?(?:\}\})?\s*$", re.DOTALL
)
_LINUX = re.compile(r"ubuntu-[\w.-]+|linux")
_HOUR_SECONDS = 3600
_SHELLS = ("bash", "sh", "python")
_ELSEWHERE = {
    "environment": (
        "Andon's Environments have gates of their own",
        "put what deploys into an Environment",
    ),
    "outputs": ("values do not go from job to job", "leave them in a file: `artifacts`"),
    "snapshot": ("there are no images of runners", ""),
}


def import_github(root: Node, file: str) -> Imported:
    """Turn a workflow into a Pipeline.

    Args:
        root: The file, read.
        file: Its name, for comments.
    """
    return _Workflow(root, file).whole()


class _Workflow:
    def __init__(self, root: Node, file: str) -> None:
        self._root = root
        self._file = file
        self._carrying = Carrying(root)
        self._drafts: dict[str, Draft] = {}
        self._always: set[str] = set()
        self._spec: Document = {}

    def whole(self) -> Imported:
        name = self._name()
        self._spec = triggers.of_workflow(self._root.get("on"), self._carrying)
        self._concurrency(name)
        if permissions := self._root.get("permissions"):
            self._carrying.meaningless(permissions, "jobs get no token of the forge")
        if title := self._root.get("run-name"):
            self._carrying.meaningless(title, "Andon names its Runs by itself")
        self._jobs()
        return finish(
            name, self._file, _HEAD, self._spec, self._drafts.values(), self._carrying, _UNKNOWN
        )

    def _name(self) -> str:
        node = self._root.get("name")
        if node is None or node.text is None:
            return as_name(self._file.rpartition("/")[2].partition(".")[0], otherwise="pipeline")
        self._carrying.take(node)
        return as_name(node.text, otherwise="pipeline")

    def _concurrency(self, name: str) -> None:
        node = self._root.get("concurrency")
        if node is None:
            return
        group = node.get("group") or node
        text = (group.text or "").replace("github.workflow", f"'{name}'")
        try:
            for word in re.findall(r"github\.(?:ref|head_ref \|\| github\.\w+)\b(?!_name)", text):
                text = text.replace(word, "github.ref_name")
            said = text_of(text, Draft("", self._carrying), {})
        except Untold as untold:
            self._carrying.lost(group, f"{untold.what} is not known here", "concurrency: {name: …}")
            return
        if not 0 < len(said) <= 200:
            self._carrying.lost(group, "not a group's name", "concurrency: {name: …}")
            return
        said = re.sub(r'\$\{\{ "([^"]*)" \}\}', r"\1", said)
        self._carrying.take(group)
        self._spec["concurrency"] = {"name": said, "whenBusy": "queue"}
        if (cancel := node.get("cancel-in-progress")) is None:
            return
        if isinstance(cancel.value, bool):
            self._carrying.take(cancel)
            self._spec["concurrency"]["whenBusy"] = "cancel-older" if cancel.value else "queue"
        else:
            self._carrying.lost(cancel, "not decided by an expression", "whenBusy: cancel-older")

    # --- jobs -------------------------------------------------------------------------------------

    def _jobs(self) -> None:
        jobs = (self._root.get("jobs") or Node(0)).fields or {}
        for word in jobs:
            taken = [draft.name for draft in self._drafts.values()]
            self._drafts[word] = Draft(as_name(word, taken), self._carrying)
        uploads = self._uploads(jobs)
        self._always = {word for word, job in jobs.items() if _is_always(job)}
        for word, node in jobs.items():
            self._job(word, node, uploads)

    def _uploads(self, jobs: dict[str, Node]) -> dict[str, str]:
        found: dict[str, str] = {}
        for word, job in jobs.items():
            for step in texts(job.get("steps")):
                uses, settings = step.get("uses"), step.get("with")
                if uses and settings and uses.typed.startswith("actions/upload-artifact@"):
                    name = settings.get("name")
                    found[name.typed if name else "artifact"] = self._drafts[word].name
        return found

    def _job(self, word: str, node: Node, uploads: dict[str, str]) -> None:
        draft = self._drafts[word]
        draft.comments.append(f"{self._file}:{node.line}: {word}{self._title(node)}")
        self._runs_on(draft, node.get("runs-on"))
        self._needs(draft, node.get("needs"))
        matrix(draft, node.get("strategy"))
        self._if(draft, word, node.get("if"))
        self._limits(draft, node)
        for name in _ELSEWHERE:
            if found := node.get(name):
                self._carrying.lost(found, *_ELSEWHERE[name])
        if found := node.get("permissions"):
            self._carrying.meaningless(found, "jobs get no token of the forge")
        if uses := node.get("uses"):
            instead = "make it a Template, and use it: docs/kinds/template.md"
            self._carrying.lost(uses, "a workflow of another file is not read", instead)
            draft.steps.append({"run": refusing(f"uses: {uses.typed[:100]}")})
            return
        self._beside(draft, node)
        known = self._known(draft, node, uploads)
        steps = Steps(draft, known)
        for step in (node.get("steps") or Node(0)).items or ():
            steps.add(step)
        for variable, value in known.env.items():
            if variable not in draft.secrets:
                draft.env.setdefault(variable, value)

    def _title(self, node: Node) -> str:
        name = node.get("name")
        if name is None or name.text is None:
            return ""
        self._carrying.take(name)
        return f", {' '.join(name.text.split())}"

    def _runs_on(self, draft: Draft, node: Node | None) -> None:
        for label in texts(node.get("labels") if node and node.fields else node):
            text = label.text or ""
            if _LINUX.fullmatch(text):
                self._carrying.meaningless(
                    label, "a job runs on this Linux machine, or by its worker"
                )
            elif not text or "${{" in text:
                why = "all combinations run on the same machines"
                self._carrying.lost(label, why, "one job for each `runsOn`")
            elif text == "self-hosted":
                self._carrying.meaningless(label, "all workers are")
            else:
                self._carrying.take(label)
                draft.head.setdefault("runsOn", []).append(as_name(text))

    def _needs(self, draft: Draft, node: Node | None) -> None:
        for need in texts(node):
            if need.text in self._drafts:
                self._carrying.take(need)
                needs = draft.head.setdefault("needs", [])
                if self._drafts[need.text].name not in needs:
                    needs.append(self._drafts[need.text].name)
            else:
                self._carrying.lost(need, "there is no such job in the file")
                draft.refuse(f"it needs {need.typed[:60]}, which is not there")

    def _if(self, draft: Draft, word: str, node: Node | None) -> None:
        if node is None:
            return
        source = node.text or ""
        always = _ALWAYS.match(source)
        try:
            if always and any(self._needed_by(word)):
                raise Untold("a job that runs always and that others need")
            code = condition((always[2] or "true") if always else source, draft.axes)
        except Untold as untold:
            why = f"{untold.what} is not known here, so the job is skipped"
            self._carrying.lost(node, why, "write its `if`: docs/pipelines.md")
            draft.refuse(f"if: {' '.join(source.split())}")
            return
        self._carrying.take(node)
        if always:
            draft.head["always"] = True
        if code != "true":
            draft.head["if"] = code
        elif not always:
            self._carrying.meaningless(node, "always true here")

    def _needed_by(self, word: str) -> list[str]:
        """Return the jobs that need a job and are no clean-up themselves."""
        jobs = (self._root.get("jobs") or Node(0)).fields or {}
        return [
            other
            for other, job in jobs.items()
            if other not in self._always and word in [one.text for one in texts(job.get("needs"))]
        ]

    def _limits(self, draft: Draft, node: Node) -> None:
        draft.head["timeoutSeconds"] = _HOUR_SECONDS
        if found := node.get("timeout-minutes"):
            if isinstance(found.value, int | float) and not isinstance(found.value, bool):
                timeout(draft, found, found.value * 60)
            else:
                self._carrying.lost(found, "not decided by an expression", "timeoutSeconds: 600")
        if found := node.get("continue-on-error"):
            if found.value is True:
                why = "nothing waits for the job; when it fails it still pulls the cord"
                self._carrying.differs(found, why)
                draft.tail["blocking"] = False
            elif found.value is False:
                self._carrying.meaningless(found, "so it is")
            else:
                self._carrying.lost(found, "not decided by an expression", "blocking: false")
        if found := node.get("concurrency"):
            self._group(draft, found)

    def _group(self, draft: Draft, node: Node) -> None:
        group = node.get("group") or node
        if not group.text or "${{" in group.text:
            self._carrying.lost(group, "not decided by an expression", "concurrency: a-word")
        else:
            self._carrying.take(group)
            draft.tail["concurrency"] = as_name(group.text)
        if cancel := node.get("cancel-in-progress"):
            if cancel.value is False:
                self._carrying.meaningless(cancel, "so it is: jobs wait for their turn")
            else:
                self._carrying.lost(
                    cancel, "jobs wait for their turn", "`concurrency` of the Pipeline"
                )

    # --- what is around the steps -----------------------------------------------------------------

    def _beside(self, draft: Draft, node: Node) -> None:
        if container := node.get("container"):
            named = container.get("image") or container
            if named.text and "${{" not in named.text:
                image(draft, named, named.text)
            else:
                self._carrying.lost(named, "no image that is known before", "image: NAME@sha256:…")
                draft.refuse("its container is not known")
            draft.env |= variables(draft, container.get("env"), {})
        for name, node_ in ((node.get("services") or Node(0)).fields or {}).items():
            self._service(draft, name, node_)

    def _service(self, draft: Draft, name: str, node: Node) -> None:
        said, options = node.get("image"), node.get("options")
        if said is None or not said.text or "${{" in said.text:
            self._carrying.lost(node, "no image that is known before", "image: NAME@sha256:…")
            draft.refuse(f"the service {name} is not known")
            return
        ports = [
            (one, (one.text or "").partition("/")[0].split(":")[-1])
            for one in texts(node.get("ports"))
        ]
        port = next(
            (int(text) for _, text in ports if text.isdigit() and 0 < int(text) < 65536), None
        )
        own = Draft("", self._carrying)
        env = variables(own, node.get("env"), {})
        for variable, secret in own.secrets.items():
            draft.refuse(f"the service {name} would need the secret {secret} as {variable}")
        service(draft, said, name, said.text, port, env)
        for number, (one, text) in enumerate(ports):
            if number or not text.isdigit():
                self._carrying.lost(one, "a service has one port", "a second service")
            else:
                self._carrying.differs(one, "a free port of the machine leads there")
        if options and "--health" in (options.text or ""):
            why = "the service is ready when its port answers"
            self._carrying.differs(options, why, "or say `ready: {command: …}`")

    def _known(self, draft: Draft, node: Node, uploads: dict[str, str]) -> Known:
        env: dict[str, str] = {}
        for source in (self._root.get("env"), node.get("env")):
            env |= variables(draft, source, env)
        shell = folder = ""
        for source in (self._root.get("defaults"), node.get("defaults")):
            run = source.get("run") if source else None
            said_shell, said_folder = (
                run.get(n) if run else None for n in ("shell", "working-directory")
            )
            if said_shell and said_shell.text in _SHELLS:
                shell = self._carrying.take(said_shell).text or ""
            if said_folder and said_folder.text and "${{" not in said_folder.text:
                folder = self._carrying.take(said_folder).text or ""
        return Known(env, uploads, shell, folder)


def _is_always(job: Node) -> bool:
    condition_node = job.get("if")
    return bool(condition_node and _ALWAYS.match(condition_node.text or ""))
