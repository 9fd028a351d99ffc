"""Network namespaces made for one test, gone with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

APPLICATION_UID = 1000


class Namespace:
    """A network namespace that lives as long as the process `holder`."""

    def __init__(self, holder: subprocess.Popen[str]) -> None:
        self.pid = holder.pid

    def run(self, *command: str, uid: int = 0) -> str:
        """The command's output, run in this namespace as `uid`; its failure fails the test."""
        return subprocess.run(self._inside(command, uid), check=True, capture_output=True, text=True).stdout

    def start(self, *command: str, uid: int = 0) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._inside(command, uid), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def python(self, code: str, *arguments: object, uid: int = APPLICATION_UID) -> str:
        return self.run(sys.executable, "-S", "-c", code, *map(str, arguments), uid=uid).strip()

    def _inside(self, command: tuple[str, ...], uid: int) -> list[str]:
        as_user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
        return ["nsenter", f"--target={self.pid}", "--net", *as_user, *command]


@contextmanager
def new_namespace() -> Iterator[Namespace]:
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "ip link set lo up; echo ready; read _"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        yield Namespace(holder)
        holder.kill()


@pytest.fixture
def make_namespace() -> Iterator[Callable[[], Namespace]]:
    """Makes empty namespaces, loopback up."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(new_namespace())
