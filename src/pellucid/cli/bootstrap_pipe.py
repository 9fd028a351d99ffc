"""A named pipe that hands a text to the first reader and is gone.

Envoy's bootstrap can hold a token. In an argument every user of the machine could read it, and a file
might stay behind; a pipe of mode 0600 does neither.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from typing import NoReturn

LIFETIME_S = 10.0


def offer(text: str, name: str) -> str:
    """Make a pipe called `name` in a directory of its own; returns its path.

    A process of its own writes the text. It is nobody's child when this returns (the program that takes
    this process's place would not reap it), and when nobody has read within ten seconds it gives up.
    """
    directory = tempfile.mkdtemp(prefix="envoy-")
    path = os.path.join(directory, name)
    os.mkfifo(path, 0o600)
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _write_detached(text, path)
    os.waitpid(child, 0)
    return path


def _write_detached(text: str, path: str) -> NoReturn:
    """In a grandchild: wait for a reader, write, remove the pipe, end."""
    if os.fork() != 0:
        os._exit(0)
    try:
        signal.signal(signal.SIGALRM, _give_up)
        signal.setitimer(signal.ITIMER_REAL, LIFETIME_S)
        with open(path, "w", encoding="utf-8") as pipe:
            pipe.write(text)
    except OSError:
        pass  # the reader is gone; there is nobody left to tell
    finally:
        os.unlink(path)
        os.rmdir(os.path.dirname(path))
        os._exit(0)


def _give_up(number: int, frame: object) -> NoReturn:
    raise TimeoutError
