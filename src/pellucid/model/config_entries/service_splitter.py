"""`service-splitter`: shares of a service's traffic for several services or subsets.

Source: Consul 1.10 docs, "Service Splitter"; agent/structs/config_entry_discoverychain.go.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec
from msgspec.structs import replace

from pellucid.model.config_entries.shared import require, validate_meta
from pellucid.model.go_text import quote
from pellucid.model.wire import AlwaysWritten

_HUNDREDTHS_IN_ALL = 100 * 100


class ServiceSplit(msgspec.Struct, frozen=True, omit_defaults=True):
    """`weight` per cent of the traffic; an empty `service` is the splitter's own."""

    weight: AlwaysWritten[float] = 0.0
    service: str = ""
    service_subset: str = ""
    namespace: str = ""


class ServiceSplitter(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="service-splitter"
):
    """Splits of the traffic to the service called `name`; their weights make up 100."""

    kind: ClassVar[Literal["service-splitter"]] = "service-splitter"

    name: AlwaysWritten[str] = ""
    splits: AlwaysWritten[tuple[ServiceSplit, ...]] = ()
    meta: Mapping[str, str] = msgspec.field(default_factory=dict)

    def normalized(self) -> ServiceSplitter:
        """With weights rounded to hundredths."""
        return replace(
            self,
            splits=tuple(replace(split, weight=_hundredths(split.weight) / 100) for split in self.splits),
        )

    def validate(self) -> None:
        """Raises ConfigEntryError."""
        require(bool(self.name), "Name is required")
        require(bool(self.splits), "no splits configured")
        validate_meta(self.meta)
        self._validate_destinations()
        total = sum(_hundredths(split.weight) for split in self.splits)
        require(
            total == _HUNDREDTHS_IN_ALL, f"the sum of all split weights must be 100, not {total / 100:.6f}"
        )

    def _validate_destinations(self) -> None:
        seen: set[tuple[str, str, str]] = set()
        for split in self.splits:
            service, subset, namespace = split.service or self.name, split.service_subset, split.namespace
            require(
                (service, subset, namespace) not in seen,
                f"split destination occurs more than once: service={quote(service)}, "
                f"subset={quote(subset)}, namespace={quote(namespace)}",
            )
            seen.add((service, subset, namespace))


def _hundredths(weight: float) -> int:
    """The weight in hundredths, halves rounded away from zero as Go's math.Round does."""
    return int(math.copysign(math.floor(abs(weight) * 100 + 0.5), weight))
