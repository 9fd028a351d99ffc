"""gRPC checks: the standard health service says SERVING.

The two messages have one field each and are written here, so that the health package isn't needed at run
time.
Source: Consul 1.10 docs, "Checks", "gRPC"; gRPC health checking protocol, grpc/health/v1/health.proto.
"""

from __future__ import annotations

import asyncio
import ssl

import grpc
import grpc.aio
from cryptography import x509

from pellucid.health.probers.dialing import (
    AddressError,
    client_tls,
    connect,
    describe_failure,
    split_address,
    timeout_of,
)
from pellucid.health.results import CheckResult
from pellucid.model.addresses import host_and_port
from pellucid.model.checks import CheckDefinition, CheckStatus

CHECK_METHOD = "/grpc.health.v1.Health/Check"
SERVING = 1
STATUS_NAMES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")

_SERVICE_FIELD = b"\x0a"
_STATUS_FIELD = 0x08
_OPTIONS = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))


async def probe_grpc(definition: CheckDefinition) -> CheckResult:
    """Ask the health service at `grpc` (`host:port` or `host:port/service`)."""
    address, _, service = definition.grpc.partition("/")
    try:
        host, port = split_address(address)
    except AddressError as error:
        return CheckResult(CheckStatus.CRITICAL, str(error))
    timeout_s = timeout_of(definition)
    try:
        async with asyncio.timeout(timeout_s):
            async with await _channel(definition, host, port) as channel:
                check = channel.unary_unary(CHECK_METHOD)
                status = _status_of(await check(_request(service), timeout=timeout_s))
    except grpc.aio.AioRpcError as error:
        name = error.code().name.title().replace("_", "")
        return CheckResult(CheckStatus.CRITICAL, f"rpc error: code = {name} desc = {error.details()}")
    except (OSError, TimeoutError) as error:
        return CheckResult(CheckStatus.CRITICAL, describe_failure(error, host, port))
    if status != SERVING:
        name = STATUS_NAMES[status] if status < len(STATUS_NAMES) else str(status)
        return CheckResult(CheckStatus.CRITICAL, f"gRPC {definition.grpc} serving status: {name}")
    return CheckResult(CheckStatus.PASSING, f"gRPC check {definition.grpc}: success")


async def _channel(definition: CheckDefinition, host: str, port: int) -> grpc.aio.Channel:
    target = host_and_port(host, port)
    if not definition.grpc_use_tls:
        return grpc.aio.insecure_channel(target, options=_OPTIONS)
    if not definition.tls_skip_verify:
        named = _name_override(definition.tls_server_name)
        return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), options=_OPTIONS + named)
    certificate = await _presented_certificate(host, port, definition.tls_server_name)
    credentials = grpc.ssl_channel_credentials(ssl.DER_cert_to_PEM_cert(certificate).encode())
    return grpc.aio.secure_channel(
        target, credentials, options=_OPTIONS + _name_override(_name_in(certificate))
    )


async def _presented_certificate(host: str, port: int, server_name: str) -> bytes:
    """The certificate that the server shows.

    gRPC has no way to verify nothing, so an unverified check trusts just what the server shows anyway.
    """
    _, writer = await connect(host, port, client_tls(True, ("h2",)), server_name)
    try:
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert isinstance(certificate, bytes)
        return certificate
    finally:
        writer.close()


def _name_in(der: bytes) -> str:
    """A name that the certificate is valid for; empty when it has none, and then gRPC refuses it."""
    certificate = x509.load_der_x509_certificate(der)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return str(common[0].value) if common else ""
    dns = names.get_values_for_type(x509.DNSName)
    if dns:
        return dns[0].replace("*", "any", 1)
    addresses = names.get_values_for_type(x509.IPAddress)
    return str(addresses[0]) if addresses else ""


def _name_override(name: str) -> tuple[tuple[str, str], ...]:
    return (("grpc.ssl_target_name_override", name),) if name else ()


def _request(service: str) -> bytes:
    """A HealthCheckRequest: field 1, the service's name."""
    name = service.encode()
    return _SERVICE_FIELD + _varint(len(name)) + name if name else b""


def _status_of(response: bytes) -> int:
    """The status in a HealthCheckResponse: field 1, an enumeration below 128; 0 when absent or unreadable."""
    return response[1] if len(response) >= 2 and response[0] == _STATUS_FIELD else 0


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*encoded, number))
