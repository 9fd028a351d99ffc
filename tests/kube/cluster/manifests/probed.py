"""An application that is asked in every way: TCP at 8081, HTTP at 8082, HTTPS at 8443, gRPC at 9000."""

import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

SERVING = b"\x08\x01"
PAIR = Path("/dev/shm/pair.pem")


class Page(BaseHTTPRequestHandler):
    """200 for everything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


def pair() -> Path:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "probed")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    certificate = (
        builder.not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    PAIR.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    return PAIR


def main() -> None:
    health = {"Check": grpc.unary_unary_rpc_method_handler(lambda _request, _context: SERVING)}
    rpc = grpc.server(ThreadPoolExecutor(2))
    rpc.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", health),))
    rpc.add_insecure_port("127.0.0.1:9000")
    rpc.start()
    secure = HTTPServer(("127.0.0.1", 8443), Page)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair())
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    servers = [HTTPServer(("127.0.0.1", 8081), Page), HTTPServer(("127.0.0.1", 8082), Page), secure]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    rpc.wait_for_termination()


main()
