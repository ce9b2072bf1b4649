"""``uses: node``: the packages that a lock file names."""

from __future__ import annotations

import shlex
from typing import Annotated

from msgspec import Meta

from andon.api.v1.jobs import CachePlan, TypedStep
from andon.api.v1.words import Spec

_VERSION = r"""
case $(node --version) in
  v%(node)s | v%(node)s.*) ;;
  *) printf 'node %%s is here, and %%s is asked for\n' "$(node --version)" %(node)s >&2; exit 1 ;;
esac
"""

_INSTALL = r"""
if [ -e package-lock.json ]; then
  npm ci --prefer-offline --no-audit --no-fund
else
  npm install --prefer-offline --no-audit --no-fund
fi
printf 'PATH=%s\n' "$PWD/node_modules/.bin:$PATH" >>"$ANDON_ENV"
export PATH="$PWD/node_modules/.bin:$PATH"
"""

_CACHE = ".andon/npm"


class NodeSettings(Spec, kw_only=True, frozen=True):
    """What the step takes."""

    node: Annotated[
        str, Meta(pattern=r"^(\d+(\.\d+){0,2})?$", description="Refuse any other version: `22`.")
    ] = ""
    folder: Annotated[
        str, Meta(pattern=r"^[^/].*$", description="Where `package.json` is, in the work tree.")
    ] = "."
    run: Annotated[str, Meta(description="Shell text, run there.")] = ""


class Node:
    """Installs what the lock file says, and leaves its programs on the path of later steps."""

    settings = NodeSettings

    def render(self, settings: NodeSettings, /) -> TypedStep:
        """Return what the step comes to."""
        check = _VERSION % {"node": settings.node} if settings.node else ""
        cache = f'export npm_config_cache="$PWD/{_CACHE}"\n'
        return TypedStep(
            run=f"{check}{cache}cd {shlex.quote(settings.folder)}\n{_INSTALL}{settings.run}",
            caches=(
                CachePlan(
                    name="node-packages",
                    paths=(_CACHE,),
                    key=(self._beside(settings, "package-lock.json"),),
                    nearest=True,
                ),
            ),
        )

    def _beside(self, settings: NodeSettings, name: str) -> str:
        folder = settings.folder.strip("/")
        return name if folder in ("", ".") else f"{folder}/{name}"
