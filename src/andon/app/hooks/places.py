"""Where people are told: sealed if who knows the address may write there, as with a chat's webhook."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from andon.api.v1.access import UserSpec
from andon.api.v1.control import Selector
from andon.api.v1.records import Object
from andon.app.events.sinks import masked
from andon.app.secrets.safe import Vault
from andon.kernel.errors import AndonError, NotFound
from andon.ports.asking import Asked
from andon.ports.store import Store, Tx

MAILTO = "mailto:"
MOST_PEOPLE = 10_000


class KeptPlaces(Struct, frozen=True):
    """A user's places as the database has them.

    Args:
        user: Name.
        spec: What may be shown.
        sealed: The rest; None: it is not there.
    """

    user: str
    spec: UserSpec
    sealed: str | None


class Places:
    """Keeps the secret half of where people are told.

    Args:
        vault: Seals it.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def veiled(self, store: Store, asked: Asked, notify: Sequence[str]) -> Asked:
        """Have the digest of a wish help nobody to guess the places in it; the key is at hand then."""
        return await self._vault.veiled(store, asked) if _is_secret(notify) else asked

    def keep(self, tx: Tx, user: str, notify: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
        """Seal where a user is told, if any of it is secret, in place of what was sealed before.

        Returns:
            ``notify`` and ``notify_sealed`` of the user to keep.
        """
        if not _is_secret(notify):
            self.forget(tx, user)
            return notify, False
        self._vault.seal(tx, _place(user), msgspec.json.encode(notify).decode())
        return tuple(map(shown, notify)), True

    def look(self, tx: Tx, user: Object) -> KeptPlaces:
        """Return what ``open`` opens."""
        spec: UserSpec = user.spec
        sealed = self._vault.sealed(tx, _place(user.name)) if spec.notify_sealed else None
        return KeptPlaces(user.name, spec, sealed)

    def open(self, kept: KeptPlaces) -> tuple[str, ...]:
        """Open where a user wants to be told; blocks where the key was not used before.

        Raises:
            Unavailable: The key is not there.
            Untrusted: What is sealed was altered.
            NotFound: It was forgotten together with a lost key.
        """
        if not kept.spec.notify_sealed:
            return kept.spec.notify
        where = f"where {kept.user} is told"
        if kept.sealed is None:
            raise NotFound(
                f"{where} was forgotten with the key that sealed it", hint=_again(kept.user)
            )
        try:
            text = self._vault.unseal(kept.sealed, _place(kept.user))
        except AndonError as error:
            raise type(error)(
                f"{where} cannot be opened: {error.message}", hint=error.hint
            ) from None
        return msgspec.json.decode(text, type=tuple[str, ...])

    def forget(self, tx: Tx, user: str) -> None:
        """Forget what is sealed of a user."""
        self._vault.forget(tx, _place(user))

    async def settle(self, store: Store) -> None:
        """Seal what an earlier Andon kept in clear."""
        await self._vault.settle(store, "where people are told", _in_clear, self._seal)

    def _seal(self, tx: Tx, name: str) -> None:
        user = tx.get("User", name)
        if user is not None:
            notify, is_sealed = self.keep(tx, name, user.spec.notify)
            tx.put_spec(user, replace(user.spec, notify=notify, notify_sealed=is_sealed))


def shown(place: str) -> str:
    """Return a place as it may be shown.

    >>> shown("https://hooks.example.com/T0/s3cret")
    'https://hooks.example.com/…'
    >>> shown("mailto:ann@example.com")
    'mailto:ann@example.com'
    """
    return place if place.startswith(MAILTO) else masked(place)


def _is_secret(notify: Sequence[str]) -> bool:
    return any(shown(one) != one for one in notify)


def _place(user: str) -> str:
    return f"notify/{user}"


def _again(user: str) -> str:
    return f"andon admin user change {user} --notify …"


def _in_clear(tx: Tx) -> list[str]:
    found = tx.list(Selector(kind="User"), limit=MOST_PEOPLE)
    return [one.name for one in found if not one.spec.notify_sealed and _is_secret(one.spec.notify)]
