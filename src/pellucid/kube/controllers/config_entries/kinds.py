"""The kinds of custom resources, as a table: what each is called and which configuration entry it is.

Fields are not in the table. A resource's spec has the fields of its entry, in Kubernetes' spelling, so the
entry's own type says how one is converted into the other and what the resource's schema is.

Source: Consul on Kubernetes 0.26 docs, "Custom Resource Definitions".
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import msgspec
from lightkube.generic_resource import GenericNamespacedResource, create_namespaced_resource

from pellucid.model.config_entries import (
    GLOBAL_NAME,
    ConfigEntry,
    IngressGateway,
    Mesh,
    ProxyDefaults,
    ServiceDefaults,
    ServiceIntentions,
    ServiceResolver,
    ServiceRouter,
    ServiceSplitter,
    TerminatingGateway,
)

GROUP = "consul.hashicorp.com"
VERSION = "v1alpha1"


class CustomKind(msgspec.Struct, frozen=True, dict=True):
    """One kind. only_name: the only name that a resource of the kind may have, empty if it may have any."""

    name: str
    plural: str
    entry: type[ConfigEntry]
    only_name: str = ""

    @property
    def singular(self) -> str:
        """As errors and paths spell it."""
        return self.name.lower()

    @cached_property
    def resource(self) -> type[GenericNamespacedResource]:
        """The kind for the Kubernetes client."""
        made: type[GenericNamespacedResource] = create_namespaced_resource(
            GROUP, VERSION, self.name, self.plural
        )
        return made

    def entry_name(self, metadata: dict[str, Any], spec: dict[str, Any]) -> str:
        """The name of the entry that a resource stands for."""
        if self.entry is ServiceIntentions:
            return str((spec.get("destination") or {}).get("name", ""))
        return str(metadata["name"])


KINDS = (
    CustomKind("ProxyDefaults", "proxydefaults", ProxyDefaults, only_name=GLOBAL_NAME),
    CustomKind("ServiceDefaults", "servicedefaults", ServiceDefaults),
    CustomKind("ServiceIntentions", "serviceintentions", ServiceIntentions),
    CustomKind("Mesh", "meshes", Mesh, only_name="mesh"),
    CustomKind("ServiceResolver", "serviceresolvers", ServiceResolver),
    CustomKind("ServiceRouter", "servicerouters", ServiceRouter),
    CustomKind("ServiceSplitter", "servicesplitters", ServiceSplitter),
    CustomKind("IngressGateway", "ingressgateways", IngressGateway),
    CustomKind("TerminatingGateway", "terminatinggateways", TerminatingGateway),
)

BY_NAME = {kind.name: kind for kind in KINDS}
