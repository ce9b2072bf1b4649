"""A Check: what is asked of a running system again and again, as its users would ask it."""

from typing import Annotated, Literal

from msgspec import Meta, field

from andon.api.v1.words import Name, Port, Spec, Variable

HEADER = r"^[A-Za-z0-9!#\x24%&'*+.^_`|~-]+$"
Header = Annotated[str, Meta(pattern=HEADER)]
Text = Annotated[str, Meta(max_length=10_000)]
HostPort = Annotated[
    str, Meta(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^\s:/]+):[0-9]{1,5}$", description="`host:port`.")
]
RecordType = Literal["A", "AAAA", "CAA", "CNAME", "MX", "NS", "SOA", "SRV", "TXT"]


class Expected(Spec, kw_only=True, frozen=True):
    """What an answer has to be."""

    status: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[1-5]([0-9]{2}|xx)$")], ...],
        Meta(min_length=1, description="Status codes, or classes such as `2xx`."),
    ] = ("2xx",)
    contains: Annotated[tuple[Text, ...], Meta(description="Texts in the body, each of them.")] = ()
    lacks: Annotated[tuple[Text, ...], Meta(description="Texts that are not in the body.")] = ()
    headers: Annotated[
        dict[Header, Text], Meta(description="Headers and a text that is in each.")
    ] = field(default_factory=dict)
    json: Annotated[
        dict[str, bool | float | str | None],
        Meta(description="Values by path, such as `items.0.name`."),
    ] = field(default_factory=dict)
    within_seconds: (
        Annotated[float, Meta(gt=0, description="Slower is a failure, though it was right.")] | None
    ) = None


class HttpRequest(Spec, kw_only=True, frozen=True):
    """A request, and what its answer has to be. ``{{name}}`` stands for what a step before captured."""

    url: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=2000,
            description="`https://…`, or a path: of the Check's service in its environment.",
        ),
    ]
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    headers: dict[Header, Text] = field(default_factory=dict)
    body: Annotated[str, Meta(max_length=100_000)] = ""
    expect: Expected = Expected()


class Step(HttpRequest, kw_only=True, frozen=True):
    """One request of several that belong together; cookies are kept between them."""

    name: Name
    capture: Annotated[
        dict[Variable, str],
        Meta(description="What later steps know: name to a path in the JSON that was answered."),
    ] = field(default_factory=dict)


class TcpQuestion(Spec, kw_only=True, frozen=True):
    """A connection, and perhaps a few words."""

    address: HostPort
    send: Text = ""
    expect: Annotated[Text, Meta(description="A text in what is answered first.")] = ""


class TlsQuestion(Spec, kw_only=True, frozen=True):
    """A certificate: is it trusted, is it for this name, and for how long yet?"""

    address: HostPort
    server_name: Annotated[str, Meta(description="Asked for; empty: the address's host.")] = ""
    min_days: Annotated[float, Meta(ge=0, description="It is good for at least so long.")] = 14
    ca_file: Annotated[str, Meta(description="Certificates trusted instead of the system's.")] = ""


class DnsQuestion(Spec, kw_only=True, frozen=True):
    """A name, as a server knows it."""

    name: Annotated[str, Meta(min_length=1, max_length=253)]
    type: RecordType = "A"
    server: Annotated[str, Meta(description="Address; empty: as this machine resolves.")] = ""
    port: Port = 53
    expect: Annotated[
        tuple[str, ...], Meta(description="Records that are there, all of them.")
    ] = ()


class BrowserStep(Spec, kw_only=True, frozen=True):
    """What somebody does on a page: one of the fields, in this order where there are several."""

    go: Annotated[str, Meta(description="Open this address, or path of the service.")] = ""
    fill: Annotated[
        dict[str, Text], Meta(description="Fields by CSS selector, and what goes in.")
    ] = field(default_factory=dict)
    click: Annotated[str, Meta(description="CSS selector.")] = ""
    see: Annotated[str, Meta(description="A text that is then on the page.")] = ""


class BrowserFlow(Spec, kw_only=True, frozen=True):
    """A walk through pages in Chromium (extra `browser`)."""

    steps: Annotated[tuple[BrowserStep, ...], Meta(min_length=1, max_length=50)]


class CheckSpec(Spec, kw_only=True, frozen=True):
    """Something asked of a running system again and again: exactly one of the kinds of question."""

    every_seconds: Annotated[float, Meta(ge=5, le=86_400)] = 30
    timeout_seconds: Annotated[float, Meta(gt=0, le=120, description="For all of one try.")] = 10
    retries: Annotated[
        int, Meta(ge=0, le=5, description="Tries at once after a failure, before it counts.")
    ] = 1
    failing_after: Annotated[
        int, Meta(ge=1, le=100, description="So many failures in a row, and it is failing.")
    ] = 2
    service: Annotated[Name | None, Meta(description="What it tells something of.")] = None
    environment: Annotated[Name | None, Meta(description="Where that is.")] = None
    workers: Annotated[
        tuple[Name, ...],
        Meta(description="Who asks: `here`, and workers on other machines by name."),
    ] = ("here",)
    http: HttpRequest | None = None
    steps: Annotated[tuple[Step, ...], Meta(max_length=50)] = ()
    tcp: TcpQuestion | None = None
    tls: TlsQuestion | None = None
    dns: DnsQuestion | None = None
    browser: BrowserFlow | None = None

    @property
    def questions(self) -> list[str]:
        """Names of the kinds of question it asks."""
        kinds = ("http", "steps", "tcp", "tls", "dns", "browser")
        return [kind for kind in kinds if getattr(self, kind)]


class CheckResult(Spec, kw_only=True, frozen=True, omit_defaults=True):
    """What came of asking once.

    Args:
        check: Its name.
        worker: Who asked.
        slot: The moment it was due, seconds since the Unix epoch: one result for each.
        at: When it was asked.
        seconds: How long it took, the last try alone.
        passed: Whether all was as expected.
        tries: How often it was asked: more than one tells of a flake, or of a failure.
        message: What was not.
        phases: Seconds of the parts: ``resolve``, ``connect``, ``tls``, ``first``, ``whole``; by step.
        days_left: Of a certificate.
    """

    check: Name
    worker: Name = "here"
    slot: float = 0
    at: float = 0
    seconds: float = 0
    passed: bool
    tries: int = 1
    message: str = ""
    phases: dict[str, float] = field(default_factory=dict)
    days_left: float | None = None
