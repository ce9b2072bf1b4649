"""What sees goes on, whatever happens to a part of it."""

from __future__ import annotations

import asyncio

import pytest

from andon.app.telemetry.room import LONGEST_PAUSE_SECONDS, keep_going


async def test_loop_that_fails_is_told_and_begins_again_ever_more_slowly(caplog):
    pauses = []

    async def fail():
        raise OSError("disk full")

    async def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 9:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await keep_going("metrics", fail, pause)
    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, 60]
    assert caplog.messages[0] == "metrics failed, again in 1 s: disk full"
