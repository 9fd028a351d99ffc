"""`terminating-gateway`: which services outside the mesh a gateway stands for.

Source: Consul 1.10 docs, "Terminating Gateway"; agent/structs/config_entry_gateways.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec

from pellucid.model.config_entries.shared import require, validate_meta
from pellucid.model.go_text import quote
from pellucid.model.wire import AlwaysWritten


class LinkedService(msgspec.Struct, frozen=True, omit_defaults=True):
    """A service (or `*`) behind the gateway; file names are on the gateway's machine.

    `ca_file` alone makes one-way TLS, all three files mutual TLS, none plain text.
    """

    name: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    sni: str = ""


class TerminatingGateway(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="terminating-gateway"
):
    """The services linked to the gateway service called `name`."""

    kind: ClassVar[Literal["terminating-gateway"]] = "terminating-gateway"

    name: AlwaysWritten[str] = ""
    services: AlwaysWritten[tuple[LinkedService, ...]] = ()
    meta: Mapping[str, str] = msgspec.field(default_factory=dict)

    def normalized(self) -> TerminatingGateway:
        """As it is: this kind has one form."""
        return self

    def validate(self) -> None:
        """Raises ConfigEntryError naming the first service that is wrong."""
        validate_meta(self.meta)
        seen: set[str] = set()
        for service in self.services:
            require(bool(service.name), "Service name cannot be blank.")
            name = quote(service.name)
            require(
                service.name not in seen, f"Service {name} was specified more than once within a namespace"
            )
            seen.add(service.name)
            has_client_certificate = bool(service.cert_file or service.key_file)
            require(
                not has_client_certificate or all((service.ca_file, service.cert_file, service.key_file)),
                f"Service {name} must have a CertFile, CAFile, and KeyFile specified for TLS origination",
            )
