"""Greets whoever asks for /hello on port 8080; counts its requests for Prometheus on loopback port 9091.

/healthz says whether it is well; PUT /health/fail and /health/pass say what it shall answer.
"""

import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = "text/plain; charset=utf-8"


class Greeter(BaseHTTPRequestHandler):
    """The application."""

    protocol_version = "HTTP/1.1"
    well = True
    requests = 0

    def do_GET(self) -> None:
        if self.path == "/hello":
            Greeter.requests += 1
            answer(self, 200, "Hello World\n")
        elif self.path == "/healthz":
            answer(self, 200 if Greeter.well else 410, "I'm alive\n" if Greeter.well else "")
        else:
            answer(self, 404, "404 page not found\n")

    def do_PUT(self) -> None:
        if self.path in ("/health/pass", "/health/fail"):
            Greeter.well = self.path == "/health/pass"
            answer(self, 200, "")
        else:
            answer(self, 404, "404 page not found\n")


class Counters(BaseHTTPRequestHandler):
    """What Prometheus scrapes."""

    def do_GET(self) -> None:
        answer(self, 200, f"# TYPE http_requests_total counter\nhttp_requests_total {Greeter.requests}\n")

    def log_message(self, format: str, *args: object) -> None:
        """Scrapes are no news."""


class DualStackServer(ThreadingHTTPServer):
    """One socket for both address families."""

    address_family = socket.AF_INET6
    daemon_threads = True


def answer(handler: BaseHTTPRequestHandler, status: int, text: str) -> None:
    """Send a text."""
    handler.send_response(status)
    handler.send_header("Content-Type", TEXT)
    handler.send_header("Content-Length", str(len(text.encode())))
    handler.end_headers()
    handler.wfile.write(text.encode())


def main() -> None:
    """Serve until told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    counters = ThreadingHTTPServer(("127.0.0.1", 9091), Counters)
    threading.Thread(target=counters.serve_forever, daemon=True).start()
    DualStackServer(("::", 8080), Greeter).serve_forever()


if __name__ == "__main__":
    main()
