"""Opening the agent's doors: where each server listens, and with which certificate.

xDS is plain on loopback and unix sockets and TLS anywhere else, with the configured certificate or, without
one, a certificate of the mesh's own authority that is made anew before it ends.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import grpc

from pellucid.agent.certificates import Certificates
from pellucid.agent.configuration import AgentConfiguration, Tls
from pellucid.agent.configuration_sources import ConfigurationError
from pellucid.agent.listen_addresses import ListenAddress
from pellucid.api.server import HttpServer
from pellucid.dns.listeners import Listener, bind
from pellucid.identity.leaves import Leaf, issue_server
from pellucid.xds.server import AdsServer

SERVER_CERTIFICATE_SECONDS = 72 * 3600.0
SOCKET_MODE = 0o666
"""A unix socket is as open as loopback is: to every program on this machine."""


def bind_dns(what: str, addresses: Iterable[ListenAddress]) -> list[Listener]:
    """Open the UDP and TCP sockets of a DNS server. Raises ConfigurationError naming `what`."""
    listeners: list[Listener] = []
    for address in addresses:
        try:
            listeners.append(bind(address.host, address.port))
        except OSError as error:
            raise _cannot_listen(what, address, error) from error
    return listeners


async def open_http(
    server: HttpServer, configuration: AgentConfiguration, certificate: ServerCertificate | None
) -> None:
    """Listen for HTTP and HTTPS. Raises ConfigurationError naming the address that could not be had."""
    listeners = configuration.listeners
    tls = certificate.context if certificate else None
    places = [(address, None) for address in listeners.http] + [(address, tls) for address in listeners.https]
    for address, context in places:
        try:
            if address.unix_path:
                Path(address.unix_path).parent.mkdir(parents=True, exist_ok=True)
                await server.listen_unix(Path(address.unix_path), SOCKET_MODE)
            else:
                await server.listen(address.host, address.port, context)
        except OSError as error:
            raise _cannot_listen("HTTP", address, error) from error


def open_xds(
    server: AdsServer,
    configuration: AgentConfiguration,
    certificate: ServerCertificate | None,
    certificates: Certificates,
) -> None:
    """Listen for xDS: beyond this machine with the configured certificate, else one of the mesh's.

    Raises ConfigurationError naming the address that could not be had."""
    for address in configuration.listeners.grpc:
        credentials = None
        if not address.is_local:
            credentials = (
                certificate.credentials() if certificate else _mesh_credentials(configuration, certificates)
            )
        try:
            if address.unix_path:
                _clear_socket(Path(address.unix_path))
                server.listen(f"unix:{address.unix_path}")
                Path(address.unix_path).chmod(SOCKET_MODE)
            else:
                _probe(address)
                server.listen(str(address), credentials)
        except OSError as error:
            raise _cannot_listen("xDS", address, error) from error


class ServerCertificate(Protocol):
    """What HTTPS, and xDS beyond this machine, show of themselves."""

    @property
    def context(self) -> ssl.SSLContext:
        """The server side of HTTPS."""

    def renew(self) -> None:
        """Show new connections the newest certificate. Raises ConfigurationError, changing nothing."""

    def credentials(self) -> grpc.ServerCredentials:
        """The server side of xDS."""


class ConfiguredCertificate:
    """The certificate that the configuration names, for HTTPS and for xDS beyond this machine."""

    def __init__(self, tls: Tls) -> None:
        """Raises ConfigurationError naming the file that cannot be used."""
        self._tls = tls
        self._pair = _pair(tls)
        self.context = _https_context(tls)
        """The server side of HTTPS."""

    def renew(self) -> None:
        """Show new connections what the files hold by now.

        Raises ConfigurationError, and then nothing has changed.
        """
        _https_context(self._tls)
        self._pair = _pair(self._tls)
        self.context.load_cert_chain(self._tls.cert_file, self._tls.key_file)

    def credentials(self) -> grpc.ServerCredentials:
        """The server side of xDS."""

        def current() -> grpc.ServerCertificateConfiguration:
            return grpc.ssl_server_certificate_configuration([self._pair])

        return grpc.dynamic_ssl_server_credentials(current(), current)


def _pair(tls: Tls) -> tuple[bytes, bytes]:
    try:
        return Path(tls.key_file).read_bytes(), Path(tls.cert_file).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cert_file or key_file cannot be used: {error}") from error


def _https_context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file)
        if tls.verify_incoming:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(tls.ca_file or None, tls.ca_path or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"cert_file, key_file or ca_file cannot be used: {error}") from error
    return context


def _mesh_credentials(
    configuration: AgentConfiguration, certificates: Certificates
) -> grpc.ServerCredentials:
    names = {configuration.advertise_address, configuration.node_name}
    names |= {address.host for address in configuration.listeners.grpc if address.host}
    current: Leaf | None = None

    def fetch() -> grpc.ServerCertificateConfiguration:
        nonlocal current
        now = time.time()
        fresh = current is not None and current.root_id == certificates.authority.root.id
        if current is None or not fresh or current.valid_before - now < SERVER_CERTIFICATE_SECONDS / 3:
            current = issue_server(
                certificates.authority,
                configuration.node_name,
                sorted(names),
                now=now,
                ttl_s=SERVER_CERTIFICATE_SECONDS,
            )
        pair = (current.private_key_pem.encode(), current.cert_chain_pem.encode())
        return grpc.ssl_server_certificate_configuration([pair])

    return grpc.dynamic_ssl_server_credentials(fetch(), fetch)


def _probe(address: ListenAddress) -> None:
    """Find out as the kernel says it whether an address can be had: gRPC says it at length and in the log.

    Raises OSError.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address.host, address.port))


def _clear_socket(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_socket():
        os.unlink(path)


def _cannot_listen(what: str, address: ListenAddress, error: OSError) -> ConfigurationError:
    reason = error.strerror or str(error)
    return ConfigurationError(
        f"cannot listen for {what} on {address}: {reason}; stop what uses it, or choose another port or "
        "address"
    )
