"""Fields of GitLab's jobs that stand for themselves."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from andon.api.foreign import Node
from andon.domains.pipelines.foreign.carrying import Document, as_name, texts, without_empty
from andon.domains.pipelines.foreign.drafts import (
    VARIABLE,
    Draft,
    image,
    of_pattern,
    refuses_path,
    service,
    timeout,
)

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(w|d|h|m|s)\w*")
_REASONS: Mapping[str, tuple[str, ...]] = {
    "always": ("failure", "timeout", "out-of-memory", "machine"),
    "script_failure": ("failure",),
    "unknown_failure": ("failure",),
    "job_execution_timeout": ("timeout",),
    "stuck_or_timeout_failure": ("timeout",),
    "runner_system_failure": ("machine",),
    "api_failure": ("machine",),
    "scheduler_failure": ("machine",),
}
_ELSEWHERE = {
    "environment": (
        "Andon's Environments have gates of their own",
        "put what deploys into an Environment",
    ),
    "release": ("Andon releases by other means", "write it as shell, in `script`"),
    "coverage": ("coverage is read from a report", "reports: {coverage: [coverage.xml]}"),
    "secrets": (
        "secrets are named",
        "secrets: {VARIABLE: name}, and: andon secret set --pipelines",
    ),
    "id_tokens": ("jobs get no tokens", "keep one: andon secret set --pipelines"),
    "pages": ("nothing is published", "a Service that serves the folder"),
}
Expanded = Callable[[str | None, dict[str, str]], str | None]


def limits(draft: Draft, job: Node) -> None:
    """Carry over how long a job may take, how often it is tried, and what it waits for."""
    if found := job.get("timeout"):
        seconds = span_seconds(found.text or "")
        if seconds is None:
            draft.carrying.lost(found, "no span of time that is known", "timeoutSeconds: 600")
        else:
            timeout(draft, found, seconds)
    if found := job.get("retry"):
        _retry(draft, found)
    if found := job.get("resource_group"):
        if found.text and "$" not in found.text:
            draft.carrying.take(found)
            draft.tail["concurrency"] = as_name(found.text)
        else:
            draft.carrying.lost(found, "no word that is known before", "concurrency: a-word")
    for tag in texts(job.get("tags")):
        if tag.text and "$" not in tag.text:
            draft.carrying.take(tag)
            draft.head.setdefault("runsOn", []).append(as_name(tag.text))
        else:
            draft.carrying.lost(tag, "no label that is known before", "runsOn: [a-label]")
    for name, (why, instead) in _ELSEWHERE.items():
        if found := job.get(name):
            draft.carrying.lost(found, why, instead)
    for dependency in texts(job.get("dependencies")):
        draft.carrying.differs(dependency, "the files of all needed jobs are there")


def span_seconds(text: str) -> float | None:
    """Read a span of time.

    >>> span_seconds("1h 30m"), span_seconds("2 weeks"), span_seconds("soon")
    (5400.0, 1209600.0, None)
    """
    plain = text.lower().replace("months", "mo").replace("month", "mo").replace(" and ", " ")
    found = _SPAN.findall(plain)
    if "mo" in plain.replace("moment", "") or not found or _SPAN.sub("", plain).strip():
        return None
    return float(sum(float(number) * _UNITS[unit] for number, unit in found))


def _retry(draft: Draft, node: Node) -> None:
    most = node.get("max") or node
    if not isinstance(most.value, int) or isinstance(most.value, bool):
        draft.carrying.lost(node, "no number of times that is known", "retry: {times: 1}")
        return
    reasons: list[str | int] = []
    for word in texts(node.get("when")):
        if word.text and word.text in _REASONS:
            draft.carrying.take(word)
            reasons += _REASONS[word.text]
        else:
            draft.carrying.lost(
                word, "no reason that is known here", "`on`: docs/kinds/pipeline.md"
            )
    for code in texts(node.get("exit_codes")):
        if isinstance(code.value, int) and 0 < code.value < 256:
            draft.carrying.take(code)
            reasons.append(code.value)
        else:
            draft.carrying.lost(code, "no exit code")
    if most.value == 0:
        draft.carrying.meaningless(most, "so it is")
        return
    draft.carrying.take(most)
    unsaid = not node.get("when") and not node.get("exit_codes")
    reasons = list(_REASONS["always"]) if unsaid else list(dict.fromkeys(reasons))
    if reasons and 0 < most.value <= 10:
        draft.tail["retry"] = {"times": most.value, "on": reasons}
    else:
        draft.carrying.lost(most, "no reason, or more than ten times", "retry: {times: 2}")


def files(draft: Draft, job: Node) -> None:
    """Carry over what a job leaves."""
    node = job.get("artifacts")
    if node is None:
        return
    for path in texts(node.get("paths")):
        draft.artifact(path, of_pattern(path.text or ""))
    if (keep := node.get("expire_in")) is not None:
        seconds = span_seconds(keep.text or "")
        if seconds and seconds / 86_400 <= 400 and draft.paths:
            draft.carrying.take(keep)
            draft.keep_days = (
                round(seconds / 86_400, 6) if seconds % 86_400 else int(seconds / 86_400)
            )
        else:
            draft.carrying.lost(keep, "files are kept 400 days at most", "keepDays: 14")
    if (when := node.get("when")) is not None:
        if when.text == "on_success":
            draft.carrying.meaningless(when, "so it is")
        else:
            why = "files are kept where the job passes; reports are read in any case"
            draft.carrying.lost(when, why, "print what you need into the log")
    for name in ("name", "expose_as"):
        if found := node.get(name):
            draft.carrying.meaningless(found, "artifacts are found by their job")
    reports: Document = {}
    for name, entry in ((node.get("reports") or Node(0)).fields or {}).items():
        _report(draft, name, entry, reports)
    if reports:
        draft.tail["reports"] = reports


def _report(draft: Draft, name: str, node: Node, reports: Document) -> None:
    ours = {"junit": "junit", "coverage_report": "coverage"}.get(name)
    if ours is None:
        draft.carrying.lost(
            node, f"reports of the kind {name[:30]} are not read", "`reports` of the job"
        )
        return
    form = node.get("coverage_format")
    if form is not None and form.text == "cobertura":
        draft.carrying.meaningless(form, "told by the file")
    for path in texts(node.get("path") if ours == "coverage" else node):
        pattern = of_pattern(path.text or "")
        if wrong := refuses_path(pattern):
            draft.carrying.lost(path, f"the path {wrong}", "name paths below the work tree")
        else:
            draft.carrying.take(path)
            reports.setdefault(ours, []).append(pattern)


def caches(draft: Draft, node: Node | None) -> None:
    """Carry over caches whose key is the content of files."""
    entries = node.items if node is not None and node.items is not None else [node] if node else []
    for entry in entries:
        key, listed = entry.get("key"), texts(entry.get("paths"))
        named = texts(key.get("files") if key else None)
        patterns = [of_pattern(one.text or "") for one in named]
        paths = [of_pattern(one.text or "") for one in listed]
        if not patterns or not paths or any(map(refuses_path, (*patterns, *paths))):
            why = "a cache is kept by the content of files, and holds folders of the work tree"
            draft.carrying.lost(entry, why, "caches: [{name: …, paths: […], key: [a-lock-file]}]")
            continue
        for one in (*named, *listed):
            draft.carrying.take(one)
        prefix = key.get("prefix") if key else None
        also = [prefix.text] if prefix and prefix.text and "$" not in prefix.text else []
        if prefix and also:
            draft.carrying.take(prefix)
        name = paths[0].strip("./*").split("/")[-1]
        draft.cache(without_empty({"name": name, "paths": paths, "key": patterns, "also": also}))
        for field, value in (entry.fields or {}).items():
            if field in ("policy", "when", "untracked", "fallback_keys", "unprotect"):
                draft.carrying.lost(value, "caches are brought and kept where a job passes", "")


def around(draft: Draft, job: Node, expanded: Expanded, common: Mapping[str, str]) -> None:
    """Carry over the container and the services of a job."""
    if found := job.get("image"):
        name = found.get("name") or found
        text = expanded(name.text, draft.env)
        if text and "${{" not in text:
            image(draft, name, text)
        else:
            draft.carrying.lost(name, "no image that is known before", "image: NAME@sha256:…")
            draft.refuse("its image is not known")
        for field in ("entrypoint", "pull_policy", "docker", "kubernetes"):
            if rest := found.get(field):
                draft.carrying.lost(rest, "containers are begun with `sh`", "")
    for found in texts(job.get("services")):
        _service(draft, found, expanded, common)


def _service(draft: Draft, node: Node, expanded: Expanded, common: Mapping[str, str]) -> None:
    name, alias = node.get("name") or node, node.get("alias")
    text = expanded(name.text, draft.env)
    if not text or "${{" in text:
        draft.carrying.lost(node, "no image that is known before", "image: NAME@sha256:…")
        draft.refuse("a service is not known")
        return
    env: dict[str, str] = {}
    for variable, value in ((node.get("variables") or Node(0)).fields or {}).items():
        said = expanded(value.text, env)
        if said is None or "${{" in said or not VARIABLE.fullmatch(variable):
            draft.carrying.lost(value, "a value that is not known from the file", "set it in `env`")
        else:
            draft.carrying.take(value)
            env[variable] = said
    word = text.split("@")[0].rsplit("/", 1)[-1].split(":")[0]
    port: int | None = None
    if alias is not None and alias.text:
        draft.carrying.take(alias)
        word = alias.text.split(",")[0]
    shared = {**common, **draft.env, **env}
    own = {variable: value for variable, value in shared.items() if "${{" not in value}
    service(draft, name, word, text, port, own)


def needs(draft: Draft, node: Node, names: Mapping[str, str]) -> None:
    """Carry over which jobs come first."""
    found = draft.head.setdefault("needs", [])
    for need in texts(node):
        job = need.get("job") or need
        optional = need.get("optional")
        elsewhere = any(need.get(one) for one in ("project", "pipeline"))
        if job.text and job.text in names and not elsewhere:
            draft.carrying.take(job)
            if names[job.text] not in found:
                found.append(names[job.text])
            _extras(draft, need)
        elif optional is not None and optional.value is True and not elsewhere:
            draft.carrying.meaningless(need, "optional, and not there")
        else:
            draft.carrying.lost(
                need, "there is no such job in the file", "make it a job of this Pipeline"
            )
            draft.refuse("it needs a job that is not there")


def _extras(draft: Draft, need: Node) -> None:
    if optional := need.get("optional"):
        if optional.value is True:
            draft.carrying.differs(optional, "where it is skipped, this job is, too")
        else:
            draft.carrying.meaningless(optional, "so it is")
    if artifacts := need.get("artifacts"):
        if artifacts.value is False:
            draft.carrying.differs(artifacts, "the files of all needed jobs are there")
        else:
            draft.carrying.meaningless(artifacts, "so it is")
    if parallel := need.get("parallel"):
        draft.carrying.differs(parallel, "all jobs of the matrix are waited for")
