"""What people write about builds: Pipelines, their jobs, and Templates of jobs.

An *expression* is CEL (the Common Expression Language) and sees only values: ``change`` (``branch``,
``event``, ``author``, ``message``, ``paths``, ``trusted``), ``matrix``, ``params`` and ``shard``. It
stands alone in ``if``, and as ``${{ expression }}`` inside the texts that say so. Shell text never holds
one: what a stranger calls a branch would be run. Values reach a script as environment variables.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from andon.api.v1.words import Name, Port, Positive, Secrets, Spec, Variable

Scalar = str | int | float | bool
Expression = Annotated[
    str, Meta(min_length=1, max_length=1000, description="CEL over change, matrix and params.")
]
Text = Annotated[str, Meta(description="May hold `${{ expression }}`.")]
Pattern = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=300,
        description="Path in the work tree; `*` within a folder, `**` over folders.",
    ),
]
Level = Literal[
    "unit", "component", "integration", "contract", "end-to-end", "performance", "security"
]
"""Where a suite stands in the test pyramid."""


class Step(Spec, kw_only=True, frozen=True):
    """One piece of a job: a shell text, or a step that a plugin knows, with its settings."""

    name: Annotated[str, Meta(max_length=100)] = ""
    run: Annotated[str | None, Meta(description="Shell text, run by `sh -euc`.")] = None
    uses: Annotated[
        Name | None, Meta(description="A typed step, such as `python` or `node`; see docs.")
    ] = None
    settings: Annotated[
        dict[str, Scalar | tuple[Scalar, ...]],
        Meta(description="What the typed step takes; checked against its fields."),
    ] = field(default_factory=dict, name="with")
    env: dict[str, Text] = {}


class Matrix(Spec, kw_only=True, frozen=True):
    """One job for each combination; values reach it as ``$MATRIX_<NAME>`` and in expressions."""

    axes: Annotated[
        dict[Variable, Annotated[tuple[Scalar, ...], Meta(min_length=1, max_length=256)]],
        Meta(description="Values by name; every combination becomes a job."),
    ] = {}
    exclude: Annotated[
        tuple[dict[Variable, Scalar], ...],
        Meta(description="Combinations left out: all that have these values."),
    ] = ()
    include: Annotated[
        tuple[dict[Variable, Scalar], ...],
        Meta(
            description="Adds values to the combinations that have all the axes' values it names, "
            "without changing any; if there is none, it is one more combination."
        ),
    ] = ()
    fail_fast: Annotated[
        bool, Meta(description="When one fails, the others of the matrix are ended.")
    ] = True
    at_once: Annotated[int, Meta(ge=0, le=256, description="So many at a time; 0: no limit.")] = 0


class Retry(Spec, kw_only=True, frozen=True):
    """When a job that failed is run again, besides what the machine prevented."""

    times: Annotated[int, Meta(ge=1, le=10)] = 1
    reasons: Annotated[
        tuple[
            Literal["failure", "timeout", "out-of-memory", "machine"]
            | Annotated[int, Meta(ge=1, le=255)],
            ...,
        ],
        Meta(min_length=1, description="Why it failed; a number is an exit code."),
    ] = field(default=("failure",), name="on")


class Cache(Spec, kw_only=True, frozen=True):
    """Folders kept between Runs: brought where all that is declared is the same."""

    name: Name
    paths: Annotated[tuple[Pattern, ...], Meta(min_length=1, description="What is kept.")]
    key: Annotated[
        tuple[Pattern, ...],
        Meta(min_length=1, description="Files whose content decides, such as `requirements.txt`."),
    ]
    also: Annotated[tuple[Text, ...], Meta(description="Further texts that decide.")] = ()
    nearest: Annotated[
        bool, Meta(description="Where nothing fits, bring the newest of this name to start from.")
    ] = False


class Reports(Spec, kw_only=True, frozen=True):
    """Files a job leaves that are read as data; a file that is named and missing is a failure."""

    junit: tuple[Pattern, ...] = ()
    coverage: Annotated[
        tuple[Pattern, ...], Meta(description="Cobertura (XML) or LCOV, told apart by content.")
    ] = ()
    benchmark: Annotated[
        tuple[Pattern, ...],
        Meta(description="pytest-benchmark, Google Benchmark or `{name: seconds}` as JSON."),
    ] = ()


class JobArtifacts(Spec, kw_only=True, frozen=True):
    """Files that the jobs that need this one find at the same place."""

    paths: Annotated[tuple[Pattern, ...], Meta(min_length=1)]
    keep_days: Annotated[float, Meta(gt=0, le=400)] = 14


class ServiceReady(Spec, kw_only=True, frozen=True):
    """When a job's service counts as there: its port answers, unless said otherwise."""

    path: Annotated[str, Meta(pattern=r"^/\S*$", description="GET answers 2xx or 3xx.")] | None = (
        None
    )
    command: Annotated[str, Meta(description="Shell text that ends with 0.")] | None = None
    within_seconds: Annotated[float, Meta(gt=0, le=900)] = 60


class JobService(Spec, kw_only=True, frozen=True):
    """A program the job needs beside it; found at ``$<NAME>_HOST`` and ``$<NAME>_PORT``."""

    run: Annotated[
        str | None, Meta(description="Shell text in the job's sandbox; listens on `$PORT`.")
    ] = None
    image: Annotated[str | None, Meta(description="Or a container, by digest.")] = None
    port: Annotated[
        Port | None, Meta(description="Where a container listens; a process gets a free one.")
    ] = None
    env: dict[str, Text] = {}
    ready: ServiceReady = ServiceReady()


class Consent(Spec, kw_only=True, frozen=True):
    """A job that is done when so many people said so; it runs nothing."""

    count: Annotated[int, Meta(ge=1, le=10)] = 1
    people: Annotated[
        tuple[str, ...], Meta(description="`team:<name>` or `person:<name>`; empty: all who may.")
    ] = ()


class Group(Spec, kw_only=True, frozen=True):
    """Runs of one word, one at a time."""

    name: Annotated[Text, Meta(min_length=1, max_length=200)]
    when_busy: Annotated[
        Literal["queue", "cancel-older"],
        Meta(description="`queue` waits its turn in order; `cancel-older` ends what came before."),
    ] = "queue"


class JobLimits(Spec, kw_only=True, frozen=True):
    """What one job may take of the machine that runs it."""

    disk_bytes: (
        Annotated[
            int,
            Meta(
                ge=1 << 20,
                description="In its work tree and temporary files; a job that takes more is ended and "
                "has failed. Unset: what the disk has, but for what Andon keeps free.",
            ),
        ]
        | None
    ) = None


class BasicJob(Spec, kw_only=True, frozen=True):
    """What every job says."""

    needs: Annotated[tuple[Name, ...], Meta(description="Jobs that must pass first.")] = ()
    env: Annotated[dict[str, Text], Meta(description="Extra environment variables.")] = {}
    timeout_seconds: Annotated[
        float, Meta(gt=0, le=86400, description="Ended, with all its children, after this long.")
    ] = 600
    evidence: Annotated[
        Name | None,
        Meta(
            description="The check this job is Evidence for, such as `tests`; the job's name if unset."
        ),
    ] = None
    network: Annotated[
        bool, Meta(description="May use the network; refused in the sandbox otherwise.")
    ] = False
    always: Annotated[
        bool,
        Meta(
            description="A clean-up job: runs after what it needs has ended (after all other jobs if it "
            "needs none), whatever became of them, also when the Run failed or was cancelled."
        ),
    ] = False
    concurrency: Annotated[
        Name | None,
        Meta(
            description="Jobs of the same word run one at a time in the whole installation, in the "
            "order they were asked for."
        ),
    ] = None
    secrets: Secrets = {}
    limits: JobLimits = JobLimits()


class Job(BasicJob, kw_only=True, frozen=True):
    """Commands, run in a work tree and a process group of their own: `run`, `steps` or `approval`."""

    run: Annotated[str, Meta(min_length=1, description="Shell text, run by `sh -euc`.")] | None = (
        None
    )
    steps: tuple[Step, ...] = ()
    approval: Consent | None = None
    stage: Annotated[
        Name | None, Meta(description="One of `stages`: all jobs of earlier stages come first.")
    ] = None
    condition: Annotated[
        Expression | None, Meta(description="The job is skipped, by this rule, where it is false.")
    ] = field(default=None, name="if")
    paths: Annotated[
        tuple[Pattern, ...],
        Meta(description="Skipped, by this rule, where the change touches none of these."),
    ] = ()
    matrix: Matrix | None = None
    shards: Annotated[
        int,
        Meta(
            ge=1,
            le=64,
            description="The job is split so many times; `andon tests split` in it names its share, "
            "by recorded duration.",
        ),
    ] = 1
    level: Annotated[
        Level | None, Meta(description="Where its tests stand in the test pyramid.")
    ] = None
    blocking: Annotated[
        bool,
        Meta(
            description="False: nothing waits for it; when it fails later, it still pulls the cord for "
            "what was built."
        ),
    ] = True
    resumes: Annotated[
        bool,
        Meta(description="May be run again by itself after the machine interrupted it."),
    ] = True
    retry: Retry | None = None
    inputs: Annotated[
        tuple[Pattern, ...],
        Meta(
            description="All files the job depends on: where none of them changed since it passed, "
            "nor what it says or needs, it counts as passed without running."
        ),
    ] = ()
    caches: tuple[Cache, ...] = ()
    artifacts: JobArtifacts | None = None
    reports: Reports = Reports()
    services: dict[Name, JobService] = {}
    image: Annotated[
        Text | None, Meta(description="Run in a container of this image, by digest.")
    ] = None
    runs_on: Annotated[
        tuple[Name, ...], Meta(description="Run by a remote worker that has all these labels.")
    ] = ()


class DeployJob(BasicJob, kw_only=True, frozen=True):
    """A job around a deployment; it sees the service's configuration and the gateway's addresses."""

    name: Name
    run: Annotated[str, Meta(min_length=1, description="Shell text, run by `sh -euc`.")]
    irreversible: Annotated[
        bool,
        Meta(
            description="Cannot be undone (a schema change): once it has run, Andon does not roll back "
            "past it by itself but stops and calls a person."
        ),
    ] = False


class Parameter(Spec, kw_only=True, frozen=True):
    """A value that a Template takes."""

    type: Literal["string", "integer", "number", "boolean"] = "string"
    description: str = ""
    default: Scalar | None = None
    required: bool = False
    enum: tuple[Scalar, ...] = ()


class TemplateSpec(Spec, kw_only=True, frozen=True):
    """Jobs that several Pipelines share, with typed parameters."""

    version: Annotated[str, Meta(pattern=r"^\d+\.\d+\.\d+$")]
    description: str = ""
    parameters: dict[Variable, Parameter] = {}
    jobs: Annotated[dict[Name, Job], Meta(min_length=1)]


class TemplateUse(Spec, kw_only=True, frozen=True):
    """Jobs of a Template, put into this Pipeline."""

    template: Name
    prefix: Annotated[
        Name | None,
        Meta(description="Jobs are called `<prefix>-<job>`; unset: as in the Template."),
    ] = None
    source: Annotated[
        str | None,
        Meta(description="Repository the Template is read from; unset: this one, at this commit."),
    ] = None
    revision: (
        Annotated[
            str, Meta(pattern=r"^[0-9a-f]{40}$", description="Full sha; needed with `source`.")
        ]
        | None
    ) = None
    file: Annotated[str, Meta(description="Where it is written there.")] = "andon.yaml"
    version: Annotated[
        str | None, Meta(description="Refuse another version than this (`1.2.0`, or `1` or `1.2`).")
    ] = None
    parameters: Annotated[dict[Variable, Scalar], Meta(description="Values of its parameters.")] = (
        field(default_factory=dict, name="with")
    )
    needs: Annotated[
        tuple[Name, ...], Meta(description="Needs of those of its jobs that need nothing.")
    ] = ()


class Triggers(Spec, kw_only=True, frozen=True):
    """Which commits are built at all; what is left out says so."""

    branches: Annotated[tuple[Pattern, ...], Meta(description="Only these.")] = ()
    paths: Annotated[
        tuple[Pattern, ...], Meta(description="Only commits that touch one of these.")
    ] = ()
    ignore_paths: Annotated[
        tuple[Pattern, ...], Meta(description="Not commits that touch nothing but these.")
    ] = ()


class Quarantine(Spec, kw_only=True, frozen=True):
    """A test known to be flaky: it still runs, and its failure alone does not stop the line."""

    test: Annotated[str, Meta(min_length=1, max_length=500, description="Its id, or a pattern.")]
    owner: Annotated[str, Meta(min_length=1, description="Who mends it.")]
    until: Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", description="The last day, UTC.")]
    reason: str = ""


class ScheduleEntry(Spec, kw_only=True, frozen=True):
    """When to build the newest commit again."""

    cron: Annotated[
        str,
        Meta(
            min_length=1,
            description="Minute, hour, day of the month, month, day of the week; or `@hourly`, `@daily`, "
            "`@weekly`, `@monthly`, `@yearly`. See docs/schedules.md for changes of the clock.",
        ),
    ]
    timezone: Annotated[
        str, Meta(description="IANA time zone the times are meant in, such as `Europe/Berlin`.")
    ] = "UTC"
    missed: Annotated[
        Literal["skip", "once"],
        Meta(
            description="What becomes of times at which Andon was down: `skip` leaves them out, as cron "
            "does; `once` makes up for all of them with one Run."
        ),
    ] = "skip"


class PipelineSpec(Spec, kw_only=True, frozen=True):
    """Jobs that turn a commit into artifacts and Evidence."""

    jobs: dict[Name, Job] = {}
    templates: Annotated[
        tuple[TemplateUse, ...], Meta(description="Jobs that come from Templates.")
    ] = ()
    stages: Annotated[tuple[Name, ...], Meta(description="In this order.")] = ()
    env: Annotated[dict[str, Text], Meta(description="Of every job.")] = {}
    concurrency: Group | None = None
    triggers: Triggers = Triggers()
    schedule: Annotated[
        tuple[ScheduleEntry, ...],
        Meta(
            description="When the jobs run again on the newest commit, for new Evidence; read from the "
            "policy branch. Nothing is promoted by it."
        ),
    ] = ()
    verdict_within_seconds: Annotated[
        Positive, Meta(description="The coffee budget: a commit has its verdict by then.")
    ] = 300.0
    quarantine: tuple[Quarantine, ...] = ()
    flake_budget_ratio: Annotated[
        float,
        Meta(ge=0, le=1, description="Share of Runs that may pass only on another attempt."),
    ] = 0.02


class ChangeFacts(Struct, frozen=True, kw_only=True):
    """What expressions and path rules know of a change.

    Args:
        branch: Its branch or tag.
        event: What brought it: ``push``, ``pull-request``, ``schedule`` or ``manual``.
        author: Who wrote it.
        message: The commit's message.
        paths: What it touches; None: not known, and then every path rule lets it through.
        trusted: False for a fork's or a stranger's unreviewed change: no secrets, caches read only.
    """

    branch: str = ""
    event: str = "push"
    author: str = ""
    message: str = ""
    paths: tuple[str, ...] | None = None
    trusted: bool = True
