"""Clients of the gateway, and waiting for what they should see."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from typing import TypeVar
from urllib.parse import urlsplit

POLL_SECONDS = 0.05
DEADLINE_SECONDS = 240.0

T = TypeVar("T")


def until(look: Callable[[], T], what: str, seconds: float = DEADLINE_SECONDS) -> T:
    """Look until there is something, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(POLL_SECONDS)
    return found


def request(address: str) -> tuple[int, str]:
    """GET once; status 0 where there was no answer."""
    place = urlsplit(address)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=DEADLINE_SECONDS)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, HTTPException) as error:
        return 0, repr(error)
    finally:
        connection.close()


class Traffic:
    """A few clients that ask again and again, each request as somebody else.

    Args:
        address: The gateway's.
        clients: How many at once.
        pause_seconds: Between two requests of one client.
    """

    def __init__(self, address: str, clients: int = 4, pause_seconds: float = 0.01) -> None:
        self._address = address
        self._pause_seconds = pause_seconds
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._threads = [
            threading.Thread(target=self._ask, args=(number,)) for number in range(clients)
        ]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def total(self) -> int:
        """Requests answered well."""
        with self._lock:
            return sum(self.answers.values())

    def more(self, requests: int, seconds: float = DEADLINE_SECONDS) -> None:
        """Wait for so many more good answers."""
        goal = self.total + requests
        until(lambda: self.total >= goal, f"{requests} more answers", seconds)

    def _ask(self, number: int) -> None:
        place = urlsplit(self._address)
        connection = HTTPConnection(place.hostname or "", place.port, timeout=DEADLINE_SECONDS)
        count = 0
        while not self._over.wait(self._pause_seconds):
            count += 1
            try:
                connection.request("GET", "/", headers={"X-Client": f"{number}-{count}"})
                answer = connection.getresponse()
                text = answer.read().decode()
                if answer.will_close:
                    connection.close()
                self._note(text, "" if answer.status == 200 else f"{answer.status} {text}")
            except (OSError, HTTPException) as error:
                connection.close()
                self._note("", repr(error))
        connection.close()

    def _note(self, text: str, failure: str) -> None:
        with self._lock:
            if failure:
                self.failures.append(failure)
            else:
                self.answers[text] += 1
