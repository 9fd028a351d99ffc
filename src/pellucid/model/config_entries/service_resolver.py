"""`service-resolver`: which instances a service's name stands for, and how load spreads over them.

Source: Consul 1.10 docs, "Service Resolver"; agent/structs/config_entry_discoverychain.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec

from pellucid.model.config_entries.shared import require, validate_meta
from pellucid.model.durations import Duration, Nanoseconds, format_duration
from pellucid.model.go_text import quote
from pellucid.model.names import WILDCARD
from pellucid.model.wire import AlwaysWritten, UInt32, UInt64

POLICIES = frozenset(("", "random", "round_robin", "least_request", "ring_hash", "maglev"))
HASH_POLICIES = frozenset(("ring_hash", "maglev"))
"""The policies that choose an instance by a hash of the request."""
HASH_FIELDS = frozenset(("", "header", "cookie", "query_parameter"))

_SUBSET_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_SUBSET_NAME_MAX_LENGTH = 63


class ResolverSubset(msgspec.Struct, frozen=True, omit_defaults=True):
    """Instances that pass `filter`; warning ones are left out too if `only_passing`."""

    filter: str = ""
    only_passing: bool = False


class ResolverRedirect(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is resolved instead; empty fields keep what was asked for."""

    service: str = ""
    service_subset: str = ""
    namespace: str = ""
    datacenter: str = ""


class ResolverFailover(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where to turn when no instance is healthy."""

    service: str = ""
    service_subset: str = ""
    namespace: str = ""
    datacenters: tuple[str, ...] = ()


class RingHashConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """Sizes of the hash ring, 0 for Envoy's own."""

    minimum_ring_size: UInt64 = 0
    maximum_ring_size: UInt64 = 0


class LeastRequestConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many instances are compared, 0 for Envoy's own number."""

    choice_count: UInt32 = 0


class CookieConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """A cookie that Envoy sets when the request has none; `ttl` in nanoseconds."""

    session: bool = False
    ttl: Nanoseconds = 0
    path: str = ""


class HashPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """What part of a request is hashed; after a `terminal` one that applied, no more are tried."""

    field: str = ""
    field_value: str = ""
    cookie_config: CookieConfig | None = None
    source_ip: bool = False
    terminal: bool = False

    def validate(self, at: str) -> None:
        """Raises ConfigEntryError with a text that begins with `at`."""
        field = quote(self.field)
        require(self.field in HASH_FIELDS, f"{at}{field} is not a supported field")
        require(
            not (self.source_ip and self.field),
            f"{at}A single hash policy cannot hash both a source address and a {field}",
        )
        require(
            not (self.source_ip and self.field_value),
            f"{at}A FieldValue cannot be specified when hashing SourceIP",
        )
        require(
            not self.field or bool(self.field_value), f"{at}Field {field} was specified without a FieldValue"
        )
        require(not self.field_value or bool(self.field), f"{at}FieldValue requires a Field to apply to")
        if self.cookie_config:
            require(self.field == "cookie", f"{at}cookie_config provided for {field}")
            require(
                not (self.cookie_config.session and self.cookie_config.ttl),
                f"{at}a session cookie cannot have an associated TTL",
            )


class LoadBalancer(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an instance is chosen; an empty policy is Envoy's default."""

    policy: str = ""
    ring_hash_config: RingHashConfig | None = None
    least_request_config: LeastRequestConfig | None = None
    hash_policies: tuple[HashPolicy, ...] = ()

    @property
    def is_hash_based(self) -> bool:
        """True if equal requests reach equal instances."""
        return self.policy in HASH_POLICIES

    def validate(self) -> None:
        """Raises ConfigEntryError."""
        policy = quote(self.policy)
        require(self.policy in POLICIES, f"Bad LoadBalancer policy: {policy} is not supported")
        incompatible = "specified for incompatible load balancing policy"
        require(
            self.policy == "ring_hash" or self.ring_hash_config is None,
            f"Bad LoadBalancer configuration. RingHashConfig {incompatible} {policy}",
        )
        require(
            self.policy == "least_request" or self.least_request_config is None,
            f"Bad LoadBalancer configuration. LeastRequestConfig {incompatible} {policy}",
        )
        require(
            self.is_hash_based or not self.hash_policies,
            f"Bad LoadBalancer configuration: HashPolicies specified for non-hash-based Policy: {policy}",
        )
        for index, hash_policy in enumerate(self.hash_policies):
            hash_policy.validate(f"Bad LoadBalancer HashPolicy[{index}]: ")


class ServiceResolver(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="service-resolver"
):
    """How the service called `name` is resolved. `connect_timeout` 0 is five seconds."""

    kind: ClassVar[Literal["service-resolver"]] = "service-resolver"

    name: AlwaysWritten[str] = ""
    connect_timeout: Duration = 0
    default_subset: str = ""
    subsets: Mapping[str, ResolverSubset] = msgspec.field(default_factory=dict)
    redirect: ResolverRedirect | None = None
    failover: Mapping[str, ResolverFailover] = msgspec.field(default_factory=dict)
    load_balancer: LoadBalancer | None = None
    meta: Mapping[str, str] = msgspec.field(default_factory=dict)

    def normalized(self) -> ServiceResolver:
        """As it is: a resolver has one form."""
        return self

    def validate(self) -> None:
        """Raises ConfigEntryError."""
        require(bool(self.name), "Name is required")
        validate_meta(self.meta)
        for subset in self.subsets:
            _validate_subset_name(subset)
        require(
            not self.default_subset or self.default_subset in self.subsets,
            f"DefaultSubset {quote(self.default_subset)} is not a valid subset",
        )
        if self.redirect:
            self._validate_redirect(self.redirect)
        for subset, failover in self.failover.items():
            self._validate_failover(subset, failover)
        require(
            self.connect_timeout >= 0,
            f"Bad ConnectTimeout '{format_duration(self.connect_timeout)}', must be >= 0",
        )
        if self.load_balancer:
            self.load_balancer.validate()

    def _validate_redirect(self, redirect: ResolverRedirect) -> None:
        require(not self.failover, "Redirect and Failover cannot both be set")
        require(redirect != ResolverRedirect(), "Redirect is empty")
        if not redirect.service:
            require(not redirect.service_subset, "Redirect.ServiceSubset defined without Redirect.Service")
            require(not redirect.namespace, "Redirect.Namespace defined without Redirect.Service")
        elif redirect.service == self.name and redirect.service_subset:
            require(
                redirect.service_subset in self.subsets,
                f"Redirect.ServiceSubset {quote(redirect.service_subset)} is not a valid subset of "
                f"{quote(redirect.service)}",
            )

    def _validate_failover(self, subset: str, failover: ResolverFailover) -> None:
        at = f"Bad Failover[{quote(subset)}]"
        require(subset == WILDCARD or subset in self.subsets, f"{at}: not a valid subset")
        require(
            failover != ResolverFailover(),
            f"{at} one of Service, ServiceSubset, Namespace, or Datacenters is required",
        )
        if failover.service_subset and failover.service in ("", self.name):
            require(
                failover.service_subset in self.subsets,
                f"{at}.ServiceSubset {quote(failover.service_subset)} is not a valid subset of "
                f"{quote(failover.service)}",
            )
        require("" not in failover.datacenters, f"{at}.Datacenters: found empty datacenter")


def _validate_subset_name(name: str) -> None:
    require(bool(name), "Subset defined with empty name")
    invalid = f"Subset {quote(name)} is invalid: must be"
    require(len(name) <= _SUBSET_NAME_MAX_LENGTH, f"{invalid} non-empty and 63 characters or fewer")
    require(
        bool(_SUBSET_NAME.fullmatch(name)),
        f"{invalid} 63 characters or fewer, begin or end with lower case alphanumeric characters, and "
        "contain lower case alphanumeric characters or '-' in between",
    )
