"""What a controller sees and what it may answer."""

from typing import Any, Protocol

from msgspec import Struct, field

from andon.api.v1.actions import AnyAction, AnyOutcome
from andon.api.v1.records import Object, StepRow
from andon.api.v1.steps import Steps


class Selector(Struct, frozen=True, kw_only=True):
    """Objects a controller wants to see: of a kind, with these labels, or by name."""

    kind: str
    labels: dict[str, str] = {}
    name: str = ""
    newest: int = 0
    """Only so many of the newest; 0: all."""


class ActionRow(Struct, frozen=True, kw_only=True):
    """An action asked for earlier: without outcome while it is under way."""

    key: str
    step: str
    attempt: int
    action: AnyAction
    outcome: AnyOutcome | None = None


class View(Struct, frozen=True, kw_only=True):
    """All that a controller knows when it decides."""

    object: Object
    steps: Steps = field(default_factory=Steps)
    actions: tuple[ActionRow, ...] = ()
    """Actions of this object that are under way or whose outcome was not consumed yet."""
    related: dict[str, tuple[Object, ...]] = {}
    """Objects by the name of the selector that asked for them, oldest first."""


class Ask(Struct, frozen=True, kw_only=True):
    """An action to perform, named by the step and attempt it belongs to."""

    step: str
    action: AnyAction
    attempt: int = 0


class NewObject(Struct, frozen=True, kw_only=True):
    """An object to create, if no object of that kind and name exists."""

    kind: str
    name: str
    spec: Any
    status: Any
    labels: dict[str, str] = {}


class Link(Struct, frozen=True, kw_only=True):
    """Relation of an event to an earlier one (CDEvents connected events)."""

    target: str
    """Id of the earlier event."""
    kind: str = "TRIGGER"


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened, for the ledger.

    Args:
        id: Unique for ever and deterministic, so that writing it twice is writing it once.
        stream: Chain it belongs to: ``env/prod``, ``repo/shop`` or ``org``.
        type: CDEvents type, such as ``dev.cdevents.service.deployed.0.3.0``.
        subject: Id of the subject.
        content: The subject's content as that type demands.
        chain: Groups all events of one Change.
        links: Earlier events that led to this one.
        data: What Andon adds (CDEvents customData).
    """

    id: str
    stream: str
    type: str
    subject: str
    content: dict[str, Any] = {}
    chain: str = ""
    links: tuple[Link, ...] = ()
    data: dict[str, Any] = {}


class Decision(Struct, frozen=True, kw_only=True):
    """A controller's answer; all of it is committed in one transaction, or nothing.

    Args:
        status: The object's new status; None leaves it.
        steps: Step rows to write (by name).
        create: Objects to create.
        ask: Actions to perform once the transaction is durable.
        consumed: Keys of action rows whose outcome this decision used up.
        events: Events for the ledger.
        samples: Raw observations to keep, so that a verdict can be decided again from them.
        wake: When to look again, in seconds since the Unix epoch; None: when something changes.
    """

    status: Any = None
    steps: tuple[StepRow, ...] = ()
    create: tuple[NewObject, ...] = ()
    ask: tuple[Ask, ...] = ()
    consumed: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    samples: tuple[dict[str, Any], ...] = ()
    wake: float | None = None


class Controller(Protocol):
    """Pure and level-triggered: the same view gives the same decision, however often it is asked."""

    kind: str

    def select(self, obj: Object) -> dict[str, Selector]:
        """Name the objects this one must see to decide."""
        ...

    def wakes(self, changed: Object) -> tuple[Selector, ...]:
        """Say which objects of this controller's kind care that another object changed."""
        ...

    def reconcile(self, view: View, now: float) -> Decision:
        """Decide.

        Args:
            view: What is known.
            now: Seconds since the Unix epoch.
        """
        ...
