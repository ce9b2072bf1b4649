"""GitLab CI files as Pipelines.

Source: GitLab, "CI/CD YAML syntax reference".
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from andon.api.foreign import Node
from andon.api.matrix import MOST_COMBINATIONS
from andon.domains.pipelines.foreign import gitlab_fields as fields
from andon.domains.pipelines.foreign.carrying import (
    Carrying,
    Document,
    Imported,
    as_name,
    as_variable,
    texts,
)
from andon.domains.pipelines.foreign.drafts import VARIABLE, Draft
from andon.domains.pipelines.foreign.gitlab_expressions import DEFAULT_BRANCH
from andon.domains.pipelines.foreign.gitlab_jobs import GLOBAL, Sources
from andon.domains.pipelines.foreign.gitlab_rules import of_job
from andon.domains.pipelines.foreign.pipeline import finish
from andon.domains.pipelines.foreign.shell import MISSING, for_sh, refusing

_UNUSED = (
    "not known to this version of the import, or of a template that no job uses or all override"
)
_HEAD = (
    "GitLab gives a job an hour and a network: `network: true` may go where nothing is fetched.",
)
_STAGES = ("build", "test", "deploy")
_HOUR_SECONDS = 3600
_SET = {
    "CI_COMMIT_SHA": "ANDON_SHA",
    "CI_PROJECT_DIR": "PWD",
    "CI_JOB_NAME": "ANDON_JOB",
}
_BRANCH = ("CI_COMMIT_REF_NAME", "CI_COMMIT_BRANCH")


def import_gitlab(documents: Sequence[Node], file: str, default_branch: str = "main") -> Imported:
    """Turn a ``.gitlab-ci.yml`` into a Pipeline.

    Args:
        documents: The file, read.
        file: Its name, for comments.
        default_branch: What ``$CI_DEFAULT_BRANCH`` is.
    """
    root = documents[-1] if documents else Node(0)
    if len(documents) > 1:
        root = Node(1)
        root.fields = {"spec": documents[0], **(documents[-1].fields or {})}
    return _File(root, file, default_branch).whole()


class _File:
    def __init__(self, root: Node, file: str, default_branch: str) -> None:
        self._root = root
        self._file = file
        self._carrying = Carrying(root)
        self._sources = Sources(root, self._carrying)
        self._jobs = self._sources.jobs()
        self._drafts: dict[str, Draft] = {}
        self._asked: list[Draft] = []
        self._values = {DEFAULT_BRANCH: default_branch, "CI": "true", "GITLAB_CI": ""}
        self._spec: Document = {}
        self._acyclic = any(job.get("needs") for job in self._jobs.values())

    def whole(self) -> Imported:
        self._top()
        for word in self._jobs:
            taken = [draft.name for draft in self._drafts.values()]
            self._drafts[word] = Draft(as_name(word, taken), self._carrying)
        stages = self._stages()
        for word, job in self._jobs.items():
            self._job(word, job, stages)
        self._interruptible()
        name = as_name(
            self._file.rpartition("/")[2].strip(".").partition(".")[0], otherwise="pipeline"
        )
        drafts = [*self._asked, *self._drafts.values()]
        return finish(name, self._file, _HEAD, self._spec, drafts, self._carrying, _UNUSED)

    def _top(self) -> None:
        self._spec["env"] = self._variables(self._root.get("variables"))
        self._values |= self._spec["env"]
        for entry in texts(self._root.get("include")):
            why = "files of elsewhere are not read, and jobs of theirs are missing"
            self._carrying.lost(entry, why, "import them, too; shared jobs make a Template")
        if workflow := self._root.get("workflow"):
            if title := workflow.get("name"):
                self._carrying.meaningless(title, "Andon names its Runs by itself")
            if rules := workflow.get("rules"):
                why = "which commits are built is said by what brings them"
                self._carrying.lost(rules, why, "`triggers`, or `if` in the jobs")
        for name, node in (self._root.fields or {}).items():
            if name not in GLOBAL and node.fields is None:
                self._carrying.lost(node, "neither a job nor a word that is known", "")

    def _variables(self, node: Node | None) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, value in (node.fields or {}).items() if node else ():
            plain = value.get("value") or value
            if description := value.get("description"):
                self._carrying.meaningless(description, "nobody is asked for it")
            text = self._expanded(plain.text, found)
            if text is None or not VARIABLE.fullmatch(name) or "${{" in text:
                why = "a value that is not known from the file"
                self._carrying.lost(plain, why, "set it in `env` or in the shell text")
            else:
                self._carrying.take(plain)
                found[name] = text
        return found

    def _expanded(self, text: str | None, own: dict[str, str]) -> str | None:
        """Put in the variables that are known; None: one is not."""
        known = {**self._values, **own}
        names = re.findall(r"(?<!\$)\$\{?([A-Za-z_]\w*)", text or "")
        if text is None or any(name not in known for name in names):
            return None
        found = re.sub(
            r"(?<!\$)\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))", lambda m: known[m[1] or m[2]], text
        )
        return found.replace("$$", "$")

    def _stages(self) -> list[str]:
        node = self._root.get("stages")
        said = [one.text or "" for one in texts(node)] or list(_STAGES)
        words = [".pre", *said, ".post"]
        names: dict[str, str] = {}
        for word in words:
            names.setdefault(word, as_name(word, names.values(), "stage"))
        self._stage_names = names
        used = {self._stage_of(job) for job in self._jobs.values()}
        if not self._acyclic and (node is not None or len(used) > 1):
            kept = [one for one in names if one in used or (node is not None and one in said)]
            self._spec["stages"] = [names[one] for one in kept]
        if node is not None and not self._acyclic:
            self._carrying.take(node)
        elif node is not None:
            self._carrying.differs(node, "jobs say `needs` instead, as some of the file do")
        return list(names)

    def _stage_of(self, job: Node) -> str:
        stage = job.get("stage")
        return (stage.text if stage else None) or "test"

    # --- jobs -------------------------------------------------------------------------------------

    def _job(self, word: str, job: Node, stages: list[str]) -> None:
        draft = self._drafts[word]
        draft.comments.append(f"{self._file}:{job.line}: {word}")
        self._matrix(draft, job.get("parallel"))
        self._order(draft, job, stages)
        own = self._variables(job.get("variables"))
        draft.env |= own
        when = of_job(draft, job, {**self._values, **own})
        draft.head["timeoutSeconds"] = _HOUR_SECONDS
        fields.limits(draft, job)
        fields.files(draft, job)
        fields.caches(draft, self._sources.whole(job.get("cache")))
        fields.around(draft, job, self._expanded, self._spec["env"])
        self._script(draft, job)
        if when.always and not self._needed(draft):
            draft.head["always"] = True
        elif when.always:
            why = "a job that always runs is a clean-up: no other may need it"
            self._carrying.lost(job.get("when") or job.get("rules") or job, why, "`always: true`")
        may_fail = self._may_fail(job, when.may_fail, manual=when.manual is not None)
        if may_fail:
            draft.tail["blocking"] = False
        if when.manual is not None:
            self._ask(draft, when.manual)

    def _needed(self, draft: Draft) -> bool:
        own = [word for word, one in self._drafts.items() if one is draft]
        named = {
            (need.get("job") or need).text
            for job in self._jobs.values()
            for need in texts(job.get("needs"))
        }
        return any(word in named for word in own)

    def _may_fail(self, job: Node, by_rule: bool, *, manual: bool) -> bool:
        node = job.get("allow_failure")
        if node is None:
            return by_rule or (manual and job.get("rules") is None)
        if node.value is True:
            why = "nothing waits for the job; when it fails it still pulls the cord"
            self._carrying.differs(node, why)
        elif node.value is False:
            self._carrying.take(node)
        else:
            self._carrying.lost(node, "a failure is one, whatever its exit code", "blocking: false")
        return by_rule or node.value is True

    def _ask(self, draft: Draft, node: Node) -> None:
        """Put a person before a job that is begun by hand."""
        taken = [one.name for one in (*self._drafts.values(), *self._asked)]
        asked = Draft(as_name(f"{draft.name}-consent", taken), self._carrying)
        asked.comments.append(f"{draft.name} begins when somebody consents: andon approve")
        for field in ("needs", "stage", "if", "paths"):
            if field in draft.head:
                asked.head[field] = draft.head[field]
        asked.tail = {"approval": {"count": 1}}
        if "blocking" in draft.tail:
            asked.tail["blocking"] = False
        asked.refused = draft.refused
        asked.runs = False
        draft.head["needs"] = [*draft.head.get("needs", ()), asked.name]
        self._carrying.differs(node, f"the job `{asked.name}` waits for a person")
        self._asked.append(asked)

    def _order(self, draft: Draft, job: Node, stages: list[str]) -> None:
        stage, needs = job.get("stage"), job.get("needs")
        word = self._stage_of(job)
        if word not in stages:
            at = stage or job.get("script")
            if at is not None:
                self._carrying.lost(at, "there is no such stage in the file", "add it to `stages`")
            draft.refuse(f"its stage {word[:40]} is not known")
            return
        if not self._acyclic:
            if "stages" in self._spec:
                draft.head["stage"] = self._stage_names[word]
            if stage is not None:
                self._carrying.take(stage)
            return
        if needs is not None:
            fields.needs(draft, needs, {name: one.name for name, one in self._drafts.items()})
            if stage is not None:
                self._carrying.meaningless(stage, "`needs` say when it begins")
            return
        earlier = stages[: stages.index(word)]
        before = [
            self._drafts[n].name for n, one in self._jobs.items() if self._stage_of(one) in earlier
        ]
        if before:
            draft.head["needs"] = before
        if stage is not None:
            self._carrying.differs(stage, "as `needs` of all jobs of earlier stages")

    def _matrix(self, draft: Draft, node: Node | None) -> None:
        if node is None:
            return
        entries = texts(node.get("matrix")) if node.fields is not None else []
        if isinstance(node.value, int) and 1 <= node.value <= 64:
            draft.head["shards"] = node.value
            why = "each runs its share: `andon tests split` names it; $CI_NODE_INDEX is not set"
            self._carrying.differs(node, why)
            return
        combinations = [one for entry in entries for one in _combinations(entry)]
        if not combinations or len(combinations) > MOST_COMBINATIONS:
            self._carrying.lost(node, "combinations that are none, or too many", "write `matrix`")
            draft.refuse("its matrix is not known")
            return
        self._carrying.take(node)
        if len(entries) == 1:
            axes = {
                as_variable(n): [v.text for v in texts(one)]
                for n, one in (entries[0].fields or {}).items()
            }
            draft.head["matrix"] = {"axes": {n: list(dict.fromkeys(v)) for n, v in axes.items()}}
        else:
            draft.head["matrix"] = {
                "include": [dict(c) for c in dict.fromkeys(map(_frozen, combinations))]
            }
        draft.head["matrix"]["failFast"] = False
        everywhere = set.intersection(*(set(one) for one in combinations))
        draft.env |= {name: f"${{{{ matrix.{name} }}}}" for name in sorted(everywhere)}

    def _script(self, draft: Draft, job: Node) -> None:
        for name in ("trigger", "run"):
            if found := job.get(name):
                self._carrying.lost(
                    found, "no job of Andon's does this", "write it as shell, in `run`"
                )
                draft.steps.append({"run": refusing(f"line {found.line}: {name}")})
        parts = {
            name: list(self._sources.lines(job.get(name)))
            for name in ("before_script", "script", "after_script")
        }
        lines = [*parts["before_script"], *parts["script"]]
        if not any((line.text or "").strip() for line in parts["script"]):
            for line in itertools.chain(*parts.values()):
                self._carrying.lost(line, "a job without a script runs nothing", "write its `run`")
            return
        text = "\n".join(self._line(draft, line) for line in lines)
        after = "\n".join(self._line(draft, line) for line in parts["after_script"])
        if after:
            text = (
                f"after_script() (\nset +eu\n{after}\n)\ntrap 'after_script || true' EXIT\n{text}"
            )
        draft.steps.append({"run": for_sh(text)})

    def _line(self, draft: Draft, node: Node) -> str:
        text = node.text or ""
        if "${{" in text or "\0" in text:
            self._carrying.lost(
                node, "`${{` stands for expressions here", "write it in another way"
            )
            return refusing(f"line {node.line}")
        self._carrying.take(node)
        for name in dict.fromkeys(MISSING.findall(text)):
            if name in _SET:
                text = re.sub(rf"\$({name}\b|\{{{name}\}})", f"${_SET[name]}", text)
            elif name in _BRANCH:
                draft.env.setdefault(name, "${{ change.branch }}")
            elif name not in {**self._values, **draft.env} or name == "GITLAB_CI":
                instead = "$ANDON_SHA is the commit; other values go into `env`"
                self._carrying.lost(node, f"${name} is not set here, and the line uses it", instead)
            elif name == DEFAULT_BRANCH:
                draft.env.setdefault(name, self._values[name])
        return text.rstrip("\n")

    def _interruptible(self) -> None:
        said = [job.get("interruptible") for job in self._jobs.values()]
        every = bool(said) and all(node is not None and node.value is True for node in said)
        if every:
            group = {"name": "gitlab-${{ change.branch }}", "whenBusy": "cancel-older"}
            self._spec["concurrency"] = group
        for node in filter(None, said):
            if every:
                self._carrying.take(node)
            elif node.value is False:
                self._carrying.meaningless(node, "so it is: nothing newer ends it")
            else:
                why = "all jobs of a Run are ended by a newer one, or none"
                self._carrying.lost(node, why, "concurrency: {name: …, whenBusy: cancel-older}")


def _combinations(entry: Node) -> list[dict[str, str]]:
    names = list(entry.fields or {})
    values = [[one.text for one in texts(node)] for node in (entry.fields or {}).values()]
    count = 1
    for one in values:
        count *= len(one)
    if (
        not names
        or not 0 < count <= MOST_COMBINATIONS
        or any(v is None for one in values for v in one)
    ):
        return []
    chosen = itertools.product(*values)
    return [
        {as_variable(n): v for n, v in zip(names, one, strict=True) if v is not None}
        for one in chosen
    ]


def _frozen(combination: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(combination.items())
