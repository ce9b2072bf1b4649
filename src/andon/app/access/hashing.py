"""Passwords are hashed on threads, few at a time: each fills memory and a core for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from andon.adapters.passwords import Passwords
from andon.kernel.errors import Unavailable

AT_ONCE = 2
MOST_WAITING = 64

T = TypeVar("T")


class Hashing:
    """Passwords, from an event loop.

    Args:
        passwords: Hashes and checks them.
    """

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Return the salted hash of a password."""
        return await self._run(lambda: self._passwords.hash(password))

    async def matches(self, password: str, stored: str) -> bool:
        """Say whether a password is the one of a hash; an empty hash is nobody's."""
        return await self._run(lambda: self._passwords.matches(password, stored))

    async def veiled(self, text: str, salt: str) -> str:
        """Return what a text that depends on a password can be known again by."""
        return await self._run(lambda: self._passwords.veiled(text, salt))

    def is_current(self, stored: str) -> bool:
        """Say whether a hash was made with the parameters of today."""
        return self._passwords.is_current(stored)

    async def _run(self, fn: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise Unavailable("too many people log in at the same time", hint="again in a minute")
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(fn)
        finally:
            self._waiting -= 1
