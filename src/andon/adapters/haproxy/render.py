"""From the model to HAProxy's words: pure, so that it can be read and tested as text.

All paths are relative to the gateway's folder, where HAProxy is started. The same text is valid for
HAProxy 2.6 and 2.8.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container

from andon.adapters.haproxy.model import UNROUTED, Backend, Front, Model
from andon.adapters.haproxy.slots import weights_of
from andon.api.v1.definitions import ClientKey
from andon.calc.paths import LONGEST_PATH

KEEP_ALIVE_SECONDS = 10
"""A worker that was replaced lasts as long as its clients' idle connections."""
LINE = '{"b":"%b","s":"%ST","t":"%Ta","c":"%[var(txn.client)]","i":"%[var(txn.trace)]","x":"%[var(txn.span)]","y":"%[var(txn.made)]","u":"%[var(txn.path)]","e":"%ts","p":"%pid","d":"%[date(0,ms)]"}'
"""Log line: only names we chose, numbers and hex, so that no client can write into it."""
PATH_BYTES = LONGEST_PATH + 1
"""One more than is told, so that it is known that there was more."""


def render_config(model: Model) -> str:
    """Write the whole configuration."""
    fronts = [model.fronts[name] for name in sorted(model.fronts)]
    parts = [_global(model), _defaults(model), _unrouted()]
    for front in fronts:
        parts.append(_frontend(front))
        parts += [_backend(front, key, backend) for key, backend in front.backends.items()]
    return "\n".join(parts)


def render_map(front: Front, known: Container[str] | None = None) -> str:
    """Write which slots go to which backend.

    Args:
        front: The frontend.
        known: Backends that the reader has, if it is a worker from before some of them: slots of
            others go to the heaviest (else the newest) that it has.
    """
    slots = weights_of(front.spans)
    heirs = [key for key in front.backends if known is None or backend_name(front, key) in known]
    heir = max(reversed(heirs), key=lambda key: slots.get(key, 0), default="")
    owners = ((span, span.version if span.version in heirs else heir) for span in front.spans)
    return "".join(
        f"{span.first}:{span.last} {backend_name(front, owner)}\n"
        for span, owner in owners
        if owner
    )


def map_path(front: Front) -> str:
    """Name the map, for the file system and for the runtime commands alike."""
    return f"maps/{front.name}.map"


def backend_name(front: Front, version: str) -> str:
    """Name a version's backend: it is also its name in counters and log lines."""
    return f"{front.name}.{version}"


def socket_name(generation: int) -> str:
    """Name the socket of the worker that runs a generation of the configuration."""
    return f"worker-{generation}.sock"


def seed_of(front: Front) -> int:
    """Return the seed of a frontend's hash, so that cohorts of services are independent."""
    return int.from_bytes(hashlib.sha256(front.name.encode()).digest()[:4], "big")


def _global(model: Model) -> str:
    longest = max((front.route.timeout_seconds for front in model.fronts.values()), default=0)
    return f"""\
global
    log 127.0.0.1:{model.log_port} len 1024 format raw local0 info
    nbthread 1
    noreuseport
    maxconn 4000
    hard-stop-after {_milliseconds(longest + KEEP_ALIVE_SECONDS + 5)}
    stats socket unix@{socket_name(model.generation)} mode 600 level admin expose-fd listeners
    stats timeout 20d
    server-state-file servers.state
"""


def _defaults(model: Model) -> str:
    line = f"{model.token} {LINE}".replace('"', '\\"')
    return f"""\
defaults
    mode http
    log global
    log-format "{line}"
    option idle-close-on-response
    option redispatch 1
    retries 3
    retry-on conn-failure empty-response
    load-server-state-from-file global
    timeout connect 1s
    timeout client 60s
    timeout queue 5s
    timeout server 30s
    timeout http-request 10s
    timeout http-keep-alive {KEEP_ALIVE_SECONDS}s
"""


def _unrouted() -> str:
    return f"""\
backend {UNROUTED}
    http-request return status 503 content-type text/plain string "No version of this service runs here."
"""


def _frontend(front: Front) -> str:
    key = "\n".join(f"    {line}" for line in _client_key(front.route.client_key))
    slot = f"var(txn.key),xxh32({seed_of(front)}),mod(10000)"
    return f"""\
frontend {front.name}
    bind 127.0.0.1:{front.port}
    http-request disable-l7-retry unless METH_GET || METH_HEAD || METH_OPTIONS
    acl traced req.fhdr(traceparent) -m reg ^00-[0-9a-f]{{32}}-[0-9a-f]{{16}}-[0-9a-f]{{2}}$
    acl hollow req.fhdr(traceparent) -m reg ^00-(0{{32}}|[0-9a-f]{{32}}-0{{16}})-
    acl alone req.fhdr_cnt(traceparent) eq 1
    http-request set-var(txn.made) int(0)
    http-request set-var(txn.made) int(1) if !traced || hollow || !alone
    http-request set-header traceparent 00-%[uuid,regsub(-,,g)]-%[uuid,regsub(-,,g),bytes(0,16)]-01 if !traced || hollow || !alone
    http-request set-var(txn.trace) req.fhdr(traceparent),field(2,-)
    http-request set-var(txn.span) req.fhdr(traceparent),field(3,-)
    http-request set-var(txn.path) path,bytes(0,{PATH_BYTES}),hex
{key}
    http-request set-var(txn.client) var(txn.key),xxh64(1)
    use_backend %[{slot},map_int({map_path(front)},{UNROUTED})]
    default_backend {UNROUTED}
"""


def _client_key(key: ClientKey) -> list[str]:
    """The last rule that applies wins: address, then cookie, then header."""
    fetches = [f"req.cook({key.cookie})"] if key.cookie else []
    fetches += [f"req.fhdr({key.header})"] if key.header else []
    return ["http-request set-var(txn.key) src,concat()"] + [
        f"http-request set-var(txn.key) {fetch} if {{ {fetch} -m len gt 0 }}" for fetch in fetches
    ]


def _backend(front: Front, version: str, backend: Backend) -> str:
    health = backend.health
    inter = _milliseconds(health.interval_seconds)
    servers = "\n".join(
        f"    server {_server_name(endpoint)} {endpoint}" for endpoint in backend.endpoints
    )
    return f"""\
backend {backend_name(front, version)}
    timeout server {_milliseconds(front.route.timeout_seconds)}
    timeout check {_milliseconds(health.timeout_seconds)}
    option httpchk
    http-check send meth GET uri {_quoted(health.path)} ver HTTP/1.1 hdr Host localhost
    http-check expect status 200-399
    default-server check inter {inter} rise 1 fall 2 pool-purge-delay 2s
{servers}
"""


def _server_name(endpoint: str) -> str:
    return "at-" + endpoint.rpartition(":")[2]


def _quoted(text: str) -> str:
    """Quote a word so that HAProxy takes each of its characters literally."""
    return "'" + text.replace("'", "'\\''") + "'"


def _milliseconds(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"
