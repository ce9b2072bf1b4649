"""Opens the secrets that an action names, at the last moment before the agent gets it."""

from __future__ import annotations

from collections.abc import Mapping

from andon.adapters.process import dumps
from andon.api.v1.jobs import SecretRef
from andon.ports.secrets import SecretReader


async def opened(refs: Mapping[str, SecretRef], reader: SecretReader) -> Mapping[str, str]:
    """Return the values by environment variable; from then on this process is never dumped.

    Raises:
        NotFound: There is no such secret.
        Unavailable: It cannot be opened now.
    """
    if not refs:
        return {}
    dumps.keep_mine()
    return await reader.values(refs)
