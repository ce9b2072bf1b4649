"""Makes the example shop's git repository, with a real commit for each version of the play.

Version 1 is ``examples/shop`` as it is. The others are patches in its folder ``versions``, each headed by
its commit message: 2 is a good change of the storefront; 3 passes all its tests, and in it one service
keeps a table that is shorter than the range of its hash, so that a share of its requests fails; 4 mends
that.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from andon.kernel.errors import Conflict, InternalError, NotFound, Unavailable, UsageError

SERVICES = ("storefront", "catalogue", "orders")
LAST_VERSION = 4
FAULT_PERCENT_LIMIT = 50
"""The shop's own tests are known to meet no fault up to here."""

_HASH_RANGE = 10_000
_LEFT_BEHIND = shutil.ignore_patterns("versions", "dist", "__pycache__")
_IDENTITY = {"NAME": "Andon demo", "EMAIL": "demo@andon.invalid"}


def examples_folder() -> Path:
    """Return the folder of examples: of the source checkout, or the one in the installed package.

    Raises:
        NotFound: Neither is there.
    """
    package = Path(__file__).resolve().parents[2]
    for folder in (package / "examples", package.parents[1] / "examples"):
        if (folder / "shop" / "andon.yaml").is_file():
            return folder
    raise NotFound(f"The examples are missing beside {package}.", hint="pip install --force andon")


@dataclass(frozen=True, kw_only=True)
class ShopRepository:
    """A git repository of the shop whose versions are committed one at a time.

    Args:
        path: The work tree; its branch is ``main``.
        fault_percent: Share of the requests to the service at fault that version 3 fails.
        fault_service: The service that versions 3 and 4 change.
    """

    path: Path
    fault_percent: float
    fault_service: str
    _commits: list[str] = field(default_factory=list)

    def service_of(self, version: int) -> str | None:
        """Return the only service that a version changes; None for version 1, which brings them all."""
        return {2: "storefront", 3: self.fault_service, 4: self.fault_service}.get(version)

    def commit_version(self, version: int) -> str:
        """Commit the next version and return its sha.

        Args:
            version: From 1 to 4, each once and in order.

        Raises:
            Conflict: Another version is next.
        """
        expected = len(self._commits) + 1
        if version != expected or version > LAST_VERSION:
            raise Conflict(f"Version {version} of the shop cannot follow version {expected - 1}.")
        message = "feat: open the shop" if version == 1 else self._apply(version)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--file=-", text=message)
        self._commits.append(self._git("rev-parse", "HEAD").strip())
        return self._commits[-1]

    def _apply(self, version: int) -> str:
        """Change the work tree as a version's patch says; return the patch's commit message."""
        name = f"{version}-{self.service_of(version)}.patch"
        text = (examples_folder() / "shop" / "versions" / name).read_text(encoding="utf-8")
        size = round(_HASH_RANGE * (1 - self.fault_percent / 100))
        self._git("apply", "-", text=text.replace("@TABLE_BYTES@", f"{size:_}"))
        return text.partition("diff --git")[0]

    def _git(self, *arguments: str, text: str = "") -> str:
        return _run_git(self.path, *arguments, text=text)


def make_repository(
    into: Path, *, fault_percent: float, fault_service: str, seed: int
) -> ShopRepository:
    """Create the shop's repository, without a commit yet.

    Args:
        into: Folder that does not exist yet, or is empty.
        fault_percent: Share of the requests to the service at fault that version 3 fails, from 0 (a
            harmless version) to 50. Which ones depends on the client and the path, by a hash.
        fault_service: The service at fault: storefront, catalogue or orders.
        seed: Decides the prices, so that plays with different seeds ship different artifacts.

    Raises:
        UsageError: An argument is out of its range, or the folder is not empty.
        Unavailable: There is no git.
    """
    _check(into, fault_percent, fault_service)
    shutil.copytree(examples_folder() / "shop", into, ignore=_LEFT_BEHIND, dirs_exist_ok=True)
    _price(into / "services" / "catalogue" / "products.json", Random(seed))
    _run_git(into, "init", "--quiet", "--initial-branch=main")
    return ShopRepository(path=into, fault_percent=fault_percent, fault_service=fault_service)


def _check(into: Path, fault_percent: float, fault_service: str) -> None:
    if fault_service not in SERVICES:
        raise UsageError(
            f"The shop has no service {fault_service!r}.", hint=f"One of: {', '.join(SERVICES)}"
        )
    if not 0 <= fault_percent <= FAULT_PERCENT_LIMIT:
        raise UsageError(
            f"A fault of {fault_percent:g} % cannot be played.",
            hint=f"From 0 to {FAULT_PERCENT_LIMIT}: the shop's own tests would meet a larger one.",
        )
    if into.exists() and any(into.iterdir()):
        raise UsageError(f"{into} is not empty.", hint="Name a folder that does not exist yet.")


def _price(stock: Path, randomness: Random) -> None:
    products = json.loads(stock.read_text(encoding="utf-8"))
    for product in products:
        product["price_cents"] = 10 * randomness.randint(40, 1300)
    lines = ",\n  ".join(json.dumps(product) for product in products)
    stock.write_text(f"[\n  {lines}\n]\n", encoding="utf-8")


def _run_git(folder: Path, *arguments: str, text: str = "") -> str:
    """Run git in a folder, without the user's configuration, and return its output.

    Raises:
        Unavailable: There is no git.
        InternalError: git failed.
    """
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=_git_environment(),
            input=text,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
    except FileNotFoundError:
        raise Unavailable("The demo needs git, which is not here.", hint="andon doctor") from None
    if done.returncode:
        raise InternalError(f"git {arguments[0]} failed in {folder}: {done.stderr.strip()}")
    return done.stdout


def _git_environment() -> dict[str, str]:
    """Leave out what would make the same play differ between machines."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    roles = {
        f"GIT_{role}_{name}": value
        for role in ("AUTHOR", "COMMITTER")
        for name, value in _IDENTITY.items()
    }
    isolation = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C"}
    return own | roles | isolation
