"""Looking at a service through its proxy.

A service that only its sidecar can reach is checked at the port which the sidecar opens for checks
(`Proxy.Expose.Checks`): same path, other address.
Source: Consul 1.10 docs, "Proxy Service Registration", `expose.checks`.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import msgspec

from pellucid.model.checks import CheckDefinition


def through_proxy(definition: CheckDefinition, host: str, port: int) -> CheckDefinition:
    """An HTTP or gRPC check aimed at the proxy's `host` and `port`; other checks as they are."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    match definition.type:
        case "http":
            url = urlunsplit(urlsplit(definition.http)._replace(netloc=address))
            return msgspec.structs.replace(definition, http=url)
        case "grpc":
            _, slash, service = definition.grpc.partition("/")
            return msgspec.structs.replace(definition, grpc=f"{address}{slash}{service}")
        case _:
            return definition
