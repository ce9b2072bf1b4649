"""What a job's end means: passed, the change's failure, or the machine's."""

from __future__ import annotations

import re
import shutil
import signal
from pathlib import Path
from typing import Literal

from msgspec import Struct, structs

from andon.adapters.process.logs import last_lines
from andon.adapters.process.usage import Usage
from andon.api.v1.actions import JobDone

_NOT_FOUND = re.compile(r"(?:^|: )(?:line )?\d+: (?:exec: )?(.+?): (?:command )?not found", re.M)
_NO_SPACE = "No space left on device"
_LEAST_FREE_BYTES = 1 << 20
_MESSAGE_BYTES = 2000
_UNSEEN = re.compile("\x1b\\[0Ksection_(start|end):[^\r\n]*(\r\x1b\\[0K)?\n?")
"""Marks of steps: for log pages, not for a message of a few lines."""

EndedFor = Literal["", "cancelled", "shutdown", "disk"]


class Ended(Struct, frozen=True, kw_only=True):
    """How a command ended.

    Args:
        exit_code: As the shell tells it (128 + signal); None: nobody saw it.
        seconds: How long it ran.
        timeout_seconds: The time it was allowed, if it was ended for that.
        ended_for: Why we ended it, if we did: ``cancelled``, ``shutdown`` or ``disk`` (it was full).
        out_of_memory: The kernel killed a process of it for memory.
        said: Why its own shell ended it, if it did: a service was not ready.
        filled: That it took too much of the disk, in words; empty: it did not.
        died: Which service of it died.
        usage: What it used.
        heard: All that it printed was taken from it.
    """

    exit_code: int | None
    seconds: float
    timeout_seconds: float | None = None
    ended_for: EndedFor = ""
    out_of_memory: bool = False
    said: str = ""
    filled: str = ""
    died: str = ""
    usage: Usage = Usage()
    heard: bool = True


def judge(ended: Ended, *, log: str, log_file: Path, work_tree: Path) -> JobDone:
    """Say what a command's end means.

    Args:
        ended: How it ended.
        log: Name of its log for the outcome.
        log_file: Its log.
        work_tree: Where it ran.
    """
    done = JobDone(
        state="passed",
        exit_code=ended.exit_code,
        seconds=ended.seconds,
        log=log,
        cpu_seconds=round(ended.usage.cpu_seconds, 3),
        memory_bytes=ended.usage.memory_bytes,
    )
    if ended.ended_for == "cancelled":
        return _as(done, state="cancelled", message="cancelled")
    if _is_pass(ended):
        return done
    tail = _UNSEEN.sub("", last_lines(log_file))
    trouble = _machine_trouble(ended, tail, work_tree)
    if trouble:
        message = _with(trouble, tail)
        return _as(done, state="interrupted", fault="machine", reason="machine", message=message)
    message = _with(_reason(ended, tail), tail)
    return _as(done, state="failed", fault="change", reason=_word(ended), message=message)


def _is_pass(ended: Ended) -> bool:
    spoilt = ended.died or ended.filled
    return ended.exit_code == 0 and ended.timeout_seconds is None and not spoilt


def _word(ended: Ended) -> str:
    """Return what ``retry.on`` calls the reason."""
    if ended.timeout_seconds is not None:
        return "timeout"
    return "out-of-memory" if ended.out_of_memory else "failure"


def _as(done: JobDone, **changes: object) -> JobDone:
    return structs.replace(done, **changes)


def _machine_trouble(ended: Ended, tail: str, work_tree: Path) -> str:
    if ended.ended_for == "shutdown":
        return "the agent was shut down"
    if not work_tree.is_dir():
        return "work tree deleted while the job ran"
    if ended.timeout_seconds is not None or ended.out_of_memory or ended.filled:
        return ""
    if ended.ended_for == "disk":
        return f"the disk of {work_tree} is full: ended to make room"
    if _NO_SPACE in tail or shutil.disk_usage(work_tree).free < _LEAST_FREE_BYTES:
        return f"the disk of {work_tree} is full"
    if ended.said or ended.died:
        return ""
    if not ended.heard:
        return "the masker of its secrets was killed, and nobody heard it any more"
    if ended.exit_code is None:
        return "the job was killed from outside, or the machine restarted"
    if ended.exit_code == 1 and tail.rpartition("\n")[2].startswith("bwrap: "):
        return "the sandbox could not be made"
    return ""


def _reason(ended: Ended, tail: str) -> str:
    code = ended.exit_code
    if ended.filled:
        return ended.filled
    if ended.timeout_seconds is not None:
        also = f"; {ended.died}" if ended.died else ""
        return f"not done within {ended.timeout_seconds:g} s; ended with all its children{also}"
    if ended.said or ended.died:
        return ended.said or ended.died
    if ended.out_of_memory:
        return "killed because its memory limit was used up"
    if code == 127:
        missing = _NOT_FOUND.findall(tail)
        return f"command not found: {missing[-1]}" if missing else "a command was not found"
    if code == 126:
        return "a command could not be executed (exit code 126)"
    return f"killed by {signal_name(code - 128)}" if code and code > 128 else f"exit code {code}"


def signal_name(number: int) -> str:
    """Return a signal's name.

    >>> signal_name(9)
    'SIGKILL'
    """
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _with(reason: str, tail: str) -> str:
    room = _MESSAGE_BYTES - len(reason.encode()) - 1
    end = tail.encode()[-room:].decode(errors="ignore") if room > 0 else ""
    return f"{reason}\n{end}".rstrip()
