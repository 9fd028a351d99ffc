"""`service-intentions`: who may and who may not connect to one service.

All intentions live in these entries, one entry per destination; `model.intentions` has the
flat rows that the intentions API shows of them.

Source: Consul 1.10 docs, "Service Intentions" and Intentions, "Precedence and Match Order";
agent/structs/config_entry_intentions.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

import msgspec
from msgspec.structs import replace

from pellucid.model.config_entries.shared import (
    META_KEY_MAX_LENGTH,
    META_MAX_PAIRS,
    META_VALUE_MAX_LENGTH,
    HTTPHeaderMatch,
    byte_length,
    require,
    upper_cased,
    validate_headers,
    validate_meta,
    validate_methods,
    validate_paths,
)
from pellucid.model.go_text import quote
from pellucid.model.names import WILDCARD
from pellucid.model.wire import AlwaysWritten, Timestamp

ALLOW = "allow"
DENY = "deny"
ACTIONS = frozenset((ALLOW, DENY))
SOURCE_TYPE = "consul"
"""The only type of source there is: a service of this mesh."""


class IntentionHTTPPermission(msgspec.Struct, frozen=True, omit_defaults=True):
    """Conditions on a request; all of them must hold, and one of `methods` if any are given."""

    path_exact: str = ""
    path_prefix: str = ""
    path_regex: str = ""
    header: tuple[HTTPHeaderMatch, ...] = ()
    methods: tuple[str, ...] = ()


class IntentionPermission(msgspec.Struct, frozen=True, omit_defaults=True):
    """What happens to the requests that `http` describes; the first permission that fits decides."""

    action: AlwaysWritten[str] = ""
    http: IntentionHTTPPermission | None = None

    def normalized(self) -> IntentionPermission:
        """With methods in upper case."""
        return (
            replace(self, http=replace(self.http, methods=upper_cased(self.http.methods)))
            if self.http
            else self
        )

    def validate(self, at: str) -> None:
        """Raises ConfigEntryError with a text that begins with `at`."""
        require(self.action in ACTIONS, f"{at}.Action must be set to 'allow' or 'deny'")
        if self.http is None:
            require(False, f"{at}.HTTP is required")
            return
        validate_paths(self.http, f"{at}.HTTP", ".")
        validate_headers(self.http.header, f"{at}.HTTP.")
        validate_methods(self.http.methods, f"{at}.HTTP.")
        require(self.http != IntentionHTTPPermission(), f"{at}.HTTP should not be empty")


class SourceIntention(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one source (or `*`) may do: an `action`, or `permissions` request by request.

    The `legacy_` fields belong to intentions made through the API that gives them ids.
    """

    name: AlwaysWritten[str] = ""
    action: str = ""
    permissions: tuple[IntentionPermission, ...] = ()
    precedence: AlwaysWritten[int] = 0
    """Computed by `normalized`; what the input says is of no account."""
    legacy_id: str = ""
    type: AlwaysWritten[str] = ""
    description: str = ""
    legacy_meta: Mapping[str, str] = msgspec.field(default_factory=dict)
    legacy_create_time: Timestamp = ""
    legacy_update_time: Timestamp = ""


class ServiceIntentions(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="service-intentions"
):
    """The intentions whose destination is the service called `name`, or every one if it is `*`."""

    kind: ClassVar[Literal["service-intentions"]] = "service-intentions"

    name: AlwaysWritten[str] = ""
    sources: AlwaysWritten[tuple[SourceIntention, ...]] = ()
    meta: Mapping[str, str] = msgspec.field(default_factory=dict)

    def normalized(self, *, legacy_write: bool = False) -> ServiceIntentions:
        """With types and precedences filled in, strongest source first, equals in the order given.

        legacy_write: keep ids and times, because the change comes from the API that gives ids.
        """
        sources = [_normalized(source, self.name, legacy_write) for source in self.sources]
        sources.sort(key=lambda source: -source.precedence)
        return replace(self, sources=tuple(sources))

    def validate(self, *, legacy_write: bool = False) -> None:
        """Check a normalized entry; see `normalized` for `legacy_write`. Raises ConfigEntryError."""
        require(bool(self.name), "Name is required")
        _validate_wildcards(self.name, "")
        if legacy_write:
            require(not self.meta, "Meta must be omitted for legacy intention writes")
        else:
            validate_meta(self.meta)
        require(bool(self.sources), "At least one source is required")
        seen: set[str] = set()
        for index, source in enumerate(self.sources):
            at = f"Sources[{index}]"
            _validate_source(source, at, legacy_write)
            require(
                not source.permissions or self.name != WILDCARD,
                f"{at}.Permissions cannot be specified on intentions with wildcarded destinations",
            )
            for position, permission in enumerate(source.permissions):
                permission.validate(f"{at}.Permissions[{position}]")
            require(source.name not in seen, f"{at} defines {quote(source.name)} more than once")
            seen.add(source.name)

    @property
    def has_permissions(self) -> bool:
        """True if some source is decided request by request."""
        return any(source.permissions for source in self.sources)

    def source(self, name: str) -> SourceIntention | None:
        """The intention of the source called `name`."""
        return next((source for source in self.sources if source.name == name), None)

    def with_source(self, source: SourceIntention) -> ServiceIntentions:
        """With `source` in the place of the one of the same name, or added at the end."""
        return self._with(source, lambda other: other.name == source.name)

    def with_legacy_source(self, source: SourceIntention) -> ServiceIntentions:
        """With `source` in the place of the one of the same id, whatever its name, or added at the end.

        The time of creation stays that of the one it replaces.
        """
        for earlier in self.sources:
            if earlier.legacy_id == source.legacy_id and earlier.legacy_create_time:
                source = replace(source, legacy_create_time=earlier.legacy_create_time)
        return self._with(source, lambda other: other.legacy_id == source.legacy_id)

    def _with(self, source: SourceIntention, is_same: Callable[[SourceIntention], bool]) -> ServiceIntentions:
        position = next((i for i, other in enumerate(self.sources) if is_same(other)), len(self.sources))
        return replace(self, sources=(*self.sources[:position], source, *self.sources[position + 1 :]))

    def without_source(self, name: str) -> ServiceIntentions:
        """Without the source called `name`."""
        return replace(self, sources=tuple(source for source in self.sources if source.name != name))

    def without_legacy_source(self, legacy_id: str) -> ServiceIntentions:
        """Without the source that has this id."""
        return replace(
            self, sources=tuple(source for source in self.sources if source.legacy_id != legacy_id)
        )


def precedence(source: str, destination: str) -> int:
    """How strong an intention between these names is: 9, 8, 6 or 5; the greatest that matches decides."""
    greatest = 6 if destination == WILDCARD else 9
    return greatest - 1 if source == WILDCARD else greatest


def _normalized(source: SourceIntention, destination: str, legacy_write: bool) -> SourceIntention:
    normalized = replace(
        source,
        type=source.type or SOURCE_TYPE,
        precedence=precedence(source.name, destination),
        permissions=tuple(permission.normalized() for permission in source.permissions),
    )
    if legacy_write:
        return normalized
    # Meta stays, so that validation refuses to lose it.
    return replace(normalized, legacy_id="", legacy_create_time="", legacy_update_time="")


def _validate_wildcards(name: str, at: str) -> None:
    require(
        name == WILDCARD or WILDCARD not in name,
        f"{at}Name: wildcard character '*' cannot be used with partial values",
    )


def _validate_source(source: SourceIntention, at: str, legacy_write: bool) -> None:
    require(bool(source.name), f"{at}.Name is required")
    _validate_wildcards(source.name, f"{at}.")
    require(
        byte_length(source.description) <= META_VALUE_MAX_LENGTH,
        f"{at}.Description exceeds maximum length {META_VALUE_MAX_LENGTH}",
    )
    if legacy_write:
        _validate_legacy_fields(source, at)
    else:
        require(not source.legacy_meta, f"{at}.LegacyMeta must be omitted")
        require(not source.legacy_create_time, f"{at}.LegacyCreateTime must be omitted")
        require(not source.legacy_update_time, f"{at}.LegacyUpdateTime must be omitted")
        require(not source.legacy_id, f"{at}.LegacyID must be omitted")
    if legacy_write or not source.permissions:
        require(source.action in ACTIONS, f"{at}.Action must be set to 'allow' or 'deny'")
    require(
        not (source.permissions and source.action),
        f"{at}.Action must be omitted if Permissions are specified",
    )
    require(source.type == SOURCE_TYPE, f"{at}.Type must be set to '{SOURCE_TYPE}'")


def _validate_legacy_fields(source: SourceIntention, at: str) -> None:
    require(
        len(source.legacy_meta) <= META_MAX_PAIRS, f"{at}.Meta exceeds maximum element count {META_MAX_PAIRS}"
    )
    for key, value in source.legacy_meta.items():
        require(
            byte_length(key) <= META_KEY_MAX_LENGTH,
            f"{at}.Meta key {quote(key)} exceeds maximum length {META_KEY_MAX_LENGTH}",
        )
        require(
            byte_length(value) <= META_VALUE_MAX_LENGTH,
            f"{at}.Meta value for key {quote(key)} exceeds maximum length {META_VALUE_MAX_LENGTH}",
        )
    require(bool(source.legacy_create_time), f"{at}.LegacyCreateTime must be set")
    require(bool(source.legacy_update_time), f"{at}.LegacyUpdateTime must be set")
    require(bool(source.legacy_id), f"{at}.LegacyID must be set")
