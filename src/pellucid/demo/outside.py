"""A stand-in for the internet: one host in a network namespace of its own that answers HTTPS.

The demo must work without a network, so `example.com` is this host: it has an address set aside for
documentation (RFC 5737), reachable from this machine through a pair of virtual interfaces that go away
with the namespace.
"""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "example.com"
ADDRESS = "198.51.100.2"
GREETING = "Hello from outside the mesh"
_HOST_SIDE = "198.51.100.1"
_NAMESPACE = "pellucid-demo-outside"
_LINK = "pellucid-out"


@contextmanager
def outside(directory: Path) -> Iterator[Path]:
    """Run the stand-in; gives the PEM file of the authority that vouches for it.

    Raises subprocess.CalledProcessError when the namespace cannot be made.
    """
    authority = write_certificate(directory)
    remove()
    for line in (
        f"ip netns add {_NAMESPACE}",
        f"ip link add {_LINK} type veth peer name eth0 netns {_NAMESPACE}",
        f"ip address add {_HOST_SIDE}/30 dev {_LINK}",
        f"ip link set {_LINK} up",
        f"ip -n {_NAMESPACE} address add {ADDRESS}/30 dev eth0",
        f"ip -n {_NAMESPACE} link set eth0 up",
        f"ip -n {_NAMESPACE} link set lo up",
    ):
        subprocess.run(line.split(), check=True, capture_output=True)
    command = ["ip", "netns", "exec", _NAMESPACE, sys.executable, __file__, str(directory)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        server.stdout.readline()
        yield authority
    finally:
        server.kill()
        server.wait()
        remove()


def remove() -> None:
    """Take the namespace away, and with it the interfaces; nothing to do if there is none."""
    subprocess.run(["ip", "netns", "delete", _NAMESPACE], check=False, capture_output=True)
    subprocess.run(["ip", "link", "delete", _LINK], check=False, capture_output=True)


def write_certificate(directory: Path) -> Path:
    """Write `key.pem` and a self-signed `certificate.pem` for the stand-in; returns the latter."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    names = x509.SubjectAlternativeName([x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address(ADDRESS))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8
    (directory / "key.pem").write_bytes(key.private_bytes(pem, plain, serialization.NoEncryption()))
    path = directory / "certificate.pem"
    path.write_bytes(certificate.public_bytes(pem))
    return path


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"{GREETING}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def serve(directory: Path) -> None:
    """Answer HTTPS until killed; says so on standard output once it listens."""
    server = HTTPServer((ADDRESS, 443), _Answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "certificate.pem", directory / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print("listening", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
