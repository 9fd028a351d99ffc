"""A client that never stops asking, to see the moment when it may, and when it may not any more.

Run as `python prober.py HOST PORT`. It opens a connection every few milliseconds, and also holds one open;
each change is a line, at in CLOCK_MONOTONIC seconds:

    {"at": t, "answered": true | false}    new connections are answered, or are not any more
    {"at": t, "held": true | false}        a connection is held open, or has been ended
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time

INTERVAL_SECONDS = 0.002
REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
TIMEOUT_SECONDS = 2.0


def tell(**what: object) -> None:
    """Print a change, in one write: two threads tell."""
    line = json.dumps({"at": time.monotonic(), **what}) + "\n"
    os.write(sys.stdout.fileno(), line.encode())


def ask(host: str, port: int) -> socket.socket | None:
    """A connection on which one request was answered; None if it was not."""
    try:
        connection = socket.create_connection((host, port), TIMEOUT_SECONDS)
    except OSError:
        return None
    with contextlib.suppress(OSError):
        connection.sendall(REQUEST)
        if connection.recv(65_536).startswith(b"HTTP/1.1 200"):
            return connection
    connection.close()
    return None


def hold(host: str, port: int) -> None:
    """Keep a connection open; open another one when it is ended."""
    while True:
        connection = ask(host, port)
        if connection is None:
            time.sleep(INTERVAL_SECONDS)
            continue
        tell(held=True)
        connection.settimeout(None)
        with contextlib.suppress(OSError):
            while connection.recv(65_536):
                pass
        tell(held=False)
        connection.close()


def main(host: str, port: int) -> None:
    """Ask until killed."""
    threading.Thread(target=hold, args=(host, port), daemon=True).start()
    was_answered = False
    while True:
        connection = ask(host, port)
        if (connection is not None) != was_answered:
            was_answered = connection is not None
            tell(answered=was_answered)
        if connection is not None:
            connection.close()
        time.sleep(INTERVAL_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
