"""Secrets that a test knows."""

from __future__ import annotations

from collections.abc import Mapping

from andon.api.v1.jobs import SecretRef
from andon.kernel.errors import NotFound


class FixedSecrets:
    """A ``SecretReader`` over a mapping.

    Args:
        values: By ``environment/name``; every version has the same.
    """

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})

    async def values(self, refs: Mapping[str, SecretRef]) -> Mapping[str, str]:
        """Return the values by environment variable."""
        return {variable: self._value(ref) for variable, ref in refs.items()}

    def _value(self, ref: SecretRef) -> str:
        try:
            return self._values[f"{ref.environment}/{ref.name}"]
        except KeyError:
            raise NotFound(
                f"there is no secret {ref.name} in {ref.environment}", hint="`andon secret list`"
            ) from None
