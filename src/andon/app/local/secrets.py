"""Secrets of a local run: what its caller named on the command line, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from andon.api.v1.jobs import SecretRef
from andon.kernel.errors import NotFound, UsageError

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=(.*)")


def gather(
    names: Iterable[str], files: Iterable[Path], environ: Mapping[str, str]
) -> dict[str, str]:
    """Collect values by name: of the environment, and of files with lines ``NAME=value``.

    Args:
        names: Secrets whose values are variables of the environment.
        files: Files with further ones.
        environ: The environment.

    Raises:
        UsageError: One is missing, or a file cannot be read. No message holds a value.
    """
    found: dict[str, str] = {}
    for file in files:
        found |= _of_file(file)
    for name in names:
        variable = _variable(name)
        if name not in environ and variable not in environ:
            raise UsageError(
                f"--secret {name}: the environment has no {variable}",
                hint=f"`export {variable}=...` before, or `--env-file FILE`",
            )
        found[name] = environ[name] if name in environ else environ[variable]
    return found


def _of_file(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(f"--env-file {file} cannot be read: {why}") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise UsageError(f"--env-file {file}: line {number} is no NAME=value")
        name, value = match.group(1), match.group(2).strip()
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        found[name] = value[1:-1] if quoted else value
    return found


def _variable(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", name).upper()


class GivenSecrets:
    """The ``SecretReader`` of a local run.

    Args:
        values: By name.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    async def values(self, refs: Mapping[str, SecretRef]) -> Mapping[str, str]:
        """Return values by environment variable.

        Raises:
            NotFound: One was not given.
        """
        return {variable: self._value(ref.name) for variable, ref in refs.items()}

    def _value(self, name: str) -> str:
        for spelling in (name, _variable(name)):
            if spelling in self._values:
                return self._values[spelling]
        raise NotFound(
            f"the secret {name} was not given",
            hint=f"`andon run --secret {name}` takes it from ${_variable(name)}, `--env-file` from a file",
        )
