"""Repeats what it hears, on TCP at the port given. Knows nothing of any mesh."""

from __future__ import annotations

import socket
import socketserver
import sys


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65_536):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    Server(("::", int(sys.argv[1])), Echo).serve_forever()
