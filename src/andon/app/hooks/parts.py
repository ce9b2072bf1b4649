"""Puts hooks, statuses and notices together."""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec import Struct

from andon.adapters.forges import FORGES
from andon.adapters.notices import Chat, Mail
from andon.adapters.outbound import Guard
from andon.api.v1.alerts import AlertsSpec
from andon.api.v1.installation import InstallationSpec, MailSpec
from andon.app.events.sinks import InnerSinks
from andon.app.hooks import notices, reporter
from andon.app.hooks.deliveries import Deliveries
from andon.app.hooks.desk import Hooks
from andon.app.hooks.places import Places
from andon.app.secrets import safe
from andon.app.telemetry import receivers
from andon.kernel.clock import Clock, Randomness
from andon.ports import Source
from andon.ports.hooks import Refusals, Vault
from andon.ports.sinks import Receiver, Sink
from andon.ports.store import Store
from andon.runtime.turns import Turns


class Outward(Struct, frozen=True, kw_only=True):
    """What telling people and forges needs.

    Args:
        store: The durable store.
        clock: The time.
        vault: Opens tokens and addresses.
        guard: Where calls may lead.
        url: Of the installation, for links.
        mail: Its mail server, if any.
        alerts: Who is told of alerts.
    """

    store: Store
    clock: Clock
    vault: safe.Vault
    guard: Guard
    url: str
    mail: MailSpec | None = None
    alerts: AlertsSpec = AlertsSpec()


def address_of(installation: InstallationSpec) -> str:
    """Return how people reach an installation.

    >>> address_of(InstallationSpec())
    'http://127.0.0.1:7411'
    """
    scheme = "https" if installation.tls else "http"
    return installation.url or f"{scheme}://{installation.listen}"


def inner_sinks(parts: Outward) -> InnerSinks:
    """Return what opens Andon's own subscribers, by scheme."""
    mail = Mail(parts.mail) if parts.mail else None
    places, chat = Places(parts.vault), Chat(parts.guard)
    people = notices.Notices(parts.store, parts.clock, places, chat, mail, parts.url)
    return {
        reporter.SCHEME: lambda spec: _status_sink(parts, spec),
        notices.SCHEME: lambda _: people,
        receivers.SCHEME: lambda spec: _alert_sink(parts, spec),
    }


def _alert_sink(parts: Outward, spec: Receiver) -> Sink:
    return receivers.open_alert_sink(
        spec,
        parts.alerts,
        store=parts.store,
        clock=parts.clock,
        guard=parts.guard,
        mail=parts.mail,
        url=parts.url,
    )


def _status_sink(parts: Outward, spec: Receiver) -> Sink:
    return reporter.StatusSink(
        urlsplit(spec.url).netloc,
        store=parts.store,
        vault=parts.vault,
        clock=parts.clock,
        forges=FORGES,
        guard=parts.guard,
        url=parts.url,
    )


def hooks(
    *,
    store: Store,
    turns: Turns,
    source: Source,
    clock: Clock,
    randomness: Randomness,
    vault: Vault,
    refusals: Refusals,
    policy_branch: str = "main",
    notify: tuple[str, ...] = (),
    url: str,
) -> Hooks:
    """Return the ``HookService`` of an installation, whose address is ``url``."""
    deliveries = Deliveries(
        store=store,
        turns=turns,
        source=source,
        clock=clock,
        vault=vault,
        refusals=refusals,
        forges=FORGES,
        policy_branch=policy_branch,
        notify=notify,
    )
    return Hooks(
        store=store,
        turns=turns,
        clock=clock,
        randomness=randomness,
        vault=vault,
        forges=FORGES,
        deliveries=deliveries,
        url=url,
    )
