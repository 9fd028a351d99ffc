"""Repeats what it hears, on TCP at the port given, and tells what it was. Knows nothing of any mesh."""

from __future__ import annotations

import socket
import socketserver
import sys


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65_536):
            print("heard", data.decode(errors="replace"), flush=True)
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    server = Server(("::", int(sys.argv[1])), Echo)
    print("listening", flush=True)
    server.serve_forever()
