"""How the steps of a job ended, as its shell noted it."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from andon.api.v1.actions import StepDone
from andon.api.v1.records import StepState

_MOST_BYTES = 1 << 20


def read_steps(notes: Path, names: Sequence[str], state: StepState) -> tuple[StepDone, ...]:
    """Return how each step ended.

    The job could have written there, too: what does not fit how it ended as a whole is not believed.

    Args:
        notes: File with a line ``<number>`` for each step that began, and
            ``<number> <exit code> <hundredths of a second>`` for each that ended.
        names: Of all its steps.
        state: Of the job.
    """
    began, ended = _noted(notes)
    if state == "passed":
        return tuple(_done(name, 0, ended.get(n, (0, 0))[1]) for n, name in enumerate(names, 1))
    done: list[StepDone] = []
    for number, name in enumerate(names, 1):
        if number in ended:
            done.append(_done(name, *ended[number]))
        elif number in began:
            done.append(StepDone(name=name, state=state))
        else:
            done.append(StepDone(name=name, state="not-run"))
    return tuple(done)


def _done(name: str, code: int, hundredths: int) -> StepDone:
    state: StepState = "passed" if code == 0 else "failed"
    return StepDone(name=name, state=state, seconds=hundredths / 100, exit_code=code)


def _noted(notes: Path) -> tuple[set[int], dict[int, tuple[int, int]]]:
    began: set[int] = set()
    ended: dict[int, tuple[int, int]] = {}
    for line in _lines(notes):
        numbers = [int(word) for word in line.split() if word.isdigit() and len(word) < 12]
        if len(numbers) == 1:
            began.add(numbers[0])
        elif len(numbers) == 3:
            ended[numbers[0]] = numbers[1], numbers[2]
    return began, ended


def _lines(notes: Path) -> list[str]:
    return read_note(notes, _MOST_BYTES).splitlines()


def read_note(file: Path, most_bytes: int = 2000) -> str:
    """Return the beginning of a file that a job may have replaced by anything; empty: there is none."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    with open(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        return opened.read(most_bytes).decode(errors="replace")
