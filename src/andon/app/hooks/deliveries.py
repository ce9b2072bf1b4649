"""Messages of forges: checked, taken once, and then only a reason to look at the branch ourselves."""

from __future__ import annotations

import asyncio
import hashlib
import shlex
from collections.abc import Mapping
from typing import NoReturn

from msgspec import Struct
from msgspec.structs import replace

from andon.api.v1 import answers
from andon.api.v1.control import Decision, NewObject, Selector
from andon.api.v1.forges import DeliverySpec, HookSpec
from andon.api.v1.records import BUILD_ONLY, Empty, Object
from andon.app import shipping
from andon.kernel.clock import Clock, rfc3339
from andon.kernel.errors import Conflict, Denied, UsageError
from andon.ports import Source
from andon.ports.asking import Asked
from andon.ports.hooks import (
    GONE,
    MOST_BYTES,
    Forge,
    Passed,
    Proposed,
    Pushed,
    Refusals,
    Signed,
    Told,
    Vault,
)
from andon.ports.store import Store, Tx
from andon.runtime.turns import Turns

SKEW_SECONDS = 300.0
"""A signed time may differ from ours by so much; a message signed before is refused."""
KEPT_SECONDS = 90 * 86400.0
"""So long a message is known again; one that says it is older is refused."""
FORGOTTEN_AT_ONCE = 20
UNKNOWN = "forge:unknown"


def secret_name(hook: str) -> str:
    """Name in the vault of what a hook's messages are signed with."""
    return f"hook/{hook}/secret"


class Wish(Struct, frozen=True, kw_only=True):
    """What a message leads to.

    Args:
        branch: Branch whose head is taken.
        until: Empty, or ``BUILD_ONLY``.
    """

    branch: str
    until: str = ""


class Deliveries:
    """Takes messages.

    Args:
        store: The durable store.
        turns: The controllers, for the Change that is made.
        source: Where repositories are read.
        clock: The time.
        vault: Opens the hooks' secrets.
        refusals: Writes down who was refused.
        forges: By kind.
        policy_branch: Shipped where a hook names no branches.
        notify: Webhooks told whenever the line stops.
    """

    def __init__(
        self,
        *,
        store: Store,
        turns: Turns,
        source: Source,
        clock: Clock,
        vault: Vault,
        refusals: Refusals,
        forges: Mapping[str, Forge],
        policy_branch: str = "main",
        notify: tuple[str, ...] = (),
    ) -> None:
        self._store = store
        self._turns = turns
        self._source = source
        self._clock = clock
        self._vault = vault
        self._refusals = refusals
        self._forges = forges
        self._policy_branch = policy_branch
        self._notify = notify

    async def take(self, name: str, headers: Mapping[str, str], body: bytes) -> answers.Delivery:
        """Take a message; see ``HookService``."""
        known = {key.lower(): value for key, value in headers.items()}
        hook = await self._store.read(lambda tx: tx.get("Hook", name))
        signed = await self._signed(hook, known, body)
        if hook is None or signed is None:
            await self._refuse(hook)
        mark = await asyncio.to_thread(_mark, name, signed)
        await self._store.read(lambda tx: _refuse_known(tx, mark))
        told = await asyncio.to_thread(self._forges[hook.spec.forge].read, known, body)
        wish = self._wish(hook.spec, told)
        if isinstance(wish, dict):
            return wish
        _refuse_ancient(told, self._clock.now())
        return await self._ship(hook, wish, _asked(name, told), mark)

    async def _signed(
        self, hook: Object | None, headers: Mapping[str, str], body: bytes
    ) -> Signed | None:
        if len(body) > MOST_BYTES:
            raise UsageError(f"the message is longer than {MOST_BYTES} bytes")
        if hook is None:
            return None
        place = secret_name(hook.name)
        secret = await self._store.read(lambda tx: self._vault.open(tx, place))
        if not secret:
            return None
        forge = self._forges[hook.spec.forge]
        signed = await asyncio.to_thread(forge.signed, secret, headers, body)
        if signed and signed.signed_at:
            self._check_time(signed.signed_at)
        return signed

    def _check_time(self, signed_at: float) -> None:
        if abs(self._clock.now() - signed_at) > SKEW_SECONDS:
            raise Denied(
                "the message was not signed just now: it is refused as a repetition",
                hint="do this machine's and the forge's clocks agree?",
            )

    async def _refuse(self, hook: Object | None) -> NoReturn:
        who = f"forge:{hook.name}" if hook else UNKNOWN
        await self._refusals.denied(who, "hook", "", via="hook")
        raise Denied(
            "the message is not signed with the secret of a hook of this name",
            hint="`andon hooks list` names them; `andon hooks rotate NAME` makes a new secret",
        )

    def _wish(self, hook: HookSpec, told: Told) -> Wish | answers.Delivery:
        if isinstance(told, Passed):
            return _not_taken(told.reason)
        if _is_about_another(hook.project, told.project):
            return _not_taken(f"it is about {told.project}, not {hook.project}")
        if isinstance(told, Pushed):
            return self._pushed(hook, told)
        return _proposed(hook, told)

    def _pushed(self, hook: HookSpec, told: Pushed) -> Wish | answers.Delivery:
        wanted = hook.branches or (self._policy_branch,)
        if told.branch not in wanted:
            return _not_taken(f"{told.branch} is not shipped: {', '.join(wanted)} is")
        return Wish(branch=told.branch)

    async def _ship(self, hook: Object, wish: Wish, asked: Asked, mark: str) -> answers.Delivery:
        spec: HookSpec = hook.spec
        adopted, good = await self._store.read(
            lambda tx: shipping.what_came_before(tx, spec.repository, wish.branch)
        )
        proposed = wish.until == BUILD_ONLY
        # A tag may have the branch's name, so the branch is named in full.
        loaded = await asyncio.to_thread(
            shipping.load,
            *(self._source, spec.repository, f"refs/heads/{wish.branch}"),
            *(adopted, self._policy_branch),
            last_good=good,
            event="pull-request" if proposed else "push",
            trusted=not proposed,
        )
        loaded = replace(loaded, ref=wish.branch)
        now = self._clock.now()

        def put(tx: Tx) -> answers.Delivery:
            _refuse_known(tx, mark)
            change, created = shipping.put_change(
                tx,
                self._turns,
                loaded,
                until=wish.until,
                notify=self._notify,
                by=asked.by,
                now=now,
                emails=asked.emails,
            )
            delivery = DeliverySpec(hook=hook.name, change=change.name, at=now)
            _remember(tx, self._turns, mark, delivery)
            return {
                "taken": True,
                "change": change.name,
                "sha": change.spec.sha,
                "created": created,
                "ref": wish.branch,
            }

        return await self._store.transact(put)


def _is_about_another(wanted: str, project: str) -> bool:
    """Say whether a message is about another project; a number tells nothing of names."""
    return bool(wanted) and not wanted.isdigit() and wanted.casefold() != project.casefold()


def _asked(hook: str, told: Told) -> Asked:
    login = "nobody" if isinstance(told, Passed) else told.login
    emails = () if isinstance(told, Passed) else told.emails
    return Asked(by=f"forge:{hook}/{login}", emails=emails, via=f"hook {hook}")


def _proposed(hook: HookSpec, told: Proposed) -> Wish | answers.Delivery:
    if not hook.pull_requests:
        return _not_taken("pull requests are not built: the hook was made with --no-pull-requests")
    if not told.fork:
        return Wish(branch=told.branch, until=BUILD_ONLY)
    answer = _not_taken(
        f"#{told.number} comes from a fork, {told.fork}: what strangers propose is not run by itself"
    )
    if told.fork == GONE or not told.sha:
        return answer
    command = ["andon", "ship", told.sha, "--repository", told.fork, "--until", BUILD_ONLY]
    return {**answer, "command": shlex.join(command)}


def _not_taken(reason: str) -> answers.Delivery:
    return {"taken": False, "reason": reason}


# --- what was taken before ------------------------------------------------------------------------


def _mark(hook: str, signed: Signed) -> str:
    """Name a message by what is signed of it; ids in its headers are anybody's to choose."""
    found = hashlib.sha256(hook.encode() + b"\0")
    found.update(signed.content)
    return found.hexdigest()


def _refuse_known(tx: Tx, mark: str) -> None:
    known = tx.get("Delivery", mark)
    if known is not None:
        raise Conflict(
            f"this message was taken before, at {rfc3339(known.spec.at)}: {known.spec.change}",
            hint=f"andon why {known.spec.change}",
        )


def _refuse_ancient(told: Told, now: float) -> None:
    sent_at = 0.0 if isinstance(told, Passed) else told.sent_at
    if sent_at and sent_at < now - KEPT_SECONDS:
        raise Conflict(
            f"this message is of {rfc3339(sent_at)}: too old to know whether it was taken before",
            hint="`andon ship BRANCH` ships a branch as it is now",
        )


def _remember(tx: Tx, turns: Turns, mark: str, spec: DeliverySpec) -> None:
    labels = {"hook": spec.hook}
    new = NewObject(kind="Delivery", name=mark, spec=spec, status=Empty(), labels=labels)
    turns.create(tx, Decision(create=(new,)), spec.at)
    for old in tx.list(Selector(kind="Delivery"), limit=FORGOTTEN_AT_ONCE):
        if old.spec.at < spec.at - KEPT_SECONDS:
            tx.forget(old)
