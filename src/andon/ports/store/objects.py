"""Objects, their steps and raw observations, and settings."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any, Protocol

from andon.api.v1.control import NewObject, Selector
from andon.api.v1.records import Object, StepRow
from andon.api.v1.steps import Steps


class Objects(Protocol):
    """The part of a transaction that keeps what is."""

    def get(self, kind: str, name: str) -> Object | None:
        """Return an object, or None."""
        ...

    def require(self, kind: str, name: str) -> Object:
        """Return an object.

        Raises:
            NotFound: There is none; the hint names the nearest ones.
        """
        ...

    def list(
        self, selector: Selector, *, limit: int = 1000, after: str = "", newest_first: bool = False
    ) -> builtins.list[Object]:
        """Return the objects a selector matches, oldest first by uid.

        Args:
            selector: Kind, labels (all must match) and name.
            limit: At most so many.
            after: Go on behind this uid.
            newest_first: Turn the order around.
        """
        ...

    def create(self, new: NewObject, uid: str, now: float) -> tuple[Object, bool]:
        """Create an object unless one of that kind and name exists.

        Returns:
            The object there is now, and whether this call created it.
        """
        ...

    def put_status(self, obj: Object, status: Any) -> Object:
        """Write a status if nobody changed the object since it was read.

        Raises:
            Conflict: Somebody did.
        """
        ...

    def put_spec(self, obj: Object, spec: Any, labels: dict[str, str] | None = None) -> Object:
        """Write the spec of a definition (and its labels, unless None).

        The generation grows by one if the spec differs; an equal write changes nothing.

        Raises:
            Conflict: Somebody changed the object since it was read.
        """
        ...

    def forget(self, obj: Object) -> None:
        """Delete an object with its steps, actions, samples and task; the ledger keeps its story."""
        ...

    def steps(self, uid: str) -> builtins.list[StepRow]:
        """Return the steps of a Run by position."""
        ...

    def steps_by_name(self, uid: str) -> Steps:
        """Return the steps of a Run, for the turn of its controller.

        They are the store's own, and good until this transaction writes a step. Of many that are over
        most are looked up when they are asked for: what is held does not grow as steps end.
        """
        ...

    def put_step(self, uid: str, row: StepRow) -> None:
        """Write a step, replacing the one of that name."""
        ...

    def add_samples(self, uid: str, bodies: Sequence[dict[str, Any]]) -> None:
        """Keep raw observations of a Run."""
        ...

    def samples(self, uid: str, after: int = 0) -> builtins.list[dict[str, Any]]:
        """Return them in order, without the first ``after``."""
        ...

    def get_setting(self, key: str) -> str | None:
        """Return a setting, or None."""
        ...

    def put_setting(self, key: str, value: str) -> None:
        """Write a setting."""
        ...

    def settings(self, prefix: str) -> dict[str, str]:
        """Return the settings whose keys begin so, by key."""
        ...

    def remove_setting(self, key: str) -> None:
        """Forget a setting, if there is one."""
        ...
