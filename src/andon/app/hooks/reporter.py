"""Tells forges how the commits of their repositories fare.

A subscriber of the ledger like any other, so it is told at least once, by one worker at a time, goes
on after a crash, and what cannot be told is a dead letter. What is sent is how the commit stands when
it is sent, not what the event said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version

from msgspec import Struct

from andon.adapters.outbound import Guard, exchange, web_address
from andon.api.v1.control import Selector
from andon.api.v1.forges import HookSpec
from andon.api.v1.records import TERMINAL, Object
from andon.app.hooks.words import commit_status
from andon.app.shipping import slug
from andon.kernel.clock import Clock
from andon.kernel.errors import Denied, Unavailable
from andon.ports.hooks import Call, CommitStatus, Forge, Vault
from andon.ports.sinks import Gone, NotTaken, Outgoing
from andon.ports.store import Store, Tx
from andon.ports.store.outbox import Subscriber, Subscription

SCHEME = "hook"
TYPES = (
    "dev.cdevents.change.",
    "dev.cdevents.pipelinerun.",
    "dev.cdevents.service.",
    "dev.cdeventsx.andon-approval.",
    "dev.cdeventsx.andon-change.",
    "dev.cdeventsx.andon-hold.",
)
TIMEOUT_SECONDS = 10.0
MOST_ANSWER_BYTES = 64 << 10
MOST_REMEMBERED = 500
ACTIVE = 20
"""So many of the newest Changes are told when something happens that belongs to none."""
_LATER = (408, 425, 429)


def token_name(hook: str) -> str:
    """Name in the vault of what lets statuses be written."""
    return f"hook/{hook}/token"


def reports_name(hook: str) -> str:
    """Name of the subscriber that tells a hook's forge; people's have no dot in their names."""
    return f"hook.{hook}"


def reporting(tx: Tx, hook: str, by: str, now: float) -> Subscriber:
    """Make the subscriber that tells a hook's forge from now on."""
    spec = Subscription(
        name=reports_name(hook),
        url=f"{SCHEME}://{hook}",
        types=TYPES,
        created_at=now,
        created_by=by,
    )
    return Subscriber(spec=spec, cursor=tx.last_seq())


class Report(Struct, frozen=True, kw_only=True):
    """What a forge is to be told."""

    hook: HookSpec
    sha: str
    status: CommitStatus


class StatusSink:
    """Reports to the forge of one hook.

    Args:
        hook: Its name.
        store: Where Changes are looked up.
        vault: Opens the token.
        clock: The time.
        forges: By kind.
        guard: Where calls may lead.
        url: Of the installation, for links.
    """

    def __init__(
        self,
        hook: str,
        *,
        store: Store,
        vault: Vault,
        clock: Clock,
        forges: Mapping[str, Forge],
        guard: Guard,
        url: str,
    ) -> None:
        self._hook = hook
        self._store = store
        self._vault = vault
        self._clock = clock
        self._forges = forges
        self._guard = guard
        self._url = url
        self._told: dict[str, CommitStatus] = {}

    async def deliver(self, event: Outgoing) -> None:
        """Report what has changed for the commits that an event is about."""
        now = self._clock.now()
        look = partial(reports, event=event.id, hook=self._hook, url=self._url, now=now)
        for report in await self._store.read(look):
            if self._told.get(report.sha) != report.status:
                await self._report(report)
                self._remember(report)

    async def close(self) -> None:
        """Nothing stays open."""

    def _remember(self, report: Report) -> None:
        self._told.pop(report.sha, None)
        self._told[report.sha] = report.status
        if len(self._told) > MOST_REMEMBERED:
            del self._told[next(iter(self._told))]

    async def _report(self, report: Report) -> None:
        place = token_name(self._hook)
        token = await self._store.read(lambda tx: self._vault.open(tx, place))
        forge = self._forges[report.hook.forge]
        call = forge.status_call(report.hook, token or "", report.sha, report.status)
        code, answer = await asyncio.to_thread(_exchange, call, self._guard)
        if not 200 <= code < 300 and not forge.knows_already(code, answer):
            _refused(report.hook, code)


def _exchange(call: Call, guard: Guard) -> tuple[int, bytes]:
    answer = exchange(
        "POST",
        web_address(call.url),
        call.body,
        {**call.headers, "User-Agent": f"andon/{version('andon')}"},
        guard=guard,
        timeout_seconds=TIMEOUT_SECONDS,
        most_bytes=MOST_ANSWER_BYTES,
    )
    return answer.status, answer.body


def _refused(hook: HookSpec, code: int) -> None:
    said = f"{hook.api} answered {code} to a status of {hook.project}"
    if code in _LATER:
        raise Unavailable(said)
    if code >= 500 or code == 403:  # 403 is how GitHub says "later", too.
        raise NotTaken(f"{said}: may the token write statuses?" if code == 403 else said)
    hints = {401: "the token does not count (any more)", 404: "no such project for this token"}
    raise Denied(f"{said}: {hints.get(code, 'it will not take it')}")


def reports(tx: Tx, *, event: str, hook: str, url: str, now: float) -> list[Report]:
    """Say what a forge should know of the commits that an event is about."""
    found = tx.get("Hook", hook)
    row = tx.event(event)
    if found is None:
        raise Gone(f"there is no hook {hook}")
    if row is None:
        return []
    spec: HookSpec = found.spec
    return [
        Report(hook=spec, sha=change.spec.sha, status=commit_status(tx, change, url, now))
        for change in _changes(tx, row.chain, spec.repository)
    ]


def _changes(tx: Tx, chain: str, repository: str) -> list[Object]:
    """Return the Change of a chain; for what belongs to none, those that are under way."""
    if not chain:
        labels = {"repository": slug(repository)}
        newest = tx.list(Selector(kind="Change", labels=labels), limit=ACTIVE, newest_first=True)
        moving = [one for one in newest if one.status.phase not in TERMINAL]
        return [one for one in moving if one.spec.repository == repository]
    change = tx.get("Change", chain)
    if change is None or change.spec.repository != repository:
        return []
    return [_newest(tx, change)]


def _newest(tx: Tx, change: Object) -> Object:
    """Return the newest Change of the same commit: a forge keeps one status for all of them."""
    same = tx.list(Selector(kind="Change", labels={"sha": change.spec.sha}), newest_first=True)
    return next(one for one in same if one.spec.repository == change.spec.repository)
