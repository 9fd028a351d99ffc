"""The sockets that a DNS server listens on.

They are bound before the server runs, so that a taken port is an error of the start, queries that come early
wait in the kernel, and whoever opens them may do so in another network namespace.
"""

from __future__ import annotations

import socket

import msgspec

RECEIVE_BUFFER_BYTES = 1 << 20
LISTEN_BACKLOG = 128
PORT_ATTEMPTS = 16

_IP_PKTINFO = 8
"""Linux' option that tells, and sets, the local address of a datagram; `socket` doesn't name it for IPv4."""


class Listener(msgspec.Struct, frozen=True):
    """A bound UDP socket and a listening TCP socket of one address."""

    udp: socket.socket
    tcp: socket.socket

    @property
    def port(self) -> int:
        """The port of both."""
        port: int = self.udp.getsockname()[1]
        return port

    def close(self) -> None:
        """Give both up."""
        self.udp.close()
        self.tcp.close()


def bind(host: str, port: int) -> Listener:
    """Bind an address for DNS; queries that come before `serve` runs are kept by the kernel.

    host: an IP address. port: 0 picks one that is free for both transports.
    Raises OSError when it is taken or isn't ours.
    """
    for _ in range(PORT_ATTEMPTS):
        tcp = _tcp_socket(host, port)
        try:
            return Listener(_udp_socket(host, tcp.getsockname()[1]), tcp)
        except OSError:
            tcp.close()
            if port:
                raise
    raise OSError(f"no port of {host} is free for both UDP and TCP")


def _tcp_socket(host: str, port: int) -> socket.socket:
    tcp = socket.socket(_family(host), socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _keep_to_family(tcp)
        tcp.bind((host, port))
        tcp.listen(LISTEN_BACKLOG)
    except OSError:
        tcp.close()
        raise
    return tcp


def _udp_socket(host: str, port: int) -> socket.socket:
    udp = socket.socket(_family(host), socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        _keep_to_family(udp)
        if host == "0.0.0.0":  # noqa: S104 - only compared
            udp.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        elif host == "::":
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        udp.bind((host, port))
    except OSError:
        udp.close()
        raise
    return udp


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _keep_to_family(listening: socket.socket) -> None:
    if listening.family == socket.AF_INET6:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
