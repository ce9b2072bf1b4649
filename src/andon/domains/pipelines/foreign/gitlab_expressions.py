"""GitLab's ``rules:if`` as far as CEL over a change can say it.

Source: GitLab, "CI/CD variable expressions" and "Predefined variables".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

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

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*"|'[^']*')|(?P<regex>/(?:\\.|[^/\\\n])+/[a-z]*)|(?P<sign>&&|\|\||==|!=|=~|!~|[!()])
    |(?P<variable>\$\w+|\$\{\w+\})|(?P<null>null\b))""",
    re.VERBOSE,
)
_EVENTS = {
    "push": "push",
    "merge_request_event": "pull-request",
    "schedule": "schedule",
    "web": "manual",
    "api": "manual",
    "trigger": "manual",
}
_PLAIN = {
    "CI_COMMIT_REF_NAME": "change.branch",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "change.branch",
    "CI_COMMIT_MESSAGE": "change.message",
    "CI_COMMIT_TITLE": "change.message",
}
_OF_MERGE_REQUESTS = ("CI_MERGE_REQUEST_ID", "CI_MERGE_REQUEST_IID", "CI_OPEN_MERGE_REQUESTS")
_PULL = Said('change.event == "pull-request"', 2)
_MOST_TOKENS = 200
DEFAULT_BRANCH = "CI_DEFAULT_BRANCH"


class _Parser:
    def __init__(self, source: str, values: Mapping[str, str]) -> None:
        self._values = values
        self._tokens = _tokens(source)
        self._at = 0

    def whole(self) -> Said:
        found = self._or()
        if self._at < len(self._tokens):
            raise Untold(f"`{self._peek()[:40]}`")
        return found

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        word = self._peek()
        self._at += 1
        return word

    def _or(self) -> Said:
        found = self._and()
        while self._peek() == "||":
            self._next()
            found = either(found, self._and())
        return found

    def _and(self) -> Said:
        found = self._single()
        while self._peek() == "&&":
            self._next()
            found = both(found, self._single())
        return found

    def _single(self) -> Said:
        word = self._next()
        if word == "!":
            return negated(self._single())
        if word == "(":
            found = self._or()
            if self._next() != ")":
                raise Untold("an expression without its `)`")
            return found
        sign = self._peek()
        if sign in ("==", "!=", "=~", "!~"):
            self._next()
            found = self._compared(word, sign, self._next())
            return negated(found) if sign.startswith("!") else found
        return self._present(word)

    def _compared(self, one: str, sign: str, other: str) -> Said:
        if one[:1] in "\"'" and other[:1] == "$":
            one, other = other, one
        if sign in ("=~", "!~"):
            return self._matched(one, other)
        if other == "null":
            return negated(self._present(one))
        value = self._known(other)
        if one[:1] != "$" or self._static(one) is not None:
            return TRUE if self._known(one) == value else FALSE
        name = _name(one)
        if name == "CI_PIPELINE_SOURCE":
            event = _EVENTS.get(value)
            return Said(f'change.event == "{event}"', 2) if event else FALSE
        if name == "CI_COMMIT_BRANCH":
            return of_branch(Said(f"change.branch == {literal(value)}", 2))
        if name == "CI_COMMIT_REF_NAME":
            return of_branch(Said(f"change.branch == {literal(value)}", 2))
        if name in _PLAIN:
            return self._of_merge_request(name, Said(f"{_PLAIN[name]} == {literal(value)}", 2))
        raise Untold(f"`{one}`")

    def _matched(self, one: str, pattern: str) -> Said:
        found = re.fullmatch(r"/(.+)/([im]*)", pattern, re.DOTALL)
        if found is None or re.search(r"\(\?[=!<]|\\[1-9ZGzhR]", found[1]):
            raise Untold(f"the pattern {pattern[:40]}")
        flags = f"(?{found[2]})" if found[2] else ""
        text = literal(flags + found[1].replace("\\/", "/"))
        name = _name(one)
        if name == "CI_COMMIT_BRANCH" or name == "CI_COMMIT_REF_NAME":
            return of_branch(Said(f"change.branch.matches({text})"))
        if name in _PLAIN:
            return self._of_merge_request(name, Said(f"{_PLAIN[name]}.matches({text})"))
        raise Untold(f"`{one[:40]}`")

    def _of_merge_request(self, name: str, test: Said) -> Said:
        return both(_PULL, test) if name.startswith("CI_MERGE") else test

    def _present(self, word: str) -> Said:
        if word[:1] in ("'", '"'):
            return TRUE if word[1:-1] else FALSE
        name = _name(word)
        if name in _OF_MERGE_REQUESTS:
            return _PULL
        if name == "CI_COMMIT_BRANCH":
            return negated(_PULL)
        if (value := self._static(word)) is not None:
            return TRUE if value else FALSE
        raise Untold(f"`{word[:40]}`" if word else "an expression that ends too soon")

    def _known(self, word: str) -> str:
        if word[:1] in ("'", '"') and len(word) > 1:
            return word[1:-1]
        value = self._static(word)
        if value is None:
            raise Untold(f"`{word[:40]}`")
        return value

    def _static(self, word: str) -> str | None:
        return self._values.get(_name(word)) if word[:1] == "$" else None


def _name(word: str) -> str:
    return word.strip("${}")


def _tokens(source: str) -> list[str]:
    found: list[str] = []
    at = 0
    while source[at:].strip():
        match = _TOKEN.match(source, at)
        if match is None or len(found) > _MOST_TOKENS:
            raise Untold(f"`{source[at:].strip()[:30]}`")
        found.append(match[0].strip())
        at = match.end()
    if found.count("(") + found.count("!") > 30:
        raise Untold("an expression that nests so deeply")
    return found


def condition(source: str, values: Mapping[str, str]) -> Said:
    """Return a condition as CEL.

    Args:
        source: GitLab's expression.
        values: Variables whose values are in the file.

    Raises:
        Untold: It says more than CEL can; what.

    >>> condition('$CI_PIPELINE_SOURCE == "merge_request_event"', {}).code
    'change.event == "pull-request"'
    >>> condition('$CI_COMMIT_BRANCH == $X && $X', {"X": "main"}).code
    'change.event != "pull-request" && change.branch == "main"'
    """
    return _Parser(source, values).whole()
