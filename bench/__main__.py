"""``python -m bench [NAME...]``: run benchmarks, print their ratios, exit 8 if one misses its bar."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

MISSED = 8


def names() -> list[str]:
    """Every module here that can be run by name."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return [file.stem for file in files if "\ndef measure(" in file.read_text()]


def main(asked: list[str]) -> int:
    known = names()
    unknown = set(asked) - set(known)
    if unknown:
        print(f"no benchmark {', '.join(sorted(unknown))}; known: {', '.join(known)}")
        return 2
    missed = 0
    for name in asked or known:
        for ratio in importlib.import_module(f"bench.{name}").measure():
            missed += not ratio.good
            mark = "ok    " if ratio.good else "MISSED"
            bar = f"bar {'at most' if ratio.most else 'at least'} {ratio.bar:,.3g}"
            print(
                f"{mark} {name}: {ratio.name}: {ratio.value:,.3g} {ratio.unit}"
                f" ({bar if ratio.bar else 'no bar'})",
                flush=True,
            )
    return MISSED if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
