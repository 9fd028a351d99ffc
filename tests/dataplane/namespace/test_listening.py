import os
import socket
from pathlib import Path

import pytest

from pellucid.dataplane.namespace.listening import is_listening, listening_ports


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_listening_socket_is_seen_and_a_connected_one_is_not(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        port = server.getsockname()[1]
        assert is_listening(os.getpid(), port)
        with socket.create_connection((address, port)) as client:
            assert not is_listening(os.getpid(), client.getsockname()[1])
    assert not is_listening(os.getpid(), port)


def test_a_process_that_is_gone_listens_nowhere() -> None:
    assert not is_listening(2**22 + 1, 80)


def test_an_odd_table_is_no_error() -> None:
    assert listening_ports("") == set()
    assert listening_ports("header\nnonsense\n") == set()
    with Path("/proc/self/net/tcp").open() as table:
        assert all(0 <= port < 65536 for port in listening_ports(table.read()))
