"""Whether jobs run in bubblewrap here: found out once, and remembered while nothing changes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from andon.adapters.process import procfs, sandbox
from andon.kernel.errors import Unavailable

_ANSWER = "sandbox"


def is_sandboxed(wanted: bool | None, state: Path) -> bool:
    """Say whether jobs run in a sandbox.

    Args:
        wanted: What was asked for; None: where it works.
        state: Where the answer is remembered.

    Raises:
        Unavailable: It was asked for, and does not work.
    """
    if wanted is False:
        return False
    works = _works(state)
    if wanted and not works:
        raise Unavailable(
            "--sandbox: bubblewrap does not work here",
            hint="`andon doctor` says why; `--no-sandbox` runs without",
        )
    return works


def _works(state: Path) -> bool:
    program = shutil.which("bwrap")
    if program is None:
        return False
    about = f"{program} {os.stat(program).st_mtime_ns} {procfs.boot_id()} {os.getuid()}"
    answer = state / _ANSWER
    try:
        said, _, known = answer.read_text().partition("\n")
        if known == about:
            return said == "yes"
    except OSError:
        pass
    works = sandbox.works()
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        answer.write_text(f"{'yes' if works else 'no'}\n{about}")
    except OSError:
        pass  # It is found out again the next time.
    return works
