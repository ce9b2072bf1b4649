"""The interruption of ``andon demo``: SIGKILL to the control plane, and what it must not cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from andon.cli.demo.play import Play

Json = dict[str, Any]


class Kill:
    """Kills the control plane once, in the middle of a canary, and starts it again.

    Args:
        play: Whose control plane it is.
    """

    def __init__(self, play: Play) -> None:
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
        play.screen.say(f"SIGKILL to the control plane at {run['weight']:g} % of {run['service']}")
        play.wait(
            lambda: play.load_report().get("completed", 0) > sent + play.options.rate,
            "requests stopped when the control plane was killed",
        )
        play.screen.say("services and gateway went on serving without it")
        play.start_control_plane()
        play.screen.say("a new control plane takes over")

    def resumed(self, change: Json) -> bool:
        """Say whether the same Run went on, without doing again what had been done."""
        after = next(
            (run for run in change["runs"] if run["name"] == self._before.get("name")), None
        )
        if after is None or after["phase"] != "Succeeded":
            return False
        steps = {step["name"]: step["startedAt"] for step in after["steps"]}
        return all(steps.get(name) == started for name, started in self._steps.items())
