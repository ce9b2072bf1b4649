"""``strategy`` of GitHub's jobs."""

from __future__ import annotations

from andon.api.foreign import Node
from andon.api.matrix import MOST_COMBINATIONS, combinations, same, size
from andon.api.v1.pipelines import Matrix, Scalar
from andon.domains.pipelines.foreign.carrying import as_variable
from andon.domains.pipelines.foreign.drafts import Draft

_WRITE = "write the combinations out"


def matrix(draft: Draft, strategy: Node | None) -> None:
    """Give a job its matrix.

    Args:
        draft: The job.
        strategy: What GitHub's job says.
    """
    node = strategy.get("matrix") if strategy else None
    if strategy is None or node is None:
        return
    if node.fields is None:
        draft.carrying.lost(node, "combinations that only a Run knows", _WRITE)
        draft.refuse("its matrix is not known")
        return
    axes = _axes(draft, node)
    include = _entries(draft, node.get("include"))
    exclude = [one for one in _entries(draft, node.get("exclude"), axes) if one]
    made = {"axes": axes, "exclude": exclude, "include": include}
    document: dict[str, object] = {name: value for name, value in made.items() if value}
    if not axes and not include:
        return
    _remember(draft, axes, include)
    whole = Matrix(
        axes={name: tuple(values) for name, values in axes.items()},
        exclude=tuple(exclude),
        include=tuple(include),
    )
    if size(whole) > MOST_COMBINATIONS or not combinations(whole):
        why = f"none, or more than {MOST_COMBINATIONS} combinations"
        draft.carrying.lost(node, why, "split the job")
        draft.refuse(why)
        return
    _limits(draft, strategy, document)
    draft.head["matrix"] = document


def _axes(draft: Draft, node: Node) -> dict[str, list[Scalar]]:
    found: dict[str, list[Scalar]] = {}
    for name, values in (node.fields or {}).items():
        if name in ("include", "exclude"):
            continue
        variable = as_variable(name)
        items = values.items or []
        taken = variable.upper() in (one.upper() for one in found)
        if taken or not items or any(item.text is None for item in items):
            draft.carrying.lost(values, "values that are no texts, numbers or booleans", _WRITE)
            draft.refuse(f"the values of matrix.{name} are not known")
            continue
        found[variable] = []
        for item in items:
            _add(draft, item, found[variable])
    return found


def _add(draft: Draft, item: Node, values: list[Scalar]) -> None:
    value = item.value
    if value is None or "${{" in str(value):
        draft.carrying.lost(item, "a value that only a Run knows", _WRITE)
        draft.refuse("a value of its matrix is not known")
    elif any(same(value, one) for one in values):
        draft.carrying.meaningless(item, "written twice")
    else:
        draft.carrying.take(item)
        values.append(value)


def _entries(
    draft: Draft, node: Node | None, axes: dict[str, list[Scalar]] | None = None
) -> list[dict[str, Scalar]]:
    """Return the entries of ``include``; with axes, those of ``exclude``, which must have the values."""
    if node is not None and node.items is None:
        draft.carrying.lost(node, "entries that only a Run knows", _WRITE)
        draft.refuse("its matrix is not known")
        return []
    found: list[dict[str, Scalar]] = []
    for entry in (node.items if node else None) or []:
        values = {as_variable(name): one for name, one in (entry.fields or {}).items()}
        usable = bool(values) and all(
            one.value is not None and "${{" not in one.typed for one in values.values()
        )
        if not usable:
            draft.carrying.lost(entry, "values that are no texts, numbers or booleans", _WRITE)
            draft.refuse("an entry of its matrix is not known")
        elif axes is not None and not all(
            _known(one, axes.get(name)) for name, one in values.items()
        ):
            draft.carrying.lost(
                entry, "no axis has these values, of this kind", "quote it as the axis does"
            )
        else:
            draft.carrying.take(entry)
            found.append({name: one.value for name, one in values.items() if one.value is not None})
    return found


def _known(node: Node, values: list[Scalar] | None) -> bool:
    value = node.value
    return value is not None and any(same(value, one) for one in values or ())


def _remember(
    draft: Draft, axes: dict[str, list[Scalar]], include: list[dict[str, Scalar]]
) -> None:
    """Note for expressions which values there may be."""
    known: dict[str, list[Scalar] | None] = {name: list(values) for name, values in axes.items()}
    for entry in include:
        for name, value in entry.items():
            values = known.setdefault(name, None)
            if values is not None and value not in values:
                values.append(value)
    for name, values in known.items():
        kinds = {isinstance(one, str) for one in values or ()} | {
            isinstance(one, bool) for one in values or ()
        }
        known[name] = values if len({type(one) for one in values or ()}) <= 1 or not kinds else None
    everywhere = include and not axes and all(set(include[0]) == set(one) for one in include)
    if everywhere:
        known = {name: [one[name] for one in include] for name in include[0]}
    draft.axes = known
    draft.axes |= {name.replace("_", "-"): values for name, values in known.items() if "_" in name}


def _limits(draft: Draft, strategy: Node, document: dict[str, object]) -> None:
    fail_fast, at_once = strategy.get("fail-fast"), strategy.get("max-parallel")
    if fail_fast and isinstance(fail_fast.value, bool):
        draft.carrying.take(fail_fast)
        document["failFast"] = fail_fast.value
    elif fail_fast:
        draft.carrying.lost(fail_fast, "not decided by an expression", "failFast: false")
    if at_once and isinstance(at_once.value, int) and 0 <= at_once.value <= 256:
        draft.carrying.take(at_once)
        document["atOnce"] = at_once.value
    elif at_once:
        draft.carrying.lost(at_once, "not decided by an expression", "atOnce: 2")
