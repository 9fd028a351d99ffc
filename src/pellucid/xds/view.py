"""What an Envoy resource is built from: one frozen value for each kind of resource.

A view holds content, never the identity of the proxy it is for, so proxies that need the same thing have
equal views and share the resource's bytes. Certificates are in none but `Certificate` and `TrustBundle`:
they travel by SDS, and renewing one touches nothing else.

Addresses are IP addresses as text; names of clusters, SNI and SPIFFE ids are Consul's.
"""

from __future__ import annotations

import msgspec

from pellucid.model.config_entries import UpstreamConfig

LOCAL_APP = "local_app"
"""The cluster of the application itself."""
ALLOWED_SOURCES = "allowed_sources"
"""The inner listener that sorts connections by who opened them, and the cluster that leads to it."""
ORIGINAL_DESTINATION = "original-destination"
"""The cluster that goes where the application wanted to go."""
LEAF_SECRET = "leaf"  # noqa: S105 - a name
ROOTS_SECRET = "roots"  # noqa: S105 - a name
ANY_PORT = 0
"""Stands for every port."""
OWN_PORT = 0
"""Stands for the port of the service itself, among the further ports of a workload."""


def allowed_sources_name(port: int) -> str:
    """The inner listener of one of the workload's ports, and the cluster that leads to it."""
    return f"{ALLOWED_SOURCES}_{port}" if port else ALLOWED_SOURCES


def local_app_name(port: int) -> str:
    """The cluster of one of the workload's ports."""
    return f"{LOCAL_APP}_{port}" if port else LOCAL_APP


def further_cluster_name(sni: str, port: int) -> str:
    """The cluster of a further port of a service's workloads."""
    return f"port-{port}~{sni}"


class LocalApp(msgspec.Struct, frozen=True):
    """The application behind a proxy, or another port of it that is exposed."""

    name: str = LOCAL_APP
    address: str = "127.0.0.1"
    port: int = 0
    socket_path: str = ""
    protocol: str = "tcp"
    connect_timeout_ms: int = 5000
    envoy_cluster_json: str = ""


class InnerCluster(msgspec.Struct, frozen=True):
    """The cluster that leads from the public listener to the inner one of a port."""

    protocol: str = "tcp"
    port: int = OWN_PORT


class OriginalDestination(msgspec.Struct, frozen=True):
    """The cluster of whatever lies outside the mesh."""


class UpstreamCluster(msgspec.Struct, frozen=True):
    """How to reach the instances of a service, whose addresses come by EDS."""

    name: str
    sni: str
    spiffe_uris: tuple[str, ...]
    """Who may answer."""
    protocol: str = "tcp"
    connect_timeout_ms: int = 5000
    settings: UpstreamConfig = UpstreamConfig()
    """Limits, passive health check and escape hatch."""


class PassthroughCluster(msgspec.Struct, frozen=True):
    """How to reach one instance of a service by the address the application dialled."""

    name: str
    sni: str
    spiffe_uris: tuple[str, ...]


class Endpoint(msgspec.Struct, frozen=True):
    """One instance as a load balancer sees it."""

    address: str
    port: int
    healthy: bool = True
    weight: int = 1


class Endpoints(msgspec.Struct, frozen=True):
    """Where the instances of a cluster are."""

    cluster: str
    endpoints: tuple[Endpoint, ...] = ()


class SourceRules(msgspec.Struct, frozen=True):
    """Which callers are let in: `exceptions` are the services that differ from `otherwise`, in order."""

    otherwise: bool
    exceptions: tuple[str, ...] = ()


class PublicListener(msgspec.Struct, frozen=True):
    """Where other proxies' connections arrive."""

    address: str
    port: int
    protocol: str = "tcp"
    envoy_listener_json: str = ""
    rules: SourceRules | None = None
    """Only with `envoy_listener_json`, whose chains carry the rules themselves."""
    further_ports: tuple[int, ...] = ()
    """Ports of the workload that are in the mesh besides the service's own: the kernel hands over
    connections to them."""

    @property
    def name(self) -> str:
        """Bind details are part of the name, so that a change of them makes a new listener."""
        return f"public_listener:{self.address}:{self.port}"


class PublicRoutes(msgspec.Struct, frozen=True):
    """What happens to a request that arrived, for protocols that have requests."""

    rules: SourceRules
    request_timeout_ms: int | None = None
    """None leaves Envoy's own, 15 s; 0 is no limit."""


class AllowedSources(msgspec.Struct, frozen=True):
    """The inner listener: one filter chain for each identity that is let in, in order.

    A connection goes on while its chain is there, so taking a chain away ends the connections of exactly
    that identity.
    """

    spiffe_uris: tuple[str, ...] = ()
    refused_spiffe_uris: tuple[str, ...] = ()
    """Identities that may not have the chain of unlisted ones. Only with `unlisted`."""
    unlisted: str = ""
    """The name of the chain for identities in neither list; empty if they are refused."""
    port: int = OWN_PORT
    """The port of the workload that they are let in to."""


class ExposedPath(msgspec.Struct, frozen=True):
    """One path that can be fetched without being in the mesh."""

    address: str
    listener_port: int
    path: str
    protocol: str = "http"
    cluster: str = LOCAL_APP
    source_prefixes: tuple[str, ...] = ()
    """CIDRs that may fetch it; empty for all."""

    @property
    def name(self) -> str:
        """`exposed_path_<path, letters and digits only>:<address>:<port>`, as Consul's."""
        kept = "".join(character for character in self.path if character.isascii() and character.isalnum())
        return f"exposed_path_{kept}:{self.address}:{self.listener_port}"


class Destination(msgspec.Struct, frozen=True):
    """What becomes of a connection to an upstream, the same from whichever listener it comes."""

    target: str
    """`<service>.<namespace>.<datacenter>`, for counters."""
    cluster: str
    protocol: str = "tcp"
    route: str = ""
    """The route configuration, for protocols that have requests."""


class UpstreamListener(msgspec.Struct, frozen=True):
    """A local port (or socket) that leads to one upstream named by the registration."""

    identifier: str
    destination: Destination
    address: str = "127.0.0.1"
    port: int = 0
    socket_path: str = ""
    socket_mode: str = ""
    refused: bool = False
    """Intentions refuse it: a connection is closed at once."""
    envoy_listener_json: str = ""

    @property
    def name(self) -> str:
        """As Consul names it."""
        return f"{self.identifier}:{self.socket_path or f'{self.address}:{self.port}'}"


class Dialled(msgspec.Struct, frozen=True, order=True):
    """What an application may dial: an address with a port, or with any."""

    ip: str
    port: int = ANY_PORT


class Captured(msgspec.Struct, frozen=True):
    """Connections to these addresses go there, by the filter chain of the destination's cluster."""

    addresses: tuple[Dialled, ...]
    destination: Destination


class OutboundListener(msgspec.Struct, frozen=True):
    """Where the kernel hands over the connections that the application opens."""

    port: int
    captured: tuple[Captured, ...] = ()
    refused: tuple[Dialled, ...] = ()
    """Addresses in the mesh to which connections are closed at once, unless captured."""
    refused_pools: tuple[str, ...] = ()
    """CIDRs of which that is true as well."""
    mesh_destinations_only: bool = False

    @property
    def name(self) -> str:
        """As Consul names it."""
        return outbound_listener_name(self.port)


def outbound_listener_name(port: int) -> str:
    """The name of the outbound listener on a port."""
    return f"outbound_listener:127.0.0.1:{port}"


class UpstreamRoutes(msgspec.Struct, frozen=True):
    """Which cluster the requests to an upstream go to."""

    name: str
    host: str
    """The virtual host's name."""
    cluster: str


class Certificate(msgspec.Struct, frozen=True):
    """The leaf of a proxy's service. PEM, the leaf first."""

    chain_pem: str
    private_key_pem: str

    def __repr__(self) -> str:
        """Keeps the key out of logs."""
        return "Certificate(...)"


class TrustBundle(msgspec.Struct, frozen=True):
    """The roots that peers are verified against, PEM."""

    pem: str
