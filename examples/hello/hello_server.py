"""The hello server: answers `GET /hello` with `Hello World`. Knows nothing of any mesh."""

import argparse
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hello(BaseHTTPRequestHandler):
    """One request: a greeting, a health answer, or 404."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer the two paths there are."""
        answers = {"/hello": b"Hello World\n", "/healthz": b"I'm alive\n"}
        body = answers.get(self.path, b"")
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet: the client's lines are the ones to watch."""


class DualStackServer(ThreadingHTTPServer):
    """Accepts IPv4 and IPv6 on one socket."""

    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        """Bind to every address of both families."""
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080)
    DualStackServer(("::", parser.parse_args().port), Hello).serve_forever()


if __name__ == "__main__":
    main()
