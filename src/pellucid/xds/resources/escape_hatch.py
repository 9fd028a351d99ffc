"""Resources that operators wrote themselves, as JSON, in place of generated ones.

Source: Consul 1.10 docs, "Envoy Integration - Advanced Configuration - Escape Hatch Overrides".
"""

from __future__ import annotations

from typing import Any

import xds.type.matcher.v3.matcher_pb2  # noqa: F401 - so that JSON may hold it
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from google.protobuf import any_pb2, json_format


class EscapeHatchError(ValueError):
    """The JSON is not a resource of the kind that belongs there."""


def cluster(text: str, key: str) -> cluster_pb2.Cluster:
    """The cluster in a `Config` value. key: where it was written. Raises EscapeHatchError."""
    return _resource(text, key, cluster_pb2.Cluster())


def listener(text: str, key: str) -> listener_pb2.Listener:
    """The listener in a `Config` value. key: where it was written. Raises EscapeHatchError."""
    return _resource(text, key, listener_pb2.Listener())


def _resource(text: str, key: str, resource: Any) -> Any:
    kind = resource.DESCRIPTOR.full_name
    try:
        envelope = json_format.Parse(text, any_pb2.Any())
    except json_format.ParseError as error:
        raise EscapeHatchError(f"{key}: not a {kind} in JSON with its @type: {error}") from error
    if not envelope.Unpack(resource):
        raise EscapeHatchError(f"{key}: expected a {kind}, found {envelope.type_url!r}")
    return resource
