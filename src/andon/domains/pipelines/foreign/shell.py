"""Shell texts of other engines, for `sh -euc`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator

_BASH = re.compile(
    r"\[\[|<<<|[<>]\(|\bpipefail\b|^\s*(?:source|function|declare|local -|shopt|mapfile|readarray)\s|"
    r"\w\+?=\(|\$\{\w+(?:\^|,|//|:\d|\[)|&>|\|&|\$'|\{\d+\.\.\d+\}|^\s*\(\(|\$RANDOM|\$BASH",
    re.MULTILINE,
)
_END = "ANDON_END"
MISSING = re.compile(r"\$\{?((?:CI|GITLAB|GITHUB|RUNNER|ACTIONS)_[A-Z0-9_]+)")
"""Variables that other engines set."""


def for_sh(text: str, shell: str = "") -> str:
    r"""Return a script that `sh` runs as the shell it was written for would.

    Args:
        text: The script.
        shell: ``bash``, ``sh``, ``python``; empty: bash where it needs it.

    >>> for_sh("make"), for_sh("[[ -f a ]]").splitlines()[0]
    ('make', 'exec bash -eo pipefail -c "$(cat <<\'ANDON_END\'')
    """
    if shell == "python":
        return _inside("python3 -c", text)
    if shell == "bash" or (not shell and _BASH.search(text)):
        return _inside("exec bash -eo pipefail -c", text)
    return text


def _inside(command: str, text: str) -> str:
    end = _END
    while end in text:
        end += "_"
    return f"{command} \"$(cat <<'{end}'\n{text.rstrip(chr(10))}\n{end}\n)\"\n"


def refusing(why: str) -> str:
    """Return a script that fails and says why: what was not carried over must not look as if it passed.

    >>> refusing("uses: a/b@v1")
    "echo 'not carried over: uses: a/b@v1' >&2; exit 1"
    """
    return f"echo {shlex.quote('not carried over: ' + ' '.join(why.split()))} >&2; exit 1"


def substitute(text: str, pattern: re.Pattern[str], value: Callable[[str], str]) -> str:
    r"""Put variables where a pattern fits, so that the shell expands them wherever they stand.

    Args:
        text: The script.
        pattern: What is replaced; its first group is handed on.
        value: Returns the variable's name.

    >>> substitute("echo 'a @b@'", re.compile("@(.)@"), str.upper)
    'echo \'a \'"${B}"\'\''
    """
    parts: list[str] = []
    last = 0
    quotes = _quotes(text)
    for found in pattern.finditer(text):
        name = "${" + value(found[1]) + "}"
        single = quotes[found.start()] == "'"
        parts += [text[last : found.start()], f"'\"{name}\"'" if single else name]
        last = found.end()
    return "".join((*parts, text[last:]))


def _quotes(text: str) -> list[str]:
    """Say for each character inside which quotes it stands."""
    return list(_walk(text))


def _walk(text: str) -> Iterator[str]:
    state = ""
    escaped = comment = False
    before = "\n"
    for sign in text:
        yield state
        if comment:
            comment = sign != "\n"
        elif escaped:
            escaped = False
        elif sign == "\\" and state != "'":
            escaped = True
        elif sign in "'\"" and state in ("", sign):
            state = "" if state else sign
        elif sign == "#" and not state and before.isspace():
            comment = True
        before = sign
