"""The query parameters every read understands, and the headers that tell how it was answered.

There is one server and it is always the leader, so `stale` and `consistent` read the same state;
they are checked and reported as Consul does.

Source: Consul 1.10 agent/http.go (parseInternal); Consul 1.10 docs, "Blocking Queries", "Consistency Modes".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from pellucid.api.request import Request
from pellucid.api.response import Headers, HttpError, bad_request
from pellucid.model.durations import SECOND, DurationError, parse_duration
from pellucid.model.go_text import quote

_UINT64 = re.compile(r"[0-9]{1,20}")
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))


class Consistency(StrEnum):
    """How fresh an answer was asked to be; the value is what the header says."""

    LEADER = "leader"
    STALE = "stale"
    CONSISTENT = "consistent"


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """How to answer a read."""

    consistency: Consistency = Consistency.LEADER
    cached: bool = False
    index: int = 0
    """Wait until the answer's index is above this; 0 answers at once."""
    wait_s: float = 0.0
    """How long to wait at most; 0 means the server's default."""
    content_hash: str = ""
    """Wait until the answer's hash is another (`agent/service/:id` only)."""


def query_options(request: Request, datacenter: str) -> QueryOptions:
    """Check the common parameters in Consul's order and read them. Raises HttpError."""
    check_namespace(request)
    check_datacenter(request.parameters.get("dc"), datacenter, FAILED_QUERY)
    consistency = _consistency(request)
    _check_cache_control(request)
    wait_s = _wait(request)
    return QueryOptions(
        consistency=consistency,
        cached="cached" in request.parameters,
        index=_index(request),
        wait_s=wait_s,
        content_hash=request.parameters.get("hash"),
    )


def check_namespace(request: Request) -> None:
    """Namespaces do not exist here. Raises HttpError."""
    if request.parameters.get("ns"):
        raise bad_request('Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature')
    if request.headers.get("x-consul-namespace"):
        raise bad_request('Invalid header: "X-Consul-Namespace" - Namespaces are a Consul Enterprise feature')


def check_datacenter(wanted: str, datacenter: str, headers: Headers = ()) -> None:
    """Only this datacenter can be asked. Raises HttpError with the given headers."""
    if wanted and wanted != datacenter:
        raise HttpError(500, "No path to datacenter", headers)


def parse_bool(text: str) -> bool | None:
    """A boolean as Go's strconv.ParseBool reads it; None for anything else."""
    if text in _TRUE:
        return True
    return False if text in _FALSE else None


def parse_uint64(text: str) -> int | None:
    """An unsigned 64-bit number in decimal; None for anything else."""
    if not _UINT64.fullmatch(text):
        return None
    number = int(text)
    return number if number < 2**64 else None


def _consistency(request: Request) -> Consistency:
    given = request.parameters
    stale = "stale" in given
    max_stale = given.get("max_stale")
    if max_stale:
        try:
            stale = parse_duration(max_stale) > 0 or stale
        except DurationError:
            raise HttpError(400, f"Invalid max_stale value {quote(max_stale)}") from None
    if stale and "consistent" in given:
        raise HttpError(400, "Cannot specify ?stale with ?consistent, conflicting semantics.")
    if "cached" in given and "consistent" in given:
        raise HttpError(400, "Cannot specify ?cached with ?consistent, conflicting semantics.")
    if stale:
        return Consistency.STALE
    return Consistency.CONSISTENT if "consistent" in given else Consistency.LEADER


def _check_cache_control(request: Request) -> None:
    header = request.headers.get("cache-control", "").lower()
    for directive in header.split(","):
        name, _, seconds = directive.strip().partition("=")
        if name in ("max-age", "stale-if-error") and parse_uint64(seconds) is None:
            raise HttpError(400, "Invalid Cache-Control header.")


def _wait(request: Request) -> float:
    text = request.parameters.get("wait")
    if not text:
        return 0.0
    try:
        return parse_duration(text) / SECOND
    except DurationError:
        raise HttpError(400, "Invalid wait time") from None


def _index(request: Request) -> int:
    text = request.parameters.get("index")
    if not text:
        return 0
    index = parse_uint64(text)
    if index is None:
        raise HttpError(400, "Invalid index")
    return index


FAILED_QUERY: Headers = (
    ("X-Consul-Index", "1"),
    ("X-Consul-Knownleader", "false"),
    ("X-Consul-Lastcontact", "0"),
    ("X-Consul-Query-Backend", "blocking-query"),
)
"""What a query that failed before it had a result says of itself."""


@dataclass(frozen=True, slots=True)
class Answered:
    """Which headers beside the index an endpoint's answers carry, and with what values."""

    known_leader: bool = True
    consistency: Consistency | None = None
    backend: str = "blocking-query"

    def headers(self, index: int) -> Headers:
        """The header set for an answer at `index`; 0 is sent as 1."""
        shown = (("X-Consul-Effective-Consistency", str(self.consistency)),) if self.consistency else ()
        return (
            *shown,
            ("X-Consul-Index", str(max(index, 1))),
            ("X-Consul-Knownleader", "true" if self.known_leader else "false"),
            ("X-Consul-Lastcontact", "0"),
            ("X-Consul-Query-Backend", self.backend),
        )


PLAIN = Answered()
UNKNOWN_LEADER = Answered(known_leader=False)
"""CA roots come from a cache that forgets who led."""


def consistent(options: QueryOptions) -> Answered:
    """For endpoints that report the consistency they read with."""
    return Answered(consistency=options.consistency)


def streamed(options: QueryOptions) -> Answered:
    """For health reads that Consul serves from its streaming backend."""
    return Answered(known_leader=False, consistency=options.consistency, backend="streaming")
