"""A simulated line with a hook and people, and the subscribers that tell them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from andon.adapters.outbound import LOCAL
from andon.api.v1.access import TeamSpec, UserSpec, UserStatus
from andon.api.v1.control import NewObject
from andon.api.v1.forges import HookSpec
from andon.api.v1.installation import MailSpec, SecretsKeySpec
from andon.api.v1.records import Empty
from andon.app.events.couriers import outgoing
from andon.app.hooks.parts import Outward, inner_sinks
from andon.app.hooks.reporter import TYPES, reporting, token_name
from andon.app.secrets.safe import Vault, open_safe
from andon.kernel.errors import AndonError
from andon.ports.sinks import Receiver, Sink
from andon.ports.store import LedgerRow
from andon.testing.clock import SeededRandomness
from andon.testing.scenario import Scenario
from andon.testing.simulated_line import REPOSITORY
from andon.testing.webhook import WebhookReceiver

FOLDER = Path(__file__).parents[3] / "scenario"
URL = "https://andon.example"


class LineSite:
    """One play, looked at from outside.

    Args:
        folder: Where the store lies.
        receiver: Forge and chat.
        mail: The mail server, if any.
    """

    def __init__(
        self, folder: Path, receiver: WebhookReceiver, mail: MailSpec | None = None
    ) -> None:
        self.scenario = Scenario({"play": []}, FOLDER, folder / "a.db")
        self.line = self.scenario.line
        self.line.start()
        self.receiver = receiver
        self.vault = vault = Vault(open_safe(SecretsKeySpec(), folder, SeededRandomness(3)))
        self.openers = inner_sinks(
            Outward(
                store=self.line.store,
                clock=self.line.clock,
                vault=vault,
                guard=LOCAL,
                url=URL,
                mail=mail,
            )
        )
        spec = HookSpec(
            forge="github",
            repository=REPOSITORY,
            api=f"http://127.0.0.1:{receiver.port}",
            project="team/shop",
        )
        self._create(NewObject(kind="Hook", name="shop", spec=spec, status=Empty()))
        self.line.tx(lambda tx: vault.seal(tx, token_name("shop"), "t0ken"))
        self.seq = 0

    def _create(self, new: NewObject) -> None:
        self.line.tx(lambda tx: tx.create(new, f"u-{new.kind}-{new.name}", 0.0))

    def user(self, name: str, **spec: Any) -> None:
        """Add a user."""
        made = UserSpec(**spec)
        self._create(NewObject(kind="User", name=name, spec=made, status=UserStatus()))

    def team(self, name: str, **spec: Any) -> None:
        """Add a team."""
        self._create(NewObject(kind="Team", name=name, spec=TeamSpec(**spec), status=Empty()))

    def play(self, *items: dict[str, Any]) -> None:
        """Play some items."""
        for item in items:
            assert not self.scenario.perform(item)

    def change(self, label: str) -> str:
        """Return the name of a Change."""
        return self.scenario._change(label)

    def reporter(self) -> Sink:
        """Return the sink of the hook's statuses."""
        spec = self.line.look(lambda tx: reporting(tx, "shop", "root", 0.0)).spec
        return self.openers["hook"](Receiver(name=spec.name, url=spec.url))

    def notices(self) -> Sink:
        """Return the sink of people's notices."""
        return self.openers["notice"](Receiver(name="andon.notices", url="notice://people"))

    def rows(self) -> list[LedgerRow]:
        """Return the events since the last time."""
        rows = self.line.look(lambda tx: tx.events(after=self.seq, limit=10_000))
        self.seq = rows[-1].seq if rows else self.seq
        return rows

    def tell(self, sink: Sink, keep: Callable[[LedgerRow], bool] = lambda row: True) -> None:
        """Deliver all new events that a subscriber of statuses or notices may want."""
        for row in self.rows():
            if row.type.startswith(TYPES) and keep(row):
                self.deliver(sink, row)

    def deliver(self, sink: Sink, row: LedgerRow) -> None:
        """Deliver an event."""
        self.line._wait(sink.deliver(outgoing(row)))

    def refusal(self, sink: Sink, row: LedgerRow) -> AndonError:
        """Deliver an event in vain; why."""
        try:
            self.deliver(sink, row)
        except AndonError as error:
            return error
        raise AssertionError("it was delivered")
