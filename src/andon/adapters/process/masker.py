"""``python -m andon.adapters.process.masker DESCRIPTOR [HEARD]``: a process's output, masked, into its log.

Reads the secrets as a JSON list from the descriptor, then copies standard input to standard output. It
ends with the last process that prints, and then leaves a file HEARD. Should it end before, whatever is
printed goes nowhere, and there is no such file.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from andon.kernel.masking import Masker

_CHUNK_BYTES = 1 << 16


def main() -> None:
    """Mask until nobody prints any more."""
    with open(int(sys.argv[1]), "rb") as file:
        masker = Masker(json.load(file))
    while chunk := os.read(0, _CHUNK_BYTES):
        _write(masker.feed(chunk))
    _write(masker.close())
    if sys.argv[2:]:
        Path(sys.argv[2]).touch()


def _write(text: bytes) -> None:
    """Append to the log; what a full disk does not take is lost, and the process goes on."""
    try:
        while text:
            text = text[os.write(1, text) :]
    except OSError:
        pass


if __name__ == "__main__":
    main()
