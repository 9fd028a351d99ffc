"""The fields that each filterable reply has, with their types.

Source: Consul 1.10 docs, the "Filtering" tables of the Agent, Catalog, Health, Intentions pages;
agent/structs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """A string; on the wire an omitted one is empty."""


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number."""


@dataclass(frozen=True, slots=True)
class Boolean:
    """True or false."""


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of strings or of records."""

    item: Field


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map from any key."""

    value: Field


@dataclass(frozen=True, eq=False)
class Record:
    """An object with known fields. Compared by identity."""

    fields: Mapping[str, Field]


Field = Text | Integer | Boolean | ListOf | MapOf | Record

TEXT, INTEGER, BOOLEAN = Text(), Integer(), Boolean()
TEXTS = ListOf(TEXT)
TEXT_MAP = MapOf(TEXT)

_WEIGHTS = Record({"Passing": INTEGER, "Warning": INTEGER})
_ADDRESSES = MapOf(Record({"Address": TEXT, "Port": INTEGER}))
_MESH_GATEWAY = Record({"Mode": TEXT})
_CONNECT = Record({"Native": BOOLEAN})
_EXPOSE = Record(
    {
        "Checks": BOOLEAN,
        "Paths": ListOf(
            Record(
                {
                    "ListenerPort": INTEGER,
                    "Path": TEXT,
                    "LocalPathPort": INTEGER,
                    "Protocol": TEXT,
                    "ParsedFromCheck": BOOLEAN,
                }
            )
        ),
    }
)
_PROXY = Record(
    {
        "DestinationServiceName": TEXT,
        "DestinationServiceID": TEXT,
        "LocalServiceAddress": TEXT,
        "LocalServicePort": INTEGER,
        "LocalServiceSocketPath": TEXT,
        "Mode": TEXT,
        "TransparentProxy": Record({"OutboundListenerPort": INTEGER, "DialedDirectly": BOOLEAN}),
        "Upstreams": ListOf(
            Record(
                {
                    "DestinationType": TEXT,
                    "DestinationNamespace": TEXT,
                    "DestinationName": TEXT,
                    "Datacenter": TEXT,
                    "LocalBindAddress": TEXT,
                    "LocalBindPort": INTEGER,
                    "LocalBindSocketPath": TEXT,
                    "LocalBindSocketMode": TEXT,
                    "MeshGateway": _MESH_GATEWAY,
                }
            )
        ),
        "MeshGateway": _MESH_GATEWAY,
        "Expose": _EXPOSE,
    }
)

_NODE_FIELDS: Mapping[str, Field] = {
    "ID": TEXT,
    "Node": TEXT,
    "Address": TEXT,
    "Datacenter": TEXT,
    "TaggedAddresses": TEXT_MAP,
    "Meta": TEXT_MAP,
}

NODE = Record(_NODE_FIELDS)

_SERVICE_FIELDS: Mapping[str, Field] = {
    "Kind": TEXT,
    "ID": TEXT,
    "Service": TEXT,
    "Tags": TEXTS,
    "Address": TEXT,
    "TaggedAddresses": _ADDRESSES,
    "Meta": TEXT_MAP,
    "Port": INTEGER,
    "SocketPath": TEXT,
    "Weights": _WEIGHTS,
    "EnableTagOverride": BOOLEAN,
    "Proxy": _PROXY,
    "Connect": _CONNECT,
}

NODE_SERVICE = Record(_SERVICE_FIELDS)
AGENT_SERVICE = Record({**_SERVICE_FIELDS, "ContentHash": TEXT, "Datacenter": TEXT})

CATALOG_SERVICE = Record(
    {
        "ID": TEXT,
        "Node": TEXT,
        "Address": TEXT,
        "Datacenter": TEXT,
        "TaggedAddresses": TEXT_MAP,
        "NodeMeta": TEXT_MAP,
        "ServiceKind": TEXT,
        "ServiceID": TEXT,
        "ServiceName": TEXT,
        "ServiceTags": TEXTS,
        "ServiceAddress": TEXT,
        "ServiceTaggedAddresses": _ADDRESSES,
        "ServiceWeights": _WEIGHTS,
        "ServiceMeta": TEXT_MAP,
        "ServicePort": INTEGER,
        "ServiceSocketPath": TEXT,
        "ServiceEnableTagOverride": BOOLEAN,
        "ServiceProxy": _PROXY,
        "ServiceConnect": _CONNECT,
    }
)

HEALTH_CHECK = Record(
    {
        "Node": TEXT,
        "CheckID": TEXT,
        "Name": TEXT,
        "Status": TEXT,
        "Notes": TEXT,
        "Output": TEXT,
        "ServiceID": TEXT,
        "ServiceName": TEXT,
        "ServiceTags": TEXTS,
        "Type": TEXT,
        "ExposedPort": INTEGER,
    }
)

CHECKED_SERVICE = Record({"Node": NODE, "Service": NODE_SERVICE, "Checks": ListOf(HEALTH_CHECK)})

INTENTION = Record(
    {
        "ID": TEXT,
        "Description": TEXT,
        "SourceNS": TEXT,
        "SourceName": TEXT,
        "DestinationNS": TEXT,
        "DestinationName": TEXT,
        "SourceType": TEXT,
        "Action": TEXT,
        "Meta": TEXT_MAP,
        "Precedence": INTEGER,
    }
)

UI_NODE = Record({**_NODE_FIELDS, "Services": ListOf(NODE_SERVICE), "Checks": ListOf(HEALTH_CHECK)})
