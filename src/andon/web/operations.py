"""An operation: everything there is to know of one thing that may be asked over HTTP.

The routes, who may ask, the OpenAPI document and the Python client are all made of the one list of
operations in ``andon.web.api``. One without a rule cannot be written.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from andon.api.v1.access import EVERYWHERE, Identity, Verb
from andon.kernel.errors import AndonError, NotFound, NotLoggedIn, UsageError
from andon.ports.access import AccessService
from andon.ports.admin import AdminService
from andon.ports.alerts import AlertService, BudgetService
from andon.ports.asking import Asked
from andon.ports.builds import BuildService
from andon.ports.checks import CheckService
from andon.ports.hooks import HookService
from andon.ports.intake import IntakeService
from andon.ports.judging import JudgingService
from andon.ports.line import LineService
from andon.ports.logs import LogService
from andon.ports.metrics import MetricService
from andon.ports.objectives import ObjectiveService
from andon.ports.offices import Offices
from andon.ports.secrets import SecretService
from andon.ports.suites import SuitesService
from andon.ports.traces import TraceService
from andon.ports.workers import WorkerService

T = TypeVar("T")
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
SOMEWHERE = ""
"""In any environment at all; what the caller may not see is left out of the answer."""
PRIVILEGED: frozenset[Verb] = frozenset({"operate", "administer"})


class Call(Struct, kw_only=True):
    """One request, as its handler sees it.

    Args:
        offices: Who answers.
        request: The request.
        identity: Who asks; None: nobody knows.
        asked: The wish that goes with a write.
        query: Decoded query parameters, of the operation's ``query`` type.
        body: Decoded body, of the operation's ``body`` type.
    """

    offices: Offices
    request: Request
    identity: Identity | None
    asked: Asked = Asked(by="")
    query: Any = None
    body: Any = None

    @property
    def line(self) -> LineService:
        """The line."""
        return self.offices.line

    @property
    def access(self) -> AccessService:
        """The door."""
        return self.offices.access

    @property
    def admin(self) -> AdminService:
        """Andon itself."""
        return _there(self.offices.admin, self.request)

    @property
    def secrets(self) -> SecretService:
        """The vault."""
        return _there(self.offices.secrets, self.request)

    @property
    def hooks(self) -> HookService:
        """Forges."""
        return _there(self.offices.hooks, self.request)

    @property
    def suites(self) -> SuitesService:
        """How tests do."""
        return _there(self.offices.suites, self.request)

    @property
    def workers(self) -> WorkerService:
        """Workers on other machines."""
        return _there(self.offices.workers, self.request)

    @property
    def metrics(self) -> MetricService:
        """Metrics."""
        return _there(self.offices.metrics, self.request)

    @property
    def builds(self) -> BuildService:
        """Builds as people look at them."""
        return _there(self.offices.builds, self.request)

    @property
    def checks(self) -> CheckService:
        """What is asked of running systems."""
        return _there(self.offices.checks, self.request)

    @property
    def logs(self) -> LogService:
        """Log lines."""
        return _there(self.offices.logs, self.request)

    @property
    def traces(self) -> TraceService:
        """What requests went through."""
        return _there(self.offices.traces, self.request)

    @property
    def objectives(self) -> ObjectiveService:
        """What was promised, and how it stands."""
        return _there(self.offices.objectives, self.request)

    @property
    def alerts(self) -> AlertService:
        """What fires, and who is told."""
        return _there(self.offices.alerts, self.request)

    @property
    def budgets(self) -> BudgetService:
        """What services may still do by the error budget they have left."""
        return _there(self.offices.budgets, self.request)

    @property
    def intake(self) -> IntakeService:
        """What services tell of themselves."""
        return _there(self.offices.intake, self.request)

    @property
    def judging(self) -> JudgingService:
        """The judge beside a rollout."""
        return _there(self.offices.judging, self.request)

    @property
    def caller(self) -> Identity:
        """Who asks.

        Raises:
            NotLoggedIn: Nobody knows.
        """
        if self.identity is None:
            raise not_logged_in()
        return self.identity

    @property
    def address(self) -> str:
        """Where the request comes from."""
        client = self.request.client
        return client.host if client else "socket"

    def path(self, name: str) -> str:
        """Return a part of the path.

        Raises:
            UsageError: It cannot be a name.
        """
        found = str(self.request.path_params[name])
        if "\0" in found:
            raise UsageError(f"no {name} has a NUL in it")
        return found


def not_logged_in() -> NotLoggedIn:
    """Say that nobody knows who asks."""
    return NotLoggedIn(
        "this needs a token or a login",
        hint="`andon login URL`; over HTTP: `Authorization: Bearer TOKEN`",
    )


def _there(one: T | None, request: Request) -> T:
    if one is None:
        raise NotFound(f"there is nothing at {request.scope['path']}")
    return one


Handler = Callable[[Call], Awaitable[Any]]
Where = Callable[[Call], Awaitable[str]]


class Rule(Struct, frozen=True, kw_only=True):
    """What one must be allowed to do, and where.

    Args:
        verb: None: everybody may ask, who is asked only if it is known.
        where: Tells the environment; ``*``: everywhere, empty: somewhere.
        place: The same in words.
        reads: What is asked names a repository; one that is not on the line yet takes ``administer``.
    """

    verb: Verb | None
    where: Where
    place: str
    reads: bool = False


class Operation(Struct, frozen=True, kw_only=True):
    """One thing that may be asked.

    Args:
        name: Unique; method of the Python client, ``holds_lift``.
        method: Of HTTP.
        path: Behind ``/api/v1``.
        rule: Who may.
        handler: Answers; its docstring describes the operation.
        body: What must be sent.
        query: What may be in the query.
        answer: What comes back.
        status: HTTP status of success.
        media: Of the answer, if it is no JSON.
        takes: Media types of the body, if it is no JSON of ``body``.
        once: Honours ``Idempotency-Key``.
        revised: The subject has a revision, which ``If-Match`` may expect.
        resumes: A stream that goes on behind ``Last-Event-ID``.
        labels: Takes any other query parameters: labels that must match.
        refuses: Errors besides those that its parts bring.
        form: Fields of a form that may be sent as the body, with the query's fields among them.
        reads: Changes nothing, although it is no GET.
        basic: The token may come as the password of HTTP Basic, for tools that know nothing else.
        tells: Writes errors in another way than as problem documents, as clients expect it.
        cursor: Field of a row that ``after`` takes for the next page; empty: the list is no page.
    """

    name: str
    method: Method
    path: str
    rule: Rule
    handler: Handler
    body: type[Struct] | None = None
    query: type[Struct] | None = None
    answer: Any = dict[str, Any]
    status: int = 200
    media: str = "application/json"
    takes: tuple[str, ...] = ()
    once: bool = False
    revised: bool = False
    cursor: str = ""
    labels: bool = False
    resumes: bool = False
    refuses: tuple[type[AndonError], ...] = ()
    form: type[Struct] | None = None
    reads: bool = False
    basic: bool = False
    tells: Callable[[AndonError], Response] | None = None

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.method != "GET" and not self.reads


class Ask(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of what is sent."""


class Page(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of what a query may hold."""


# --- rules --------------------------------------------------------------------------------------


def everybody() -> Rule:
    """Nobody has to be known."""
    return Rule(verb=None, where=_everywhere, place="nowhere")


def everywhere(verb: Verb) -> Rule:
    """Allowed in all environments: what belongs to no single one."""
    return Rule(verb=verb, where=_everywhere, place="everywhere")


def somewhere(verb: Verb) -> Rule:
    """Allowed in any environment; rows of others are left out of the answer."""
    return Rule(verb=verb, where=_somewhere, place="anywhere")


def in_body(verb: Verb, field: str = "environment") -> Rule:
    """Allowed in the environment that the body names; without one, everywhere."""

    async def where(call: Call) -> str:
        return getattr(call.body, field) or EVERYWHERE

    place = f"in the environment of the body's `{field}`; everywhere without one"
    return Rule(verb=verb, where=where, place=place)


def in_query(verb: Verb, otherwise: str = SOMEWHERE) -> Rule:
    """Allowed in the environment that the query names."""

    async def where(call: Call) -> str:
        return getattr(call.query, "environment", "") or otherwise

    lacking = "everywhere" if otherwise == EVERYWHERE else "anywhere"
    place = f"in the environment of the query; {lacking} without one"
    return Rule(verb=verb, where=where, place=place)


def in_path(verb: Verb) -> Rule:
    """Allowed in the environment that the path names."""

    async def where(call: Call) -> str:
        return call.path("environment")

    return Rule(verb=verb, where=where, place="in the environment of the path")


def at_object(verb: Verb, kind: str, otherwise: str = EVERYWHERE) -> Rule:
    """Allowed where the Hold or Run is that the path names."""

    async def where(call: Call) -> str:
        return await call.line.place_of(kind, call.path("name")) or otherwise

    lacking = "everywhere" if otherwise == EVERYWHERE else "anywhere"
    return Rule(verb=verb, where=where, place=f"where the {kind} is; {lacking} if it is nowhere")


def of_known_repository(rule: Rule) -> Rule:
    """Allowed for repositories that are on the line; others bring rules of their own."""
    place = f"{rule.place}; a repository that was never shipped takes `administer` everywhere"
    return replace(rule, place=place, reads=True)


async def _everywhere(_: Call) -> str:
    return EVERYWHERE


async def _somewhere(_: Call) -> str:
    return SOMEWHERE


def encode(value: Any) -> bytes:
    """Write an answer as JSON."""
    return msgspec.json.encode(value)
