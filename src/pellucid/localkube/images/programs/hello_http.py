"""Greets whoever asks on port 8080."""

import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Greeter(BaseHTTPRequestHandler):
    """The same greeting for every path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"Hello World\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class DualStackServer(ThreadingHTTPServer):
    """One socket for both address families."""

    address_family = socket.AF_INET6
    daemon_threads = True


def main() -> None:
    """Serve until told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    DualStackServer(("::", 8080), Greeter).serve_forever()


if __name__ == "__main__":
    main()
