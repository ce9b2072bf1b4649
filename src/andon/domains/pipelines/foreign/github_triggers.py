"""``on`` of GitHub's workflows."""

from __future__ import annotations

from andon.api.foreign import Node
from andon.domains.pipelines.foreign.carrying import Carrying, Document, texts, without_empty
from andon.domains.pipelines.foreign.drafts import of_pattern, refuses_path
from andon.kernel.cron import parse_cron, time_zone

_BUILT = ("push", "pull_request", "pull_request_target")
_ALL = "Andon builds every Change that is shipped or brought by a hook"
_ASK = "`if: change.event == …` in the jobs that should ask"


def of_workflow(node: Node | None, carrying: Carrying) -> Document:
    """Return the Pipeline's ``triggers`` and ``schedule``.

    Args:
        node: What stands at ``on``.
        carrying: The account.
    """
    if node is None:
        return {}
    if node.fields is None:
        for event in texts(node):
            _event(event, event.text or "", carrying)
        return {}
    spec: Document = {}
    built = [name for name in _BUILT if name in node.fields]
    for name, settings in node.fields.items():
        if name == "schedule":
            spec["schedule"] = _schedule(settings, carrying)
        elif name in _BUILT and settings.fields is not None:
            _filters(name, settings, len(built) == 1, carrying, spec)
        else:
            _event(settings, name, carrying)
    _paths(node, built, carrying, spec)
    return without_empty(spec)


def _event(node: Node, name: str, carrying: Carrying) -> None:
    if name in _BUILT:
        carrying.meaningless(node, f"{name}: {_ALL}")
    elif name == "workflow_dispatch" and not node.fields:
        carrying.meaningless(node, "anybody who may can ship, or run it here: andon run")
    elif name == "workflow_dispatch":
        carrying.lost(node, "nobody is asked for inputs", "a Template with parameters")
    elif name == "workflow_call":
        carrying.lost(node, "other Pipelines cannot call this one", "make it a Template")
    else:
        carrying.lost(
            node, f"no Change begins with the event {name[:40]}", "ship from a script: andon ship"
        )


def _schedule(node: Node, carrying: Carrying) -> list[Document]:
    found: list[Document] = []
    for entry in texts(node):
        cron, zone = entry.get("cron"), entry.get("timezone")
        try:
            parse_cron(cron.text or "" if cron else "")
            time_zone(zone.text or "" if zone else "UTC")
        except ValueError as error:
            carrying.lost(entry, str(error)[:120], "docs/schedules.md")
            continue
        for part in filter(None, (cron, zone)):
            carrying.take(part)
        found.append(without_empty({"cron": cron and cron.text, "timezone": zone and zone.text}))
    return found


def _filters(name: str, node: Node, alone: bool, carrying: Carrying, spec: Document) -> None:
    for field, value in (node.fields or {}).items():
        if field in ("paths", "paths-ignore"):
            continue
        if field == "branches" and name == "push" and alone:
            _branches(value, carrying, spec)
        elif field == "branches":
            carrying.lost(value, f"all events are built alike, for every branch; {_ALL}", _ASK)
        elif field in ("branches-ignore", "tags", "tags-ignore"):
            carrying.lost(
                value, "triggers name the branches that are built", "triggers: {branches: […]}"
            )
        else:
            carrying.lost(value, f"{name}: {_ALL}", _ASK)


def _branches(node: Node, carrying: Carrying, spec: Document) -> None:
    names = texts(node)
    if any(not name.text or refuses_path(name.text) for name in names):
        carrying.lost(node, "a pattern other than `*` and `**`", "triggers: {branches: […]}")
        return
    carrying.take(node)
    spec.setdefault("triggers", {})["branches"] = [name.text for name in names]


def _paths(node: Node, built: list[str], carrying: Carrying, spec: Document) -> None:
    """Carry path filters over where all events that are built have the same."""
    for field, ours in (("paths", "paths"), ("paths-ignore", "ignorePaths")):
        said = [(node.get(name) or node).get(field) for name in built]
        lists = [[one.text or "" for one in texts(found)] for found in said]
        usable = all(line and not refuses_path(line) for line in (lists[0] if lists else []))
        same = all(one == lists[0] for one in lists)
        for found in filter(None, said):
            if usable and same:
                carrying.take(found)
                spec.setdefault("triggers", {})[ours] = [of_pattern(line) for line in lists[0]]
            elif not same:
                carrying.lost(
                    found, "all events are built alike, and these differ", "triggers: {paths: […]}"
                )
            else:
                carrying.lost(found, "a pattern other than `*` and `**`", "triggers: {paths: […]}")
