"""Relabelling rules, as Prometheus knows them.

Source: Prometheus documentation, ``relabel_config``; what it leaves open, as its 2.42 does it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from andon.api.v1.telemetry import Relabel
from andon.calc.patterns import whole
from andon.kernel.errors import InvalidDocument

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_REFERENCE = re.compile(r"\$(?:(\w+)|\{(\w+)\}|(\$))")


class Rule:
    """A rule, with its expression compiled.

    Args:
        told: The rule.

    Raises:
        InvalidDocument: It cannot be carried out.
    """

    def __init__(self, told: Relabel) -> None:
        self.told = told
        try:
            self._regex = whole(told.regex)
        except ValueError as error:
            raise InvalidDocument(
                f"relabel: {error}",
                hint="telemetry.metrics.targets[].relabel[].regex",
            ) from None
        if told.action == "hashmod" and not told.modulus:
            raise InvalidDocument("relabel: hashmod needs a modulus above zero", hint="modulus: 4")
        needs = ("hashmod", "lowercase", "uppercase", "keepequal", "dropequal")
        if told.action in (*needs, "replace") and not told.target_label:
            raise InvalidDocument(
                f"relabel: {told.action} needs a target label", hint="targetLabel: instance"
            )

    def apply(self, labels: dict[str, str]) -> dict[str, str] | None:
        """Return the labels as the rule wants them; None: the sample is dropped."""
        told = self.told
        joined = told.separator.join(labels.get(name, "") for name in told.source_labels)
        match told.action:
            case "keep" | "drop":
                fits = self._regex.fullmatch(joined) is not None
                return labels if fits == (told.action == "keep") else None
            case "keepequal" | "dropequal":
                equal = labels.get(told.target_label, "") == joined
                return labels if equal == (told.action == "keepequal") else None
            case "labeldrop" | "labelkeep":
                keep = told.action == "labelkeep"
                return {
                    name: value
                    for name, value in labels.items()
                    if (self._regex.fullmatch(name) is not None) == keep
                }
            case "labelmap":
                return self._mapped(labels)
            case "hashmod":
                digest = hashlib.md5(joined.encode(), usedforsecurity=False).digest()
                number = int.from_bytes(digest[8:], "big") % told.modulus
                return {**labels, told.target_label: str(number)}
            case "lowercase":
                return {**labels, told.target_label: joined.lower()}
            case "uppercase":
                return {**labels, told.target_label: joined.upper()}
        return self._replaced(labels, joined)

    def _mapped(self, labels: dict[str, str]) -> dict[str, str]:
        found = dict(labels)
        for name, value in labels.items():
            match = self._regex.fullmatch(name)
            if match is not None:
                found[_expanded(self.told.replacement, match)] = value
        return found

    def _replaced(self, labels: dict[str, str], joined: str) -> dict[str, str]:
        match = self._regex.fullmatch(joined)
        if match is None:
            return labels
        target = _expanded(self.told.target_label, match)
        if _NAME.fullmatch(target) is None:
            return labels
        value = _expanded(self.told.replacement, match)
        found = {**labels, target: value}
        if not value:
            del found[target]
        return found


def rules_of(told: Sequence[Relabel]) -> tuple[Rule, ...]:
    """Compile rules.

    Raises:
        InvalidDocument: One cannot be carried out.
    """
    return tuple(Rule(one) for one in told)


def relabelled(rules: Sequence[Rule], labels: dict[str, str]) -> dict[str, str] | None:
    """Apply rules one after another; None: the sample is dropped.

    >>> rename = Relabel(source_labels=("path",), regex="/(api|web)/.*", target_label="part")
    >>> relabelled(rules_of([rename]), {"path": "/api/users"})
    {'path': '/api/users', 'part': 'api'}
    """
    found: dict[str, str] | None = labels
    for rule in rules:
        if found is None:
            return None
        found = rule.apply(found)
    return found


def _expanded(template: str, match: Any) -> str:
    """Put groups into a template: ``$1``, ``${1}``, ``${name}``; one that is not there is empty."""

    def group(reference: re.Match[str]) -> str:
        name = reference[1] or reference[2]
        if name is None:
            return "$"
        try:
            found: str | None = match[int(name) if name.isdigit() else name]
            return found or ""
        except (IndexError, KeyError):
            return ""

    return _REFERENCE.sub(group, template)
