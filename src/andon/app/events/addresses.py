"""Where subscribers are and what signs what they are told: sealed, beside what may be shown of it."""

from __future__ import annotations

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from andon.app.events.sinks import OWN, masked
from andon.app.secrets.safe import Vault
from andon.kernel.errors import NotFound, Unavailable, Untrusted
from andon.ports.sinks import Receiver
from andon.ports.store import Store, Tx
from andon.ports.store.outbox import Subscription

_AGAIN = (
    "remove the subscription and add it again; `andon subscriptions replay` tells what was missed"
)


class _Private(Struct, frozen=True):
    """What is sealed of a subscription."""

    url: str
    secrets: tuple[str, ...]


class Kept(Struct, frozen=True):
    """A subscription as the database has it.

    Args:
        spec: What may be shown.
        sealed: The rest; None: it is not there.
    """

    spec: Subscription
    sealed: str | None


class Addresses:
    """Keeps the secret half of subscriptions.

    Args:
        vault: Seals it.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def keep(
        self, tx: Tx, spec: Subscription, url: str, secrets: tuple[str, ...] = ()
    ) -> Subscription:
        """Seal where a subscriber is and what signs, in place of what was sealed before.

        Returns:
            The subscription to keep, which holds neither.
        """
        private = msgspec.json.encode(_Private(url, secrets)).decode()
        self._vault.seal(tx, _place(spec.name), private)
        return replace(spec, url=masked(url), sealed=True, signed_with=len(secrets), secrets=())

    def look(self, tx: Tx, spec: Subscription) -> Kept:
        """Return what ``open`` opens."""
        sealed = self._vault.sealed(tx, _place(spec.name)) if spec.sealed else None
        return Kept(spec, sealed)

    def open(self, kept: Kept) -> Receiver:
        """Open an address; blocks where the key was not used before.

        Raises:
            Unavailable: The key is not there.
            Untrusted: What is sealed was altered.
            NotFound: It was forgotten together with a lost key.
        """
        spec = kept.spec
        if not spec.sealed:
            return Receiver(name=spec.name, url=spec.url, mode=spec.mode, secrets=spec.secrets)
        private = self._private(kept)
        return Receiver(name=spec.name, url=private.url, mode=spec.mode, secrets=private.secrets)

    def forget(self, tx: Tx, name: str) -> None:
        """Forget what is sealed of a subscription."""
        self._vault.forget(tx, _place(name))

    def _private(self, kept: Kept) -> _Private:
        if kept.sealed is None:
            raise NotFound("its address was forgotten with the key that sealed it", hint=_AGAIN)
        try:
            text = self._vault.unseal(kept.sealed, _place(kept.spec.name))
        except Unavailable as error:
            raise Unavailable(
                f"its address cannot be opened: {error.message}", hint=error.hint
            ) from None
        except Untrusted as error:
            raise Untrusted(f"its address cannot be opened: {error.message}", hint=_AGAIN) from None
        return msgspec.json.decode(text, type=_Private)

    # --- what an earlier Andon kept in clear -------------------------------------------------------

    async def settle(self, store: Store) -> None:
        """Seal what an earlier Andon kept in clear."""
        await self._vault.settle(store, "addresses of subscriptions", _in_clear, self._seal)

    def _seal(self, tx: Tx, name: str) -> None:
        one = tx.subscriber(name)
        if one is not None:
            spec = self.keep(tx, one.spec, one.spec.url, one.spec.secrets)
            tx.put_subscriber(replace(one, spec=spec))


def _place(name: str) -> str:
    return f"subscription/{name}"


def _in_clear(tx: Tx) -> list[str]:
    """Name people's subscriptions that are not sealed; Andon's own hold nothing secret."""
    specs = [one.spec for one in tx.subscribers()]
    return [spec.name for spec in specs if not spec.sealed and OWN not in spec.name]
