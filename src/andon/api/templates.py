"""Templates: how a use finds one, and whether what it gives fits what the Template takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from andon.api.matrix import same, written
from andon.api.problems import Path, did_you_mean, shorten
from andon.api.shape import found
from andon.api.v1.pipelines import Parameter, Scalar, TemplateSpec, TemplateUse

DEFAULT_FILE = "andon.yaml"
_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "`true` or `false`",
}
_EMPTY: Mapping[str, Scalar] = {"string": "", "boolean": False}
"""What a parameter is that nobody sets, where that means something."""


class Finding(NamedTuple):
    """Something wrong below a document's root."""

    path: Path
    message: str
    hint: str = ""


def template_key(use: TemplateUse) -> str:
    """Name the Template that is meant: ``source@revision/file#name``; ``#name`` in the same file.

    >>> template_key(TemplateUse(template="python"))
    '#python'
    >>> template_key(TemplateUse(template="go", source="https://h/ci", revision="0" * 40))[-20:]
    '000000/andon.yaml#go'
    """
    if use.source is None and use.revision is None and use.file == DEFAULT_FILE:
        return f"#{use.template}"
    return f"{use.source or ''}@{use.revision or ''}/{use.file}#{use.template}"


def is_own(use: TemplateUse) -> bool:
    """Say whether the Template is of the same commit."""
    return use.source is None and use.revision is None


def version_fits(wanted: str | None, version: str) -> bool:
    """Say whether a version is the one wanted, or of the line wanted.

    >>> version_fits("1.2", "1.2.3"), version_fits("1", "10.0.0"), version_fits(None, "1.0.0")
    (True, False, True)
    """
    return wanted is None or f"{version}.".startswith(f"{wanted.rstrip('.')}.")


def fits(value: Scalar, parameter: Parameter) -> bool:
    """Say whether a value is of a parameter's type.

    >>> fits(1, Parameter(type="number")), fits(True, Parameter(type="integer"))
    (True, False)
    """
    match parameter.type:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)


def values(spec: TemplateSpec, given: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return the value of every parameter, given or by default."""
    chosen: dict[str, Scalar] = {}
    for name, parameter in spec.parameters.items():
        default = parameter.default
        other = _EMPTY.get(parameter.type) if default is None else default
        value = given.get(name, other)
        if value is not None:
            chosen[name] = value
    return chosen


def check_use(use: TemplateUse, spec: TemplateSpec, here: Path) -> Iterator[Finding]:
    """Yield everything wrong with what a use gives to a Template, or wants of it.

    Args:
        use: The use.
        spec: The Template it means.
        here: Where the use stands.
    """
    if not version_fits(use.version, spec.version):
        message = f"Template `{use.template}` is of version {spec.version}, not {use.version}"
        hint = "take another revision of it, or the version it is of"
        yield Finding((*here, "version"), message, hint)
    for name, value in use.parameters.items():
        path = (*here, "with", name)
        parameter = spec.parameters.get(name)
        if parameter is None:
            message = f"Template `{use.template}` has no parameter `{name}`"
            yield Finding(path, message, did_you_mean(name, spec.parameters, "its parameters"))
        else:
            yield from _check_value(path, value, parameter)
    for name, parameter in spec.parameters.items():
        if parameter.required and name not in use.parameters:
            message = f"parameter `{name}` is missing; expected {_wanted(parameter)}"
            yield Finding(here, message, f"add it: with: {{{name}: …}}")


def check_parameters(spec: TemplateSpec) -> Iterator[Finding]:
    """Yield everything wrong with a Template's own parameters."""
    for name, parameter in spec.parameters.items():
        here: Path = ("spec", "parameters", name)
        for number, value in enumerate(parameter.enum):
            if not fits(value, parameter):
                message = f"expected {_KINDS[parameter.type]}, found {found(value)}"
                yield Finding((*here, "enum", number), message)
        if parameter.default is not None:
            yield from _check_value((*here, "default"), parameter.default, parameter)
        if parameter.required and parameter.default is not None:
            message = "a parameter that is required has no use for a default"
            yield Finding((*here, "default"), message, "take one of the two out")
        unset = not parameter.required and parameter.default is None
        if unset and (parameter.type not in _EMPTY or parameter.enum):
            message = "has neither `default` nor `required: true`: nothing says what it is unset"
            yield Finding(here, message, "add one of the two")


def _check_value(path: Path, value: Scalar, parameter: Parameter) -> Iterator[Finding]:
    if not fits(value, parameter):
        message = f"expected {_KINDS[parameter.type]}, found {found(value)}"
        hint = (
            f"write it in quotes: {shorten(written(value))}" if parameter.type == "string" else ""
        )
        yield Finding(path, message, hint)
    elif parameter.enum and not any(same(value, one) for one in parameter.enum):
        known = [written(one) for one in parameter.enum]
        message = f"expected {_wanted(parameter)}, found {found(value)}"
        yield Finding(path, message, did_you_mean(written(value), known, "allowed"))


def _wanted(parameter: Parameter) -> str:
    if parameter.enum:
        return " or ".join(f"`{written(value)}`" for value in parameter.enum)
    return _KINDS[parameter.type]
