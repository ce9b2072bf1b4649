"""Sealed values in the database, and what opens them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from andon.adapters.sealing import Envelopes, Key, key_source
from andon.adapters.sealing.keys import KeyFile, KeySource
from andon.api.v1.installation import SecretsKeySpec
from andon.api.v1.jobs import SecretRef
from andon.domains.delivery.rotation import opens_missing, tell_missing
from andon.kernel.clock import Randomness
from andon.kernel.errors import AndonError, NotFound, Unavailable
from andon.ports.asking import Asked
from andon.ports.store import Store, Tx

log = logging.getLogger(__name__)

SEALED = "sealed:"
"""Every sealed value is a setting whose key begins so; it opens under that key only."""
KEY = "sealing-key"
"""Setting that names the key of the installation; there is none before the first value is sealed."""


class Safe:
    """Keeps sealed values in the same transaction as what belongs to them.

    Args:
        source: Of the installation's key.
        randomness: For keys and nonces.
    """

    def __init__(self, source: KeySource, randomness: Randomness) -> None:
        self._source = source
        self._envelopes = Envelopes(source, randomness)

    async def ready(self, store: Store) -> str:
        """Have the key at hand, so that no transaction waits for it; made if nothing is sealed yet.

        Returns:
            Its name.

        Raises:
            Unavailable: It is not there.
        """
        known = await store.read(self.key_id)
        return (await asyncio.to_thread(self._envelopes.key, known)).id

    def key_id(self, tx: Tx) -> str:
        """Return the name of the key that seals; empty before the first value."""
        return tx.get_setting(KEY) or ""

    async def warm(self, store: Store) -> None:
        """Do that where something is sealed; a key that is not there is complained of."""
        if await store.read(self.key_id):
            try:
                await self.ready(store)
            except Unavailable as error:
                log.warning("secrets cannot be opened: %s", error)

    def put(self, tx: Tx, place: str, value: str) -> None:
        """Seal a value.

        Args:
            tx: A transaction.
            place: What it is; the same words open it.
            value: What nobody may read.
        """
        known = self.key_id(tx)
        key = self._envelopes.key(known)
        if not known:
            tx.put_setting(KEY, key.id)
        about = SEALED + place
        tx.put_setting(about, self._envelopes.seal(value, about, key.id))

    def open(self, text: str, place: str) -> str:
        """Open what ``sealed`` has found.

        Raises:
            Unavailable: The key is not there.
            Untrusted: It was altered, or belongs elsewhere.
        """
        return self._envelopes.open(text, SEALED + place)

    def fingerprint(self, text: str, key_id: str) -> str:
        """Return a digest that helps nobody without the key to guess a value."""
        return self._envelopes.fingerprint(text, key_id)

    # --- another key -----------------------------------------------------------------------------

    def next_key(self, old: Key | None) -> Key:
        """Return the key that everything is to be sealed by; blocks.

        Args:
            old: The one before, if somebody gave it: then what the installation names is the next.
        """
        if old is None and isinstance(self._source, KeyFile):
            return self._source.begin_change()
        return self._source.find("")

    def reseal(self, tx: Tx, new: Key, old: Key | None, *, lost: bool) -> tuple[int, int]:
        """Have another key seal everything, or nothing.

        Args:
            tx: A transaction.
            new: The key that counts from now on.
            old: The one before, if somebody gave it.
            lost: Forget what no key opens that there is.

        Returns:
            How many values there are, and how many were forgotten.

        Raises:
            Unavailable: A key is not there, and nobody said that it is lost.
        """
        found, forgotten = tx.settings(SEALED), 0
        for about, text in found.items():
            try:
                tx.put_setting(about, self._envelopes.reseal(text, about, new, old))
            except Unavailable:
                if not lost:
                    raise
                tx.remove_setting(about)
                forgotten += 1
        tx.put_setting(KEY, new.id)
        return len(found) - forgotten, forgotten

    def settle(self, new: Key) -> None:
        """Take note of the key that counts now; blocks."""
        self._envelopes.take_up(new)
        if isinstance(self._source, KeyFile):
            self._source.end_change(new)


def open_safe(spec: SecretsKeySpec, state: Path, randomness: Randomness) -> Safe:
    """Return the safe of an installation.

    Args:
        spec: Where its key is.
        state: Its state folder.
        randomness: For keys and nonces.
    """
    return Safe(key_source(spec, state, randomness), randomness)


def sealed(tx: Tx, place: str) -> str | None:
    """Return a value as it is kept, or None."""
    return tx.get_setting(SEALED + place)


def forget(tx: Tx, place: str) -> None:
    """Forget a value."""
    tx.remove_setting(SEALED + place)


def versions_kept(tx: Tx, environment: str, name: str) -> list[int]:
    """Return the versions of a secret whose values are kept."""
    prefix = SEALED + place_of(environment, name, "")
    return sorted(int(key.removeprefix(prefix)) for key in tx.settings(prefix))


def place_of(environment: str, name: str, version: int | str) -> str:
    """Return where a version of a secret lies.

    >>> place_of("prod", "db-password", 2)
    'secret/prod/db-password/2'
    """
    return f"secret/{environment}/{name}/{version}"


class Vault:
    """Andon's own secrets: of hooks, subscriptions, mail.

    Args:
        safe: Seals them.
    """

    def __init__(self, safe: Safe) -> None:
        self._safe = safe

    def seal(self, tx: Tx, name: str, value: str) -> None:
        """Keep a secret under a name, in place of the one before."""
        self._safe.put(tx, f"vault/{name}", value)

    def open(self, tx: Tx, name: str) -> str | None:
        """Return a secret, or None.

        Raises:
            Unavailable: The key is not there.
        """
        text = self.sealed(tx, name)
        return None if text is None else self.unseal(text, name)

    def sealed(self, tx: Tx, name: str) -> str | None:
        """Return a secret as it is kept, or None."""
        return sealed(tx, f"vault/{name}")

    def unseal(self, text: str, name: str) -> str:
        """Open what ``sealed`` has found; blocks where the key was not used before.

        Raises:
            Unavailable: The key is not there.
            Untrusted: It was altered, or belongs elsewhere.
        """
        return self._safe.open(text, f"vault/{name}")

    def forget(self, tx: Tx, name: str) -> None:
        """Forget a secret, if there is one."""
        forget(tx, f"vault/{name}")

    async def ready(self, store: Store) -> None:
        """Have the key at hand, so that no transaction waits for it.

        Raises:
            Unavailable: It is not there.
        """
        await self._safe.ready(store)

    async def veiled(self, store: Store, asked: Asked) -> Asked:
        """Have the digest of a wish help nobody to guess the secret in it; the key is at hand then."""
        key_id = await self._safe.ready(store)
        if not asked.fingerprint:
            return asked
        return replace(asked, fingerprint=self._safe.fingerprint(asked.fingerprint, key_id))

    async def settle(
        self,
        store: Store,
        what: str,
        in_clear: Callable[[Tx], Sequence[str]],
        seal: Callable[[Tx, str], None],
    ) -> None:
        """Seal what an earlier Andon kept in clear and overwrite that; complain where there is no key.

        Args:
            store: The durable store.
            what: It is, for people.
            in_clear: Names what is in clear.
            seal: Seals one of these.
        """

        def seal_all(tx: Tx) -> None:
            for name in in_clear(tx):
                seal(tx, name)

        if not await store.read(in_clear):
            return
        try:
            await self.ready(store)
            await store.transact(seal_all)
            await store.wipe()
        except AndonError as error:
            log.warning("%s: still in clear: %s", what, error)


class Reader:
    """The ``SecretReader``: opens secrets for jobs and services.

    Args:
        store: Where they lie.
        safe: Opens them.
    """

    def __init__(self, store: Store, safe: Safe) -> None:
        self._store = store
        self._safe = safe

    async def values(self, refs: Mapping[str, SecretRef]) -> Mapping[str, str]:
        """Return the values by environment variable."""
        if not refs:
            return {}
        found = await self._store.read(
            lambda tx: {variable: _find(tx, ref) for variable, ref in refs.items()}
        )
        return await asyncio.to_thread(
            lambda: {name: self._safe.open(text, place) for name, (place, text) in found.items()}
        )


def _find(tx: Tx, ref: SecretRef) -> tuple[str, str]:
    """Return where a secret lies, and what lies there."""
    known = tx.get("Secret", f"{ref.environment}.{ref.name}")
    if known is None:
        raise NotFound(
            tell_missing([ref.name], ref.environment), hint=opens_missing(ref.name, ref.environment)
        )
    version = ref.version or known.spec.version
    place = place_of(ref.environment, ref.name, version)
    text = sealed(tx, place)
    if text is None:
        raise NotFound(
            f"version {version} of secret {ref.name} in {ref.environment} is not kept any more",
            hint=f"it is at version {known.spec.version}: ship again, or `andon secret rotate`",
        )
    return place, text
