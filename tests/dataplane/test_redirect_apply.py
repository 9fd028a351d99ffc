"""Plans in the real kernel, in namespaces of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from pellucid.dataplane.redirect_apply import (
    IptablesMissingError,
    NetworkNamespace,
    NoSuchNamespaceError,
    NotPermittedError,
    RedirectError,
    apply_redirection,
    is_redirected,
    undo_redirection,
)
from pellucid.dataplane.redirect_plan import plan_redirection
from pellucid.dataplane.redirect_settings import RedirectSettings, parse_cidr

from .conftest import Namespace

pytestmark = pytest.mark.root

PROXY_UID = 5995
SETTINGS = RedirectSettings(
    proxy_uid=PROXY_UID,
    proxy_mark=0x70656C,
    exclude_inbound_ports=(9102,),
    exclude_outbound_ports=(5432,),
    exclude_outbound_cidrs=(parse_cidr("", "198.51.100.0/24"), parse_cidr("", "2001:db8:bad::/48")),
    exclude_uids=(1234,),
    exclude_gids=(4321,),
)
PLAN = plan_redirection(SETTINGS)

ANSWER_WITH_ORIGINAL_DESTINATION = """
import socket, struct, sys, threading
SO_ORIGINAL_DST = 80
def original(connection):
    if connection.family == socket.AF_INET:
        level, layout = socket.IPPROTO_IP, "!2xH4s8x"
    else:
        level, layout = socket.IPPROTO_IPV6, "!2xH4x16s4x"
    answer = connection.getsockopt(level, SO_ORIGINAL_DST, struct.calcsize(layout))
    port, address = struct.unpack(layout, answer)
    return f"{socket.inet_ntop(connection.family, address)} {port}"
def serve(listener):
    while True:
        connection, _ = listener.accept()
        connection.sendall(original(connection).encode())
        connection.close()
for address in sys.argv[1:]:
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, int(port)), family=family)
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""

DIAL = """
import socket, sys
host, port, mark = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
connection = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
connection.settimeout(5)
if mark:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
try:
    connection.connect((host, port))
    print(connection.recv(100).decode())
except OSError as error:
    print(type(error).__name__)
"""


@contextmanager
def reporting_listeners(namespace: Namespace, *addresses: str) -> Iterator[None]:
    """Listeners that answer each connection with the destination it was meant for."""
    listeners = namespace.start("python3", "-c", ANSWER_WITH_ORIGINAL_DESTINATION, *addresses)
    with listeners:
        assert listeners.stdout is not None
        assert listeners.stdout.readline() == "ready\n"
        yield
        listeners.kill()


def dial(namespace: Namespace, host: str, port: int, *, uid: int = 1000, mark: int = 0) -> str:
    return namespace.python(DIAL, host, port, mark, uid=uid)


class World(NamedTuple):
    """A workload, and the rest of the world: every address but the workload's own is at the peer."""

    workload: Namespace
    peer: Namespace


@pytest.fixture
def world(make_namespace: Callable[[], Namespace]) -> World:
    world = World(make_namespace(), make_namespace())
    link = ["ip", "link", "add", "eth0", "netns", str(world.workload.pid), "type", "veth"]
    subprocess.run([*link, "peer", "name", "eth0", "netns", str(world.peer.pid)], check=True)
    for host, namespace in enumerate(world, start=1):
        namespace.run("ip", "address", "add", f"10.8.0.{host}/24", "dev", "eth0")
        namespace.run("ip", "address", "add", f"fd08::{host}/64", "dev", "eth0", "nodad")
        namespace.run("ip", "link", "set", "eth0", "up")
    world.workload.run("ip", "route", "add", "default", "via", "10.8.0.2")
    world.workload.run("ip", "route", "add", "default", "via", "fd08::2")
    for everything in ("0.0.0.0/0", "::/0"):
        world.peer.run("ip", "route", "add", "local", everything, "dev", "lo")
    world.peer.run("ip", "route", "add", "10.8.0.1", "dev", "eth0", "table", "local")
    world.peer.run("ip", "route", "add", "fd08::1", "dev", "eth0", "table", "local")
    return world


@pytest.fixture
def workload(world: World) -> Namespace:
    return world.workload


def saved_rules(namespace: Namespace) -> str:
    """Both families' rules, without the dates that iptables-save stamps on them."""
    saved = namespace.run("iptables-save") + namespace.run("ip6tables-save")
    return re.sub(r"^#.*\n", "", saved, flags=re.MULTILINE)


def test_outbound_connections_land_on_the_proxy_with_their_destination_kept(workload: Namespace) -> None:
    apply_redirection(PLAN, NetworkNamespace(pid=workload.pid))
    with reporting_listeners(workload, "127.0.0.1:15001", "::1:15001"):
        assert dial(workload, "240.0.0.7", 80) == "240.0.0.7 80"
        assert dial(workload, "203.0.113.9", 443) == "203.0.113.9 443"
        assert dial(workload, "fd12::7", 80) == "fd12::7 80"


def test_exempt_senders_and_destinations_are_left_alone(world: World) -> None:
    apply_redirection(PLAN, NetworkNamespace(pid=world.workload.pid))
    exempt = {
        "the proxy's user": ("203.0.113.9", 80, PROXY_UID, 0),
        "the proxy's mark": ("203.0.113.9", 80, 0, 0x70656C),
        "an excluded user": ("203.0.113.9", 80, 1234, 0),
        "an excluded group": ("203.0.113.9", 80, 4321, 0),
        "an excluded port": ("203.0.113.9", 5432, 1000, 0),
        "an excluded range": ("198.51.100.7", 80, 1000, 0),
        "an excluded IPv6 range": ("2001:db8:bad::7", 80, 1000, 0),
    }
    with reporting_listeners(world.workload, "127.0.0.1:15001", "::1:15001"):
        for why, (host, port, uid, mark) in exempt.items():
            assert dial(world.workload, host, port, uid=uid, mark=mark) == "ConnectionRefusedError", why
        assert dial(world.workload, "127.0.0.1", 81) == "ConnectionRefusedError"
        assert dial(world.workload, "::1", 81) == "ConnectionRefusedError"
        assert dial(world.workload, "203.0.113.9", 80) == "203.0.113.9 80"


def test_inbound_connections_land_on_the_proxy_except_at_excluded_ports(world: World) -> None:
    apply_redirection(PLAN, NetworkNamespace(pid=world.workload.pid))
    with reporting_listeners(world.workload, "0.0.0.0:20000", "::1:20000", "fd08::1:20000"):
        assert dial(world.peer, "10.8.0.1", 8080) == "10.8.0.1 8080"
        assert dial(world.peer, "fd08::1", 8080) == "fd08::1 8080"
        assert dial(world.peer, "10.8.0.1", 9102) == "ConnectionRefusedError"


def test_the_kernel_holds_exactly_the_plan(workload: Namespace) -> None:
    where = NetworkNamespace(pid=workload.pid)
    assert not is_redirected(PLAN, where)
    apply_redirection(PLAN, where)
    assert is_redirected(PLAN, where)
    workload.run("iptables", "-t", "nat", "-D", "CONSUL_PROXY_OUTPUT", "1")
    assert not is_redirected(PLAN, where)


def test_applying_again_changes_nothing(workload: Namespace) -> None:
    where = NetworkNamespace(pid=workload.pid)
    apply_redirection(PLAN, where)
    once = saved_rules(workload)
    apply_redirection(PLAN, where)
    assert saved_rules(workload) == once


def test_a_new_plan_replaces_the_old_one(workload: Namespace) -> None:
    where = NetworkNamespace(pid=workload.pid)
    apply_redirection(PLAN, where)
    other = plan_redirection(RedirectSettings(proxy_uid=1, inbound_port=None, outbound_port=16001))
    apply_redirection(other, where)
    assert is_redirected(other, where)
    assert "15001" not in saved_rules(workload)


def test_undo_leaves_the_rules_byte_for_byte_as_they_were(workload: Namespace) -> None:
    for command in ("iptables", "ip6tables"):
        workload.run(command, "-t", "nat", "-N", "FOREIGN")
        workload.run(command, "-t", "nat", "-A", "FOREIGN", "-p", "tcp", "--dport", "1", "-j", "RETURN")
        workload.run(command, "-t", "nat", "-A", "OUTPUT", "-j", "FOREIGN")
        workload.run(command, "-A", "INPUT", "-p", "tcp", "--dport", "2", "-j", "DROP")
    before = saved_rules(workload)
    where = NetworkNamespace(pid=workload.pid)
    apply_redirection(PLAN, where)
    assert all(line in saved_rules(workload) for line in before.splitlines())
    undo_redirection(where)
    assert saved_rules(workload) == before
    undo_redirection(where)
    assert saved_rules(workload) == before


def test_when_one_family_fails_the_other_is_as_before(
    workload: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = NetworkNamespace(pid=workload.pid)
    apply_redirection(PLAN, where)
    before = saved_rules(workload)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        refusing = tmp_path / "ip6tables-restore"
        refusing.write_text("#!/bin/sh\necho line 7 failed >&2\nexit 1\n")
        refusing.chmod(0o755)
        with pytest.raises(RedirectError, match="line 7 failed"):
            apply_redirection(plan_redirection(RedirectSettings(proxy_uid=1)), where)
    assert saved_rules(workload) == before


def test_a_missing_iptables_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workload: Namespace
) -> None:
    (tmp_path / "nsenter").symlink_to("/usr/bin/nsenter")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(IptablesMissingError, match="apt-get install iptables"):
        apply_redirection(PLAN)
    with pytest.raises(IptablesMissingError, match="apt-get install iptables"):
        apply_redirection(PLAN, NetworkNamespace(pid=workload.pid))


def test_a_namespace_that_is_not_there_is_named() -> None:
    with pytest.raises(NoSuchNamespaceError, match="/nowhere"):
        apply_redirection(PLAN, NetworkNamespace(path="/nowhere"))


def test_without_net_admin_the_error_says_what_is_needed(make_namespace: Callable[[], Namespace]) -> None:
    attempt = """
from pellucid.dataplane.redirect_apply import *
from pellucid.dataplane.redirect_plan import plan_redirection
from pellucid.dataplane.redirect_settings import RedirectSettings
try:
    apply_redirection(plan_redirection(RedirectSettings(proxy_uid=1)))
except NotPermittedError as error:
    print(error)
"""
    without = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    command = [
        "nsenter",
        f"--target={make_namespace().pid}",
        "--net",
        *without,
        sys.executable,
        "-c",
        attempt,
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "NET_ADMIN" in said
    assert issubclass(NotPermittedError, RedirectError)
