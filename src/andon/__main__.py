"""``python -m andon`` is ``andon``."""

from __future__ import annotations

import sys

from andon.cli import main

if __name__ == "__main__":
    sys.exit(main())
