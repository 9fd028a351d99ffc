"""Small parts that many resources have: packed messages, addresses, durations, the way to the server."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from envoy.config.core.v3 import address_pb2, base_pb2, config_source_pb2
from google.protobuf import any_pb2, duration_pb2


def packed(message: Any) -> any_pb2.Any:
    """A message in its `Any` envelope, map entries in key order."""
    envelope = any_pb2.Any()
    envelope.Pack(message, deterministic=True)
    return envelope


def from_server() -> config_source_pb2.ConfigSource:
    """Says that something comes over the same stream as everything else."""
    return config_source_pb2.ConfigSource(
        ads=config_source_pb2.AggregatedConfigSource(), resource_api_version=config_source_pb2.ApiVersion.V3
    )


def socket_address(ip: str, port: int) -> address_pb2.Address:
    """An address to listen on or connect to."""
    return address_pb2.Address(socket_address=address_pb2.SocketAddress(address=ip, port_value=port))


def is_ip(address: str) -> bool:
    """False for host names, which only DNS clusters take."""
    try:
        ip_address(address)
    except ValueError:
        return False
    return True


def pipe_address(path: str, mode: int = 0) -> address_pb2.Address:
    """A unix socket. mode: its permission bits, 0 for the process's own."""
    return address_pb2.Address(pipe=address_pb2.Pipe(path=path, mode=mode))


def prefix(address_or_cidr: str) -> address_pb2.CidrRange:
    """`10.0.0.1`, `fd00::1` or `10.0.0.0/8` as a range."""
    address, _, length = address_or_cidr.partition("/")
    longest = ip_address(address).max_prefixlen
    cidr = address_pb2.CidrRange(address_prefix=address)
    cidr.prefix_len.value = int(length) if length else longest
    return cidr


def milliseconds(count: int) -> duration_pb2.Duration:
    """A duration."""
    duration = duration_pb2.Duration()
    duration.FromMilliseconds(count)
    return duration


def inline(text: str) -> base_pb2.DataSource:
    """Text that is in the resource itself."""
    return base_pb2.DataSource(inline_string=text)
