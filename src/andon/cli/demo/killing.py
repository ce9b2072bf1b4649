"""The interruption of ``andon demo``: SIGKILL to the control plane, and what it must not cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Json = dict[str, Any]


class Interrupted(Protocol):
    """A play whose control plane can be killed."""

    def rate(self) -> float:
        """Return how many requests are sent each second."""
        ...

    def say(self, text: str) -> None:
        """Tell what happened."""
        ...

    def load_report(self) -> Json:
        """Return the load generator's latest figures."""
        ...

    def wait(self, ready: Callable[[], bool], otherwise: str) -> None:
        """Wait for something to be so."""
        ...

    def kill_control_plane(self) -> None:
        """SIGKILL."""
        ...

    def start_control_plane(self) -> None:
        """Start another one, and wait until it answers."""
        ...


class Kill:
    """Kills the control plane once, in the middle of a canary, and starts it again.

    Args:
        play: Whose control plane it is.
    """

    def __init__(self, play: Interrupted) -> None:
        self._play = play
        self._before: Json = {}
        self._steps: dict[str, float] = {}

    def maybe(self, change: Json) -> None:
        """Kill it if a canary is under way, once."""
        run = next(
            (
                run
                for run in change["runs"]
                if run["environment"] == "prod"
                and run["phase"] == "Running"
                and 10 <= run["weight"] < 100
                and run["canaryRequests"] > 0
            ),
            None,
        )
        if self._before or run is None:
            return
        self._before = run
        self._steps = {
            step["name"]: step["startedAt"] for step in run["steps"] if step["state"] == "passed"
        }
        play = self._play
        sent = play.load_report().get("completed", 0)
        play.kill_control_plane()
        play.say(f"SIGKILL to the control plane at {run['weight']:g} % of {run['service']}")
        play.wait(
            lambda: play.load_report().get("completed", 0) > sent + play.rate(),
            "requests stopped when the control plane was killed",
        )
        play.say("services and gateway went on serving without it")
        play.start_control_plane()
        play.say("a new control plane takes over")

    def resumed(self, change: Json) -> bool:
        """Say whether the same Run went on, without doing again what had been done."""
        after = next(
            (run for run in change["runs"] if run["name"] == self._before.get("name")), None
        )
        if after is None or after["phase"] != "Succeeded":
            return False
        steps = {step["name"]: step["startedAt"] for step in after["steps"]}
        return all(steps.get(name) == started for name, started in self._steps.items())
