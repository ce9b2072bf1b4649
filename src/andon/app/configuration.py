"""What an installation is told by the file on its host."""

from __future__ import annotations

from pathlib import Path

from andon.api.configuration import read_installation
from andon.api.parse import MAX_BYTES
from andon.api.problems import invalid
from andon.api.v1.installation import InstallationSpec
from andon.kernel.errors import NotFound


def load_installation(path: Path) -> InstallationSpec:
    """Read the Installation document.

    Args:
        path: The file of ``andon up --config``.

    Raises:
        NotFound: There is no such file, or this user may not read it.
        InvalidDocument: Something in it is wrong; the message lists everything.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise NotFound(
            f"the configuration {path} cannot be read: {error.strerror}",
            hint="--config or ANDON_CONFIG names a file with an Installation, as in "
            "docs/kinds/installation.md; without it Andon listens on loopback",
        ) from None
    parsed = read_installation(data, str(path))
    if parsed.problems:
        raise invalid(parsed.problems)
    spec: object = parsed.definitions[0].spec
    assert isinstance(spec, InstallationSpec)
    return spec
