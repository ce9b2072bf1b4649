"""``uses: python``: a virtual environment with what is required, kept between Runs."""

from __future__ import annotations

import shlex
from typing import Annotated

from msgspec import Meta

from andon.api.v1.jobs import CachePlan, TypedStep
from andon.api.v1.pipelines import Pattern
from andon.api.v1.words import Spec

# A virtual environment knows where it was made; kept ones are told where they are now.
_ENVIRONMENT = r"""
venv=$PWD/.venv
if ! "$venv/bin/python" -c '' >/dev/null 2>&1; then
  rm -rf "$venv"
  %(python)s -m venv "$venv"
fi
grep -lIs '^#!.*/\.venv/bin/python' "$venv"/bin/* | while IFS= read -r file; do
  sed -i "1s|^#!.*/\.venv/bin/python|#!$venv/bin/python|" "$file"
done
"""

_TELL = r"""
printf 'VIRTUAL_ENV=%s\nPATH=%s\n' "$venv" "$venv/bin:$PATH" >>"$ANDON_ENV"
export VIRTUAL_ENV="$venv" PATH="$venv/bin:$PATH"
"""

_CACHE = ".andon/pip"


class PythonSettings(Spec, kw_only=True, frozen=True):
    """What the step takes."""

    python: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_./-]+$", description="The interpreter.")] = (
        "python3"
    )
    requirements: Annotated[
        tuple[Pattern, ...], Meta(description="Files of requirements; no patterns.")
    ] = ()
    packages: Annotated[
        tuple[str, ...],
        Meta(description="Further requirements, such as `.[test]` or `pytest==8.4`."),
    ] = ()
    run: Annotated[str, Meta(description="Shell text, run in the environment.")] = ""


class Python:
    """Makes the environment, installs what is required, and leaves it active for later steps."""

    settings = PythonSettings

    def render(self, settings: PythonSettings, /) -> TypedStep:
        """Return what the step comes to."""
        wanted = [part for file in settings.requirements for part in ("-r", file)]
        wanted += settings.packages
        text = f'export PIP_CACHE_DIR="$PWD/{_CACHE}"\n' + _ENVIRONMENT % {
            "python": settings.python
        }
        if wanted:
            text += f'"$venv/bin/python" -m pip install --quiet {shlex.join(wanted)}\n'
        return TypedStep(
            run=f"{text}{_TELL}{settings.run}",
            env={
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                "PIP_ROOT_USER_ACTION": "ignore",
            },
            caches=self._caches(settings),
        )

    def _caches(self, settings: PythonSettings) -> tuple[CachePlan, ...]:
        if not settings.requirements:
            return ()
        also = (settings.python, *settings.packages)
        key = settings.requirements
        return (
            CachePlan(name="python-environment", paths=(".venv",), key=key, also=also),
            CachePlan(name="python-packages", paths=(_CACHE,), key=key, nearest=True),
        )
