"""What several kinds of config entries have in common: errors, meta, upstream settings, HTTP matches.

Source: Consul 1.10 docs, "Configuration Entries"; agent/structs/config_entry*.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from pellucid.model.durations import Nanoseconds
from pellucid.model.go_text import errors_occurred, quote
from pellucid.model.services import MeshGatewayConfig
from pellucid.model.wire import AlwaysWritten, UInt32

META_MAX_PAIRS = 64
META_KEY_MAX_LENGTH = 128
META_VALUE_MAX_LENGTH = 512
"""Also the longest description of an intention. Lengths are in bytes."""

HTTP_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"))


class ConfigEntryError(ValueError):
    """The entry breaks a rule of its kind; `str()` is Consul's text for it."""


def require(condition: bool, text: str) -> None:
    """Raise ConfigEntryError with `text` unless `condition` holds."""
    if not condition:
        raise ConfigEntryError(text)


def validate_meta(meta: Mapping[str, str]) -> None:
    """Check the sizes of `Meta`. Raises ConfigEntryError naming every pair that is too long."""
    errors = []
    if len(meta) > META_MAX_PAIRS:
        errors.append(f"Meta exceeds maximum element count {META_MAX_PAIRS}")
    for key, value in meta.items():
        if byte_length(key) > META_KEY_MAX_LENGTH:
            errors.append(f"Meta key {quote(key)} exceeds maximum length {META_KEY_MAX_LENGTH}")
        if byte_length(value) > META_VALUE_MAX_LENGTH:
            errors.append(f"Meta value for key {quote(key)} exceeds maximum length {META_VALUE_MAX_LENGTH}")
    require(not errors, errors_occurred(errors))


def byte_length(text: str) -> int:
    """The length Go's `len` gives a string."""
    return len(text.encode(errors="surrogatepass"))


class UpstreamLimits(msgspec.Struct, frozen=True, omit_defaults=True):
    """Connection limits towards an upstream; None leaves Envoy's default, 0 blocks all."""

    max_connections: int | None = None
    max_pending_requests: int | None = None
    max_concurrent_requests: int | None = None

    def faults(self) -> list[str]:
        """What is wrong, in Consul's words."""
        named = {
            "max connections": self.max_connections,
            "max pending requests": self.max_pending_requests,
            "max concurrent requests": self.max_concurrent_requests,
        }
        return [
            f"{name} cannot be negative" for name, limit in named.items() if limit is not None and limit < 0
        ][:1]


class PassiveHealthCheck(msgspec.Struct, frozen=True, omit_defaults=True):
    """Outlier detection: after `max_failures` failures an instance rests for `interval` (nanoseconds)."""

    interval: Nanoseconds = 0
    max_failures: UInt32 = 0

    def faults(self) -> list[str]:
        """What is wrong, in Consul's words."""
        return ["passive health check interval cannot be negative"] if self.interval < 0 else []


class UpstreamConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a service's proxy reaches one upstream, or (without a name) any upstream."""

    name: str = ""
    envoy_listener_json: str = ""
    envoy_cluster_json: str = ""
    protocol: str = ""
    connect_timeout_ms: int = 0
    limits: UpstreamLimits | None = None
    passive_health_check: PassiveHealthCheck | None = None
    mesh_gateway: MeshGatewayConfig = MeshGatewayConfig()

    def normalized(self) -> UpstreamConfig:
        """With the protocol in lower case and no negative timeout."""
        return msgspec.structs.replace(
            self, protocol=self.protocol.lower(), connect_timeout_ms=max(0, self.connect_timeout_ms)
        )

    def validate(self) -> None:
        """Check limits and health check. Raises ConfigEntryError."""
        faults = self.passive_health_check.faults() if self.passive_health_check else []
        faults += self.limits.faults() if self.limits else []
        require(not faults, errors_occurred(faults))


class UpstreamConfiguration(msgspec.Struct, frozen=True, omit_defaults=True):
    """Settings for named upstreams, and for those not named."""

    overrides: tuple[UpstreamConfig, ...] = ()
    defaults: UpstreamConfig | None = None


class HTTPHeaderMatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """A condition on one request header; exactly one of the five matchers is set."""

    name: AlwaysWritten[str] = ""
    present: bool = False
    exact: str = ""
    prefix: str = ""
    suffix: str = ""
    regex: str = ""
    invert: bool = False


class HTTPMatch(Protocol):
    """Conditions on a request that routes and intentions' permissions share."""

    @property
    def path_exact(self) -> str: ...
    @property
    def path_prefix(self) -> str: ...
    @property
    def path_regex(self) -> str: ...
    @property
    def header(self) -> tuple[HTTPHeaderMatch, ...]: ...
    @property
    def methods(self) -> tuple[str, ...]: ...


def validate_paths(match: HTTPMatch, at: str, separator: str) -> None:
    """Check the path conditions. Texts begin with `at` and, before a field's name, `separator`.

    Raises ConfigEntryError.
    """
    for name, path in (("PathExact", match.path_exact), ("PathPrefix", match.path_prefix)):
        require(
            not path or path.startswith("/"), f"{at}{separator}{name} doesn't start with '/': {quote(path)}"
        )
    given = sum(map(bool, (match.path_exact, match.path_prefix, match.path_regex)))
    require(given <= 1, f"{at} should only contain at most one of PathExact, PathPrefix, or PathRegex")


def validate_headers(headers: tuple[HTTPHeaderMatch, ...], at: str) -> None:
    """Check that each header is named and matched one way; `at` begins each text. Raises ConfigEntryError."""
    for index, header in enumerate(headers):
        where = f"{at}Header[{index}]"
        require(bool(header.name), f"{where} missing required Name field")
        matchers = (header.present, header.exact, header.prefix, header.suffix, header.regex)
        require(
            sum(map(bool, matchers)) == 1,
            f"{where} should only contain one of Present, Exact, Prefix, Suffix, or Regex",
        )


def validate_methods(methods: tuple[str, ...], at: str) -> None:
    """Check that methods exist and appear once; `at` begins each text. Raises ConfigEntryError."""
    seen: set[str] = set()
    for method in methods:
        require(method in HTTP_METHODS, f"{at}Methods contains an invalid method {quote(method)}")
        require(method not in seen, f"{at}Methods contains {quote(method)} more than once")
        seen.add(method)


def upper_cased(methods: tuple[str, ...]) -> tuple[str, ...]:
    """HTTP methods as they are on the wire."""
    return tuple(method.upper() for method in methods)
