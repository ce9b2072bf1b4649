"""Documents that others refer to by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from andon.api.openslo.documents import Document
from andon.api.problems import Path, did_you_mean


class Trouble(Exception):
    """Something that cannot be understood."""

    def __init__(self, path: Path, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.path, self.message, self.hint = path, message, hint


class Names:
    """Documents by kind and name."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._known = {(one.kind, one.metadata.name): one for one in documents}

    def find(self, kind: str, name: str) -> Any:
        """Return what a document says; None: there is none."""
        found = self._known.get((kind, name))
        return found.spec if found is not None else None

    def require(self, kind: str, name: str, path: Path) -> Any:
        """Return what a document says."""
        found = self.find(kind, name)
        if found is None:
            known = [one for of, one in self._known if of == kind]
            hint = did_you_mean(name, known, f"known {kind} names")
            raise Trouble(path, f"no {kind} is called `{name}`", hint)
        return found

    def dangling(self, document: Document) -> Iterator[tuple[Path, str]]:
        """Yield references to what is not there, and not needed to understand the document."""
        here: Path = ("spec",)
        policies: list[tuple[Path, Any]] = []
        if document.kind == "AlertPolicy":
            policies = [(here, document.spec)]
        if document.kind == "SLO":
            for number, policy in enumerate(document.spec.alert_policies):
                path: Path = (*here, "alertPolicies", number)
                yield from self._missing("AlertPolicy", policy.alert_policy_ref, path)
                if policy.spec is not None:
                    policies.append(((*path, "spec"), policy.spec))
        for path, spec in policies:
            for number, one in enumerate(spec.conditions):
                where: Path = (*path, "conditions", number)
                yield from self._missing("AlertCondition", one.condition_ref, where)
            for number, one in enumerate(spec.notification_targets):
                where = (*path, "notificationTargets", number)
                yield from self._missing("AlertNotificationTarget", one.target_ref, where)

    def _missing(self, kind: str, name: str | None, path: Path) -> Iterator[tuple[Path, str]]:
        if name is not None and (kind, name) not in self._known:
            yield path, f"no {kind} is called `{name}`"
