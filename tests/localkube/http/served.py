"""An API server with its certificates, and a kubeconfig of its administrator."""

from __future__ import annotations

import asyncio
import base64
import datetime
import ipaddress
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from pellucid.localkube.api.bootstrap import bootstrap
from pellucid.localkube.api.store import Resources
from pellucid.localkube.api.tokens import ServiceAccountTokens
from pellucid.localkube.http.application import Application
from pellucid.localkube.http.connection import Handler
from pellucid.localkube.http.node_streams import NodeStreams
from pellucid.localkube.http.server import ApiServer, tls_context
from pellucid.localkube.http.webhook_client import WebhookClient
from pellucid.localkube.types.kinds import SERVICE_ACCOUNTS
from pellucid.state.log import Log


class Served:
    """A running API server."""

    def __init__(self, resources: Resources, server: ApiServer, tokens: ServiceAccountTokens) -> None:
        self.resources = resources
        self.server = server
        self.tokens = tokens
        self.port = 0
        self.kubeconfig = Path()
        self.authority = Path()

    async def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """kubectl's output; raises with its errors if it fails."""
        code, output, errors = await self.try_kubectl(*arguments, stdin=stdin)
        assert code == 0, f"kubectl {' '.join(arguments)}: {errors}"
        return output

    async def try_kubectl(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            kubectl_program(),
            f"--kubeconfig={self.kubeconfig}",
            f"--cache-dir={self.kubeconfig.parent / 'cache'}",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate(stdin.encode())
        return process.returncode or 0, output.decode(), errors.decode()

    async def close(self) -> None:
        await self.server.close()
        self.resources.close()


@asynccontextmanager
async def webhook_at(served: Served, handler: Handler) -> AsyncIterator[tuple[int, WebhookClient]]:
    """A webhook that shows the API server's own certificate: its port, and a client that knows no Service."""

    def nowhere(namespace: str, name: str, port: int) -> tuple[str, int]:
        raise OSError(f'service "{name}" not found')

    directory = served.authority.parent
    certificates = (directory / "kube-apiserver.crt", directory / "kube-apiserver.key")
    server = ApiServer(handler, tls_context(*certificates, served.authority))
    try:
        yield await server.listen("127.0.0.1", 0), WebhookClient(nowhere)
    finally:
        await server.close()


def kubectl_program() -> str:
    import sys

    return str(Path(sys.executable).parent / "kubectl")


async def serve(directory: Path, streams: NodeStreams | None = None) -> Served:
    resources = Resources(Log())
    await bootstrap(resources)
    await resources.create(SERVICE_ACCOUNTS, "default", {"metadata": {"name": "default"}})

    def uid_of(namespace: str, name: str) -> str | None:
        account = resources.peek(SERVICE_ACCOUNTS, namespace, name)
        return None if account is None else account["metadata"]["uid"]

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    tokens = ServiceAccountTokens(key, time.time, uid_of)
    certificates = _Certificates(directory)
    certificate, private = certificates.issue("kube-apiserver", "")
    context = tls_context(certificate, private, certificates.authority)
    served = Served(resources, ApiServer(Application(resources, tokens, streams=streams), context), tokens)
    served.port = await served.server.listen("127.0.0.1", 0)
    served.authority = certificates.authority
    served.kubeconfig = directory / "config"
    admin, admin_key = certificates.issue("admin", "system:masters")
    served.kubeconfig.write_bytes(
        msgspec.json.encode(_kubeconfig(served.port, certificates.authority, admin, admin_key))
    )
    return served


def _kubeconfig(port: int, authority: Path, certificate: Path, key: Path) -> dict[str, Any]:
    def data(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [
            {
                "name": "c",
                "cluster": {
                    "server": f"https://127.0.0.1:{port}",
                    "certificate-authority-data": data(authority),
                },
            }
        ],
        "users": [
            {
                "name": "u",
                "user": {"client-certificate-data": data(certificate), "client-key-data": data(key)},
            }
        ],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }


class _Certificates:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self._authority = self._signed(self._name, self._key, authority=True)
        self.authority = self._written("ca.crt", self._authority)

    def issue(self, name: str, organization: str) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        if organization:
            attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        certificate = self._signed(x509.Name(attributes), key, authority=False)
        place = self._directory / f"{name}.key"
        place.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return self._written(f"{name}.crt", certificate), place

    def _written(self, name: str, certificate: x509.Certificate) -> Path:
        place = self._directory / name
        place.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return place

    def _signed(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(names, critical=False)
            .sign(self._key, hashes.SHA256())
        )
