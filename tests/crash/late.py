"""Two ways in which a worker goes wrong and lives: it is stopped and comes back late, or hears no answer."""

from __future__ import annotations

from typing import Any

from picture import differences, exact
from replay import Killed, Mortal, MortalLine

from andon.runtime.turns import Turns
from andon.runtime.worker import PREFIX
from andon.testing.clock import SeededRandomness
from andon.testing.scenario import controllers


class Replaced(Killed):
    """Another worker has taken over for good."""


class Stopped(Mortal):
    """A worker stands still at each chosen point while another takes over all it had.

    Then it comes back and goes on where it was: with its effect, its outcome, the other turns and intents
    it had. Each of its writes must be refused, and nothing in the world may change by it.
    """

    def _kill(self, point: str) -> None:
        self._left_at = self._passed
        self.kills.append(point)
        late = self.line
        late.rests = lambda _: self._end_of_late()
        self._end_lease(late)
        late.at, late.is_late = self._late, True
        self.line = self.scenario.line = self._successor(late)
        self.line.start()
        self.line.step(late.performing)
        self.line.rests = self._rest
        self._before = exact(self.scenario, self.told)

    def _late(self, point: str) -> None:
        if point.startswith("commit "):
            self.problems.append(f"a worker that came back late was let in: {point}")

    def _go_on(self, killed: Killed) -> None:
        """Go on with the successor."""

    def _end_lease(self, late: MortalLine) -> None:
        """Have its lease be over; those of its turns last no time at all here."""
        now = late.clock.now()

        def end(tx: Any) -> None:
            (token,) = (one[2] for one in tx.leases() if one[0] == PREFIX + late.worker)
            tx.renew(PREFIX + late.worker, token, now, 0)

        late.tx(end)

    def _successor(self, late: MortalLine) -> MortalLine:
        number = len(self.kills)
        line = MortalLine(late.store, controllers(), late.clock, late.world, f"successor-{number}")
        line.turns = Turns(controllers(), SeededRandomness(1000 + number))
        line.policies = late.policies
        line.at, line.verb = self._at, late.verb
        return line

    def _end_of_late(self) -> None:
        changed = differences(exact(self.scenario, self.told), self._before)
        self.problems += [f"a worker that came back late changed {one}" for one in changed]
        raise Replaced


class Unanswered(Mortal):
    """A commit happens and its answer is lost: who asked for it asks again."""

    def _kill(self, point: str) -> None:
        self._left_at = self._passed
        self.kills.append(point)
        self.line.is_unanswered = True


def by_workers(points: list[str], *, commits_only: bool = False) -> set[int]:
    """Return the numbers of points that a worker passes once it has started, outside of transactions."""
    works = ("claim", "turn ", "take", "outcome ")
    commits = {
        number
        for number, point in enumerate(points)
        if point.startswith("commit ") and point.removeprefix("commit ").startswith(works)
    }
    if commits_only:
        return commits
    effects = {number for number, one in enumerate(points) if one.startswith(("before ", "after "))}
    return commits | effects
