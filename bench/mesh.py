"""The mesh that is measured: services with sidecars, and the changes made to it, over the HTTP API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.server import Server

PORT = 8080


@dataclass(frozen=True)
class Size:
    """How much there is of everything."""

    services: int
    proxies: int
    """Sidecars with a stream; each is of its own instance, and services share them evenly."""
    allows: int | None = None
    """None: everyone may call everyone, and so has everyone as an upstream. Else everything is denied, and
    each service may call the so many that follow it."""

    def __str__(self) -> str:
        policy = "default allow" if self.allows is None else f"default deny, {self.allows} allows each"
        return f"{self.proxies} proxies, {self.services} services, {policy}"

    @property
    def instances(self) -> int:
        """Every service has at least one, with a stream or without."""
        return max(self.services, self.proxies)


def service_name(number: int) -> str:
    """The name of a service."""
    return f"service-{number:03}"


def instance_id(size: Size, number: int) -> str:
    """The id of an instance."""
    return f"{service_name(number % size.services)}-{number // size.services}"


def sidecar_id(instance: str) -> str:
    """As Consul names it."""
    return f"{instance}-sidecar-proxy"


def proxies(size: Size) -> list[str]:
    """The ids of the sidecars that have a stream."""
    return [sidecar_id(instance_id(size, number)) for number in range(size.proxies)]


def proxies_of(size: Size, services: Sequence[int]) -> list[str]:
    """Of those, the ones of these services."""
    wanted = {number % size.services for number in services}
    return [
        sidecar_id(instance_id(size, number))
        for number in range(size.proxies)
        if number % size.services in wanted
    ]


def build(server: Server, size: Size) -> None:
    """Register it all and say who may call whom."""
    be_transparent(server)
    if size.allows is not None:
        intend(server, "*", "*", "deny")
        for source in range(size.services):
            for step in range(1, size.allows + 1):
                destination = (source + step) % size.services
                intend(server, service_name(source), service_name(destination), "allow")
    for number in range(size.instances):
        add_instance(server, number % size.services, instance_id(size, number), number)


def be_transparent(server: Server) -> None:
    """Have every proxy take all connections of its program."""
    defaults = {"Kind": "proxy-defaults", "Name": "global", "Mode": "transparent"}
    server.request("PUT", "/v1/config", defaults)


def add_instance(server: Server, service: int, instance: str, number: int) -> None:
    """Register an instance with a sidecar. number: makes its address."""
    address = f"10.{1 + number // 65536}.{number // 256 % 256}.{number % 256}"
    alias = {"Name": "the service", "AliasService": instance, "Status": "passing"}
    server.request(
        "PUT",
        "/v1/agent/service/register",
        {
            "ID": instance,
            "Name": service_name(service),
            "Address": address,
            "Port": PORT,
            "Connect": {"SidecarService": {"Port": 20000, "Checks": [alias]}},
        },
    )


def remove_instance(server: Server, instance: str) -> None:
    """Deregister it, and its sidecar with it."""
    server.request("PUT", f"/v1/agent/service/deregister/{instance}")


def intend(server: Server, source: str, destination: str, action: str) -> None:
    """Write one intention."""
    path = f"/v1/connect/intentions/exact?source={source}&destination={destination}"
    server.request("PUT", path, {"SourceType": "consul", "Action": action})


def intend_nothing(server: Server, source: str, destination: str) -> None:
    """Remove one intention."""
    server.request("DELETE", f"/v1/connect/intentions/exact?source={source}&destination={destination}")


def set_protocol(server: Server, service: str, protocol: str) -> None:
    """Write a service's `service-defaults`."""
    server.request("PUT", "/v1/config", {"Kind": "service-defaults", "Name": service, "Protocol": protocol})
