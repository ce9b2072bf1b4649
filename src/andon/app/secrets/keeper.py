"""Secrets as people manage them: a new value of one is a release of all that runs with it."""

from __future__ import annotations

import asyncio
import re

from msgspec.structs import replace

from andon.adapters.sealing import Key, parse_key
from andon.api.v1 import answers
from andon.api.v1.access import SecretSpec
from andon.api.v1.control import Decision, Event, NewObject, Selector
from andon.api.v1.jobs import PIPELINES, SecretRef
from andon.api.v1.records import TERMINAL, Empty, EnvironmentRecordStatus, Object, RolloutPlan
from andon.app.acting import act
from andon.app.secrets.safe import Safe, forget, place_of, versions_kept
from andon.app.shapes import Json
from andon.domains.delivery.environment import note_finished
from andon.domains.delivery.rotation import (
    build_secrets,
    opens_missing,
    plan_rotation,
    refreshed,
    rotated_id,
    rotation_asked,
    uses,
    versions,
    waits_at_gate,
)
from andon.domains.line import events
from andon.kernel.clock import Clock
from andon.kernel.errors import Conflict, NotFound, Unavailable, UsageError
from andon.kernel.masking import SHORTEST_SECRET
from andon.ports.asking import Asked
from andon.ports.store import Store, Tx
from andon.runtime.turns import Turns

MOST_BYTES = 65536
RECENT = 200
"""So many of the newest Runs of an environment may wait at their gates or be on their way in."""
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class Secrets:
    """The ``SecretService``.

    Args:
        store: The durable store.
        turns: The controllers, for the rollouts that a rotation begins.
        safe: Seals the values.
        clock: The time.
    """

    def __init__(self, store: Store, turns: Turns, safe: Safe, clock: Clock) -> None:
        self._store = store
        self._turns = turns
        self._safe = safe
        self._clock = clock

    async def put(
        self, environment: str, name: str, value: str, *, asked: Asked, create: bool
    ) -> answers.ReleasedSecret:
        """Keep a value: a new secret, or a new version of one."""
        _check_name(environment, name)
        check_value(value)
        key_id = await self._safe.ready(self._store)
        if asked.fingerprint:  # A digest of the value would tell who guesses it right.
            asked = replace(asked, fingerprint=self._safe.fingerprint(asked.fingerprint, key_id))
        now = self._clock.now()

        def write(tx: Tx) -> answers.ReleasedSecret:
            return put_secret(
                *(tx, self._turns, self._safe, environment, name, value),
                by=asked.by,
                create=create,
                now=now,
            )

        subject = ("Secret", f"{environment}.{name}")
        return await self._store.transact(lambda tx: act(tx, asked, now, write, subject=subject))

    async def list(self, *, environment: str = "") -> list[answers.Secret]:
        """List every secret, by environment and name."""
        return await self._store.read(lambda tx: list_secrets(tx, environment))

    async def remove(self, environment: str, name: str, *, asked: Asked) -> answers.Secret:
        """Forget a secret with all its values."""
        now, subject = self._clock.now(), ("Secret", f"{environment}.{name}")

        def write(tx: Tx) -> answers.Secret:
            return remove_secret(tx, self._turns, environment, name, by=asked.by, now=now)

        return await self._store.transact(lambda tx: act(tx, asked, now, write, subject=subject))

    async def rewrap(self, *, old_key: str, lost: bool, asked: Asked) -> answers.Sealed:
        """Have another key seal everything; the values stay, and so does what runs.

        Args:
            old_key: The key before, where the installation names the next one already; empty: Andon
                makes the next key in its file.
            lost: Forget what was sealed by a key that is lost.
            asked: Who asks.

        Returns:
            ``{key, before, values, forgotten}``: names of the keys, and how many values there are.
        """
        old = _given_key(old_key) if old_key else None
        new = await asyncio.to_thread(self._safe.next_key, old)
        now = self._clock.now()

        def write(tx: Tx) -> answers.Sealed:
            before = self._safe.key_id(tx)
            if before == new.id:
                raise Conflict(
                    "everything is sealed by that key already",
                    hint="name another in `secretsKey`, start Andon again, then "
                    "`andon secret rewrap --old-key-file FILE`",
                )
            values, forgotten = self._safe.reseal(tx, new, old, lost=lost)
            about: answers.Sealed = {
                "key": new.id,
                "before": before,
                "values": values,
                "forgotten": forgotten,
            }
            id = f"secret/sealed/{tx.last_seq() + 1}"
            tx.append(_event("sealed", id, "org", new.id, by=asked.by, **about), now)
            return about

        answer = await self._store.transact(lambda tx: act(tx, replace(asked, key=""), now, write))
        await asyncio.to_thread(self._safe.settle, new)
        return answer


def _given_key(text: str) -> Key:
    try:
        return parse_key(text.encode(), "what was given as the old key")
    except Unavailable as error:
        raise UsageError(error.message, hint=error.hint) from None


def check_value(value: str) -> None:
    """Refuse what cannot be an environment variable, or could not be masked.

    Raises:
        UsageError: It is too short, too long, or has a NUL.
    """
    size = len(value.encode(errors="surrogateescape"))
    if "\0" in value:
        raise UsageError("a secret has no NUL: it becomes an environment variable", hint="base64")
    if size < SHORTEST_SECRET:
        raise UsageError(
            f"the secret has {size} bytes; less than {SHORTEST_SECRET} cannot be kept out of logs",
            hint="use a longer one, or plain `config` if it is none",
        )
    if size > MOST_BYTES:
        raise UsageError(
            f"the secret has {size:,} bytes; at most {MOST_BYTES:,} are kept",
            hint="keep large files elsewhere, and their key here",
        )


def _check_name(environment: str, name: str) -> None:
    for what, text in (("environment", environment), ("secret", name)):
        if not _NAME.fullmatch(text):
            raise UsageError(
                f"no {what} can be called {text!r}",
                hint="lower-case letters, digits and dashes, at most 63",
            )


def put_secret(
    tx: Tx,
    turns: Turns,
    safe: Safe,
    environment: str,
    name: str,
    value: str,
    *,
    by: str,
    create: bool,
    now: float,
) -> answers.ReleasedSecret:
    """Keep a value, and roll out again what runs with the secret; all or nothing.

    Raises:
        Conflict: It is to be new and is not.
        NotFound: It is not there to get a new value.
    """
    found = tx.get("Secret", f"{environment}.{name}")
    where = "pipelines" if environment == PIPELINES else environment
    if create and found is not None:
        raise Conflict(
            f"secret {name} is set in {where} already, version {found.spec.version}",
            hint=opens_missing(name, environment).replace(" set ", " rotate "),
        )
    if not create and found is None:
        raise NotFound(
            f"there is no secret {name} in {where}", hint=opens_missing(name, environment)
        )
    version = _next_version(tx, environment, name)
    spec = SecretSpec(name=name, environment=environment, version=version, by=by, at=now)
    safe.put(tx, place_of(environment, name, version), value)
    _write(tx, turns, found, spec, now)
    runs = _release(tx, turns, spec, now)
    verb = "set" if create else "rotated"
    tx.append(_event(verb, rotated_id(spec), _stream(environment), name, **_facts(spec)), now)
    _drop_unused(tx, spec)
    kept = tx.require("Secret", f"{environment}.{name}")
    return {**_secret_json(tx, kept), "runs": [run.name for run in runs]}


def _write(tx: Tx, turns: Turns, found: Object | None, spec: SecretSpec, now: float) -> None:
    if found is not None:
        turns.announce(tx, tx.put_spec(found, spec), now)
        return
    new = NewObject(
        kind="Secret",
        name=f"{spec.environment}.{spec.name}",
        spec=spec,
        status=Empty(),
        labels={"environment": spec.environment, "name": spec.name},
    )
    turns.create(tx, Decision(create=(new,)), now)


def _next_version(tx: Tx, environment: str, name: str) -> int:
    """Count on over removals: a version never stands for two values."""
    key = f"secret-version:{environment}/{name}"
    version = int(tx.get_setting(key) or "0") + 1
    tx.put_setting(key, str(version))
    return version


def _release(tx: Tx, turns: Turns, spec: SecretSpec, now: float) -> list[NewObject]:
    """Roll out what runs with the secret, and plan again what waits at a gate."""
    record = tx.get("Environment", spec.environment)
    if record is None:
        return []
    here = {"environment": spec.environment}
    newest = versions(tx.list(Selector(kind="Secret", labels=here)))
    recent = tx.list(Selector(kind="Run", labels=here), limit=RECENT, newest_first=True)
    for run in recent:
        if waits_at_gate(run) and uses(run.spec.rollout, spec):
            plan = refreshed(run.spec.rollout, newest)
            turns.wake(tx, tx.put_spec(run, replace(run.spec, rollout=plan)), now)
    status = note_finished(record.status, recent)
    running = [tx.get("Run", name) for name in status.runs.values()]
    made = [
        plan_rotation(run, record.spec, spec, newest)
        for run in running
        if run is not None and uses(run.spec.rollout, spec)
    ]
    turns.create(tx, Decision(create=tuple(made), events=tuple(map(rotation_asked, made))), now)
    return made


def _drop_unused(tx: Tx, spec: SecretSpec) -> None:
    """Forget the values that nothing can go back to."""
    wanted = {
        ref.version
        for ref in _refs(_plans_to_keep(tx, spec.environment))
        if ref.name == spec.name and ref.environment == spec.environment
    }
    for version in versions_kept(tx, spec.environment, spec.name):
        if version != spec.version and version not in wanted:
            forget(tx, place_of(spec.environment, spec.name, version))


def _plans_to_keep(tx: Tx, environment: str) -> dict[str, RolloutPlan]:
    """Return the plans of what runs, may be gone back to, or is on its way, by Run."""
    record = tx.get("Environment", environment)
    if record is None:
        return {}
    status: EnvironmentRecordStatus = record.status
    history: dict[str, list[list[str]]] = status.memory.get("history", {})
    names = {name for known in history.values() for name, _ in known}
    names |= {*status.runs.values(), *status.previous.values()}
    found = [tx.get("Run", name) for name in names]
    recent = Selector(kind="Run", labels={"environment": environment})
    found += [
        run
        for run in tx.list(recent, limit=RECENT, newest_first=True)
        if run.status.phase not in TERMINAL
    ]
    return {run.name: run.spec.rollout for run in found if run is not None}


def _refs(plans: dict[str, RolloutPlan]) -> list[SecretRef]:
    return [ref for plan in plans.values() for ref in plan.secrets.values()]


def list_secrets(tx: Tx, environment: str) -> list[answers.Secret]:
    """Show the secrets of an environment; of all if it is empty."""
    labels = {"environment": environment} if environment else {}
    found = tx.list(Selector(kind="Secret", labels=labels), limit=10_000)
    return [_secret_json(tx, one) for one in sorted(found, key=lambda one: one.name)]


def remove_secret(
    tx: Tx, turns: Turns, environment: str, name: str, *, by: str, now: float
) -> answers.Secret:
    """Forget a secret with all its values.

    Raises:
        NotFound: There is none.
        Conflict: Something runs with it, or is on its way in.
    """
    found = tx.get("Secret", f"{environment}.{name}")
    if found is None:
        raise NotFound(
            f"there is no secret {name} in {environment}", hint="`andon secret list` shows them"
        )
    shown = _secret_json(tx, found)
    if environment != PIPELINES and shown["usedBy"]:
        raise Conflict(
            f"{', '.join(shown['usedBy'])} in {environment} needs secret {name}",
            hint="ship a version that does not name it first",
        )
    for version in versions_kept(tx, environment, name):
        forget(tx, place_of(environment, name, version))
    tx.forget(found)
    facts = {**_facts(found.spec), "by": by}
    id = f"{rotated_id(found.spec)}/removed"
    tx.append(_event("removed", id, _stream(environment), name, **facts), now)
    return shown


def _secret_json(tx: Tx, one: Object) -> answers.Secret:
    spec: SecretSpec = one.spec
    return {
        "name": spec.name,
        "environment": spec.environment,
        "version": spec.version,
        "by": spec.by,
        "at": spec.at,
        "usedBy": _used_by(tx, spec),
        "revision": str(one.version),
    }


def _facts(spec: SecretSpec) -> Json:
    return {
        "name": spec.name,
        "environment": spec.environment,
        "version": spec.version,
        "by": spec.by,
    }


def _used_by(tx: Tx, spec: SecretSpec) -> list[str]:
    """Name the services that need a secret there; the repositories, for builds."""
    if spec.environment == PIPELINES:
        newest: dict[str, Object] = {}
        for change in tx.list(Selector(kind="Change"), limit=RECENT, newest_first=True):
            newest.setdefault(change.labels.get("repository", ""), change)
        return sorted(name for name, one in newest.items() if spec.name in build_secrets(one.spec))
    record = tx.get("Environment", spec.environment)
    status = record.status if record else EnvironmentRecordStatus()
    here = {*status.runs.values(), *status.previous.values()}
    plans = _plans_to_keep(tx, spec.environment)
    on_their_way = {name for name in plans if _is_under_way(tx, name)}
    found = [plan for name, plan in plans.items() if name in here | on_their_way]
    return sorted({plan.service for plan in found if _needs(plan, spec)})


def _is_under_way(tx: Tx, name: str) -> bool:
    run = tx.get("Run", name)
    return run is not None and run.status.phase not in TERMINAL


def _needs(plan: RolloutPlan, spec: SecretSpec) -> bool:
    jobs = (*plan.pre_deploy, *plan.post_deploy)
    return uses(plan, spec) or any(
        ref.name == spec.name for job in jobs for ref in job.secrets.values()
    )


def _stream(environment: str) -> str:
    return "org" if environment == PIPELINES else events.environment_stream(environment)


def _event(verb: str, id: str, stream: str, about: str, **content: object) -> Event:
    if "environment" in content:
        content["environment"] = {"id": content["environment"]}
    return events.extension("secret", verb, id=id, stream=stream, about=about, content=content)
