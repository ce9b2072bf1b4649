"""When GitLab's jobs run: ``rules``, ``only``/``except`` and ``when``.

Source: GitLab, "CI/CD YAML syntax reference".
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from andon.api.foreign import Node
from andon.domains.pipelines.foreign.carrying import texts
from andon.domains.pipelines.foreign.cel import (
    FALSE,
    TRUE,
    Said,
    Untold,
    both,
    either,
    literal,
    negated,
    of_branch,
)
from andon.domains.pipelines.foreign.drafts import Draft, of_pattern, refuses_path
from andon.domains.pipelines.foreign.gitlab_expressions import condition

_WHENS = ("on_success", "always", "never", "manual")
_EVENTS = {
    "branches": negated(Said('change.event == "pull-request"', 2)),
    "pushes": Said('change.event == "push"', 2),
    "merge_requests": Said('change.event == "pull-request"', 2),
    "schedules": Said('change.event == "schedule"', 2),
    "web": Said('change.event == "manual"', 2),
}
_WRITE = "write its `if`: docs/pipelines.md"
_SKIPPED = "is not known here, so the job is skipped"


class When(Struct, frozen=True, kw_only=True):
    """How a job begins."""

    always: bool = False
    manual: Node | None = None
    """Where it says so."""
    may_fail: bool = False


def of_job(draft: Draft, job: Node, values: Mapping[str, str]) -> When:
    """Give a job its condition and return how it begins.

    Args:
        draft: The job.
        job: As GitLab has it, with all it extends.
        values: Variables whose values are in the file.
    """
    rules, when = job.get("rules"), job.get("when")
    if delay := job.get("start_in"):
        draft.carrying.lost(delay, "no job waits for a time", "`schedule`, or a person: `approval`")
    if rules is not None:
        if when is not None:
            draft.carrying.meaningless(when, "`rules` decide")
        return _rules(draft, rules, values)
    said = _only(draft, job.get("only"), TRUE, values)
    unless = _only(draft, job.get("except"), FALSE, values)
    _say(draft, both(said, negated(unless)))
    return _when(draft, when)


def _say(draft: Draft, found: Said) -> None:
    if found != TRUE:
        draft.head["if"] = found.code


def _when(draft: Draft, node: Node | None) -> When:
    match node.text if node else None:
        case None:
            return When()
        case "manual":
            return When(manual=node)
        case "always" if node:
            draft.carrying.take(node)
            return When(always=True)
        case "on_success" if node:
            draft.carrying.meaningless(node, "so it is")
        case "never" if node:
            draft.carrying.take(node)
            draft.head["if"] = "false"
        case said if node:
            draft.carrying.lost(
                node, f"`when: {str(said)[:30]}` {_SKIPPED}", "`always: true`, or `approval`"
            )
            draft.refuse(f"when: {str(said)[:30]}")
    return When()


# --- rules ----------------------------------------------------------------------------------------


def _rules(draft: Draft, rules: Node, values: Mapping[str, str]) -> When:
    """Read rules from the last to the first: each decides where none before it does."""
    found, kinds, manual, may_fail = FALSE, set(), None, False
    entries = rules.items or []
    for rule in reversed(entries):
        try:
            test, when = _rule(draft, rule, values, alone=len(entries) == 1)
        except Untold as untold:
            draft.carrying.lost(rule, f"{untold.what} {_SKIPPED}", untold.instead or _WRITE)
            draft.refuse(f"rules: {untold.what}")
            continue
        runs = when != "never"
        found = either(test, found) if runs else both(negated(test), found)
        if runs:
            kinds.add(when)
        manual = rule.get("when") if when == "manual" else manual
        if fails := rule.get("allow_failure"):
            may_fail = may_fail or fails.value is True
            if fails.value is True:
                draft.carrying.differs(fails, "nothing waits for the job, whichever rule holds")
            else:
                draft.carrying.meaningless(fails, "so it is, unless another rule says otherwise")
    _say(draft, found)
    if len(kinds) > 1:
        why = "rules differ in `when`: one for all, `manual` if any says so, else `on_success`"
        draft.carrying.differs(rules, why, "two jobs, each with its `if`")
    return When(always=kinds == {"always"}, manual=manual, may_fail=may_fail)


def _rule(draft: Draft, rule: Node, values: Mapping[str, str], *, alone: bool) -> tuple[Said, str]:
    if rule.fields is None:
        raise Untold("a rule that is no mapping")
    test, when = TRUE, rule.get("when")
    word = (when.text if when else None) or "on_success"
    if word not in _WHENS:
        raise Untold(f"`when: {word[:30]}`")
    asked, changes = rule.get("if"), rule.get("changes")
    if asked is not None:
        test = condition(asked.text or "", values)
    if changes is not None:
        paths = [one.text or "" for one in texts(changes.get("paths") or changes)]
        if not alone or any(refuses_path(one) for one in paths):
            raise Untold("`changes` beside other rules, or with variables")
        draft.head["paths"] = [of_pattern(one) for one in paths]
        draft.carrying.take(changes.get("paths") or changes)
    for name in rule.fields:
        if name not in ("if", "changes", "when", "allow_failure"):
            raise Untold(f"`{name[:30]}` of a rule")
    for node in filter(None, (asked, when if word != "manual" else None)):
        draft.carrying.take(node)
    if asked is not None and test in (TRUE, FALSE):
        draft.carrying.differs(asked, f"always {test.code}, by what is known from the file")
    if word == "on_success" and when is not None:
        draft.carrying.meaningless(when, "so it is")
    return test, word


# --- only and except ------------------------------------------------------------------------------


def _only(draft: Draft, node: Node | None, none: Said, values: Mapping[str, str]) -> Said:
    if node is None:
        return none
    said = none
    for field, below in (node.fields or {"refs": node}).items():
        try:
            said = (
                both(said, _field(draft, field, below, values))
                if none == TRUE
                else either(said, _field(draft, field, below, values))
            )
            draft.carrying.take(below)
        except Untold as untold:
            draft.carrying.lost(below, f"{untold.what} {_SKIPPED}", _WRITE)
            draft.refuse(f"only/except: {untold.what}")
    return said


def _field(draft: Draft, field: str, node: Node, values: Mapping[str, str]) -> Said:
    found = FALSE
    if field == "refs":
        for one in texts(node):
            found = either(found, _ref(one.text or ""))
    elif field == "variables":
        for one in texts(node):
            found = either(found, condition(one.text or "", values))
    else:
        raise Untold(f"`{field[:30]}` in only/except")
    return found


def _ref(text: str) -> Said:
    if text in _EVENTS:
        return _EVENTS[text]
    if (
        text in ("tags", "api", "triggers", "pipelines", "external", "chat", "kubernetes")
        or "@" in text
    ):
        raise Untold(f"`{text[:30]}`")
    if text.startswith("/"):
        return condition(f"$CI_COMMIT_REF_NAME =~ {text}", {})
    return of_branch(Said(f"change.branch == {literal(text)}", 2))
