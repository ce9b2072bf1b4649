from __future__ import annotations

import os

from andon.adapters.process.usage import Usage, wait_and_measure


def test_how_a_process_ended_for_which_somebody_else_has_waited_is_not_known():
    assert wait_and_measure(os.getppid()) == (None, Usage())
