"""`k8s connect-init` as the injector runs it: root with NET_ADMIN and nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.dataplane.conftest import Namespace, make_namespace  # noqa: F401
from tests.mesh.mesh import PELLUCID

pytestmark = pytest.mark.root

NET_ADMIN = "-all,+net_admin"
FLAGS = (
    "-proxy-uid=5995",
    "-exclude-inbound-port=21000",
    "-exclude-inbound-port=20300",
    "-exclude-outbound-cidr=10.9.0.0/16",
)


def connect_init(pod: Namespace, capabilities: str, *flags: str) -> subprocess.CompletedProcess[str]:
    as_container = (
        "setpriv",
        f"--bounding-set={capabilities}",
        f"--inh-caps={capabilities}",
        "--no-new-privs",
    )
    command = (*PELLUCID, "k8s", "connect-init", *flags)
    return subprocess.run(
        ["nsenter", f"--target={pod.pid}", "--net", *as_container, *command],
        capture_output=True,
        text=True,
        check=False,
    )


def test_net_admin_is_enough_for_both_families(make_namespace: Callable[[], Namespace]) -> None:  # noqa: F811
    pod = make_namespace()
    done = connect_init(pod, NET_ADMIN, *FLAGS)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Successfully applied traffic redirection rules",
        "  inbound to port 20000, outbound to port 15001, but for user 5995's",
        "  left alone: inbound ports 21000, 20300",
        "  left alone: destinations 10.9.0.0/16",
    ]
    for command in ("iptables-save", "ip6tables-save"):
        rules = pod.run(command, "-t", "nat")
        assert "--uid-owner 5995 -j RETURN" in rules
        assert "--dport 21000 -j RETURN" in rules
        assert "REDIRECT --to-ports 20000" in rules


def test_a_restarted_container_finds_its_work_done(make_namespace: Callable[[], Namespace]) -> None:  # noqa: F811
    pod = make_namespace()
    before = [connect_init(pod, NET_ADMIN, *FLAGS), pod.run("iptables-save", "-t", "nat")]
    after = [connect_init(pod, NET_ADMIN, *FLAGS), pod.run("iptables-save", "-t", "nat")]

    def rules(text: object) -> list[str]:
        return [line for line in str(text).splitlines() if line.startswith("-A")]

    assert rules(before[1]) == rules(after[1])
    assert rules(after[1])


def test_without_net_admin_it_says_what_the_container_needs(
    make_namespace: Callable[[], Namespace],  # noqa: F811
) -> None:
    done = connect_init(make_namespace(), "-all", *FLAGS)
    assert done.returncode == 1
    assert "give the container NET_ADMIN" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("flag", "complaint"),
    [
        ("-exclude-inbound-port=0", "-exclude-inbound-port"),
        ("-exclude-outbound-cidr=ten", "-exclude-outbound-cidr"),
        ("-proxy-uid=envoy", "-proxy-uid"),
    ],
)
def test_a_flag_that_cannot_be_used_is_named_and_nothing_is_applied(
    make_namespace: Callable[[], Namespace],  # noqa: F811
    flag: str,
    complaint: str,
) -> None:
    pod = make_namespace()
    done = connect_init(pod, NET_ADMIN, "-proxy-uid=5995", flag)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert "-A" not in pod.run("iptables-save", "-t", "nat")
