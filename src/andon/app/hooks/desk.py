"""Hooks as administrators manage them."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from andon.adapters.eventwebhook import new_secret, read_secret
from andon.adapters.git.locations import is_remote
from andon.api.v1 import answers
from andon.api.v1.control import Decision, NewObject, Selector
from andon.api.v1.forges import HookSpec
from andon.api.v1.records import Empty, Object
from andon.app.acting import Answer, act
from andon.app.events.subscriptions import subscription_json
from andon.app.hooks.deliveries import Deliveries, secret_name
from andon.app.hooks.reporter import reporting, reports_name, token_name
from andon.domains.line import events
from andon.kernel.clock import Clock, Randomness
from andon.kernel.errors import Conflict, NotFound, UsageError
from andon.ports.asking import Asked
from andon.ports.hooks import CommitStatus, Forge, Vault
from andon.ports.store import Store, Tx
from andon.runtime.turns import Turns

SECRET_BYTES = 32
LEAST_SECRET, MOST_SECRET = 16, 512
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_PART = r"(?!\.{1,2}(?:/|\Z))[\w.-]+"
_PROJECT = re.compile(f"{_PART}(/{_PART})*", re.ASCII)


class Hooks:
    """Answers for the hooks of an installation.

    Args:
        store: The durable store.
        turns: Writes objects.
        clock: The time.
        randomness: Where secrets come from.
        vault: Keeps them.
        forges: By kind.
        deliveries: Takes what forges send.
        url: Of the installation.
    """

    def __init__(
        self,
        *,
        store: Store,
        turns: Turns,
        clock: Clock,
        randomness: Randomness,
        vault: Vault,
        forges: Mapping[str, Forge],
        deliveries: Deliveries,
        url: str,
    ) -> None:
        self._store = store
        self._turns = turns
        self._clock = clock
        self._randomness = randomness
        self._vault = vault
        self._forges = forges
        self._deliveries = deliveries
        self._url = url.rstrip("/")

    async def take(self, name: str, headers: Mapping[str, str], body: bytes) -> answers.Delivery:
        """Take a message of a forge."""
        return await self._deliveries.take(name, headers, body)

    async def add(
        self,
        name: str,
        *,
        asked: Asked,
        forge: str,
        repository: str,
        branches: Sequence[str] = (),
        pull_requests: bool = True,
        api: str = "",
        project: str = "",
        token: str = "",
        secret: str = "",
    ) -> answers.HookWithSecret:
        """Listen to a forge.

        Raises:
            Conflict: There is a hook of that name.
            UsageError: Something cannot be put that way.
        """
        spec = HookSpec(
            forge=self._kind(forge),
            repository=repository,
            branches=tuple(branches),
            pull_requests=pull_requests,
            api=api,
            project=project,
            created_by=asked.by,
        )
        self._check(name, spec, token)
        secret, made = self._secret(secret)

        def write(tx: Tx) -> answers.HookWithSecret:
            if tx.get("Hook", name) is not None:
                raise Conflict(f"there is a hook {name} already", hint=f"andon hooks show {name}")
            self._vault.seal(tx, secret_name(name), secret)
            if token:
                self._vault.seal(tx, token_name(name), token.strip())
            new = NewObject(kind="Hook", name=name, spec=spec, status=Empty())
            self._turns.create(tx, Decision(create=(new,)), self._clock.now())
            if spec.api:
                tx.put_subscriber(reporting(tx, name, asked.by, self._clock.now()))
            self._note(tx, name, "added", asked, forge=forge, repository=repository)
            return _shown(self._json(tx.require("Hook", name)), made)

        return await self._act(asked, write)

    async def list(self) -> list[answers.Hook]:
        """List hooks."""
        found = await self._store.read(lambda tx: tx.list(Selector(kind="Hook")))
        return [self._json(one) for one in sorted(found, key=lambda one: one.name)]

    async def show(self, name: str) -> answers.HookInFull:
        """Return a hook, and how telling its forge goes."""

        def answer(tx: Tx) -> answers.HookInFull:
            shown = cast(answers.HookInFull, self._json(_require(tx, name)))
            teller = tx.subscriber(reports_name(name))
            if teller:
                shown["statuses"] = subscription_json(tx, teller)
            return shown

        return await self._store.read(answer)

    async def rotate(
        self, name: str, *, asked: Asked, secret: str = "", token: str = ""
    ) -> answers.HookWithSecret:
        """Replace the secret, or the token of the API; the one before counts no more."""
        if token and secret:
            raise UsageError(
                "secret and token are replaced one at a time", hint="--secret-file FILE"
            )
        if token:
            place, value, made = token_name(name), _clean(token, "token"), ""
        else:
            place = secret_name(name)
            value, made = self._secret(secret)

        def write(tx: Tx) -> answers.HookWithSecret:
            hook = _require(tx, name)
            if token and not hook.spec.api:
                raise UsageError(
                    f"{name} reports no statuses", hint="remove it and add it with --api"
                )
            self._vault.seal(tx, place, value)
            self._note(tx, name, "rotated", asked, what="token" if token else "secret")
            return _shown(self._json(hook), made)

        return await self._act(asked, write, name)

    async def remove(self, name: str, *, asked: Asked) -> answers.Hook:
        """Listen no more."""

        def write(tx: Tx) -> answers.Hook:
            hook = _require(tx, name)
            for one in (secret_name(name), token_name(name)):
                self._vault.forget(tx, one)
            tx.remove_subscriber(reports_name(name))
            tx.forget(hook)
            self._note(tx, name, "removed", asked)
            return self._json(hook)

        return await self._act(asked, write, name)

    # --- what can be put that way -----------------------------------------------------------------

    def _kind(self, forge: str) -> Any:
        if forge not in self._forges:
            known = ", ".join(self._forges)
            raise UsageError(f"{forge!r} is no forge known here", hint=f"--forge: one of {known}")
        return forge

    def _check(self, name: str, spec: HookSpec, token: str) -> None:
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} cannot be a hook's name",
                hint="lower-case letters, digits and - between them, at most 63",
            )
        is_remote(spec.repository)
        if bool(spec.api) != bool(token) or bool(spec.api) > bool(spec.project):
            raise UsageError(
                "to report statuses, the API's address, the project and a token are needed",
                hint="--api https://… --project owner/name --token-stdin",
            )
        if spec.project and not _PROJECT.fullmatch(spec.project):
            raise UsageError(f"{spec.project!r} is no project", hint="--project owner/name")
        if spec.api:
            _clean(token, "token")
            example = CommitStatus(state="pending", description="", url="")
            self._forges[spec.forge].status_call(spec, token, "0" * 40, example)

    def _secret(self, given: str) -> tuple[str, str]:
        """Return the secret to keep, and what to show of it: GitLab's form will do everywhere."""
        if given:
            return _checked_secret(given), ""
        made = new_secret(self._randomness.token(SECRET_BYTES))
        return made, made

    def _json(self, hook: Object) -> answers.Hook:
        """Show a hook, without its secrets."""
        spec: HookSpec = hook.spec
        return {
            "name": hook.name,
            "forge": spec.forge,
            "repository": spec.repository,
            "branches": builtins.list(spec.branches),
            "pullRequests": spec.pull_requests,
            "api": spec.api,
            "project": spec.project,
            "url": f"{self._url}/api/v1/hooks/{hook.name}/deliveries",
            "createdBy": spec.created_by,
            "createdAt": hook.created_at,
            "revision": str(hook.version),
        }

    # --- writing ----------------------------------------------------------------------------------

    async def _act(self, asked: Asked, fn: Callable[[Tx], Answer], name: str = "") -> Answer:
        now = self._clock.now()
        subject = ("Hook", name) if name else None
        return await self._store.transact(lambda tx: act(tx, asked, now, fn, subject=subject))

    def _note(self, tx: Tx, name: str, verb: str, asked: Asked, **more: str) -> None:
        event = events.extension(
            "hook",
            verb,
            id=f"hook/{name}/{verb}/{tx.last_seq() + 1}",
            stream="org",
            about=name,
            content={"by": asked.by, **more},
        )
        tx.append(event, self._clock.now())


def _require(tx: Tx, name: str) -> Object:
    found = tx.get("Hook", name)
    if found is None:
        raise NotFound(f"there is no hook {name}", hint="`andon hooks list` shows them")
    return found


def _shown(hook: answers.Hook, secret: str) -> answers.HookWithSecret:
    shown = cast(answers.HookWithSecret, hook)
    if secret:
        shown["secret"] = secret
    return shown


def _checked_secret(given: str) -> str:
    secret = _clean(given, "secret")
    if secret.startswith("whsec_"):
        read_secret(secret)
    if not LEAST_SECRET <= len(secret) <= MOST_SECRET:
        raise UsageError(
            f"a hook's secret has {LEAST_SECRET} to {MOST_SECRET} characters",
            hint="leave it out and one is made for you",
        )
    return secret


def _clean(given: str, what: str) -> str:
    """Refuse what could not stand in a header."""
    text = given.strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError(f"the {what} must be one line of ASCII characters without spaces")
    return text
