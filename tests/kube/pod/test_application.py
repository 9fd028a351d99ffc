"""Whether the application still holds sockets, as the kernel tells it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import pytest

from pellucid.kube.pod.application import sockets_of_others
from tests.dataplane.conftest import Namespace, make_namespace  # noqa: F401

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LISTENING = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 101 0 4711 1 0 100\n"
TIME_WAIT = (
    "   1: 0100007F:1F90 0100007F:D5F2 06 00000000:00000000 03:00001504 00000000     0        0 0 3 0\n"
)

ASK = """
import os, sys
from pellucid.kube.pod.application import application_is_there
print(application_is_there(lambda: (os.getpid(),)))
"""
LISTEN_AND_ASK = "import socket; held = socket.create_server(('::1', 8080), family=socket.AF_INET6)" + ASK
HOLD = "import socket; held = socket.create_server(('', 8080)); print('held', flush=True); input()"


def test_a_socket_that_we_do_not_hold_is_the_applications() -> None:
    assert sockets_of_others([HEAD + LISTENING], own=()) == {4711}
    assert sockets_of_others([HEAD + LISTENING], own={4711}) == set()


def test_a_socket_that_nobody_holds_any_more_is_nobodys() -> None:
    assert sockets_of_others([HEAD + TIME_WAIT, ""], own=()) == set()


@pytest.mark.root
def test_our_own_sockets_do_not_count_and_anothers_do(make_namespace: Callable[[], Namespace]) -> None:  # noqa: F811
    pod = make_namespace()

    def asked(code: str) -> str:
        return pod.run(sys.executable, "-c", code).strip()

    assert asked(ASK) == "False"
    assert asked(LISTEN_AND_ASK) == "False"
    with pod.start(sys.executable, "-c", HOLD, uid=os.getuid()) as application:
        assert application.stdout is not None
        assert application.stdout.readline() == "held\n"
        assert asked(ASK) == "True"
        application.communicate("\n")
    assert asked(ASK) == "False"
