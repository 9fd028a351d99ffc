import pytest
from dnslib import DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from pellucid.dataplane.namespace.name_resolution import (
    HostResolution,
    NameServers,
    name_servers,
    question_name,
    shadowed_files,
)

HOST = HostResolution(
    resolv_conf=(
        "# by hand\ndomain old\nnameserver 192.0.2.53\nnameserver 192.0.2.54\nsearch corp.example lan\n"
    ),
    nsswitch_conf="passwd: files systemd\nhosts: files resolve [!UNAVAIL=return] dns\n",
    hosts="127.0.0.1 localhost\n",
)
SERVERS = NameServers(domain="consul", mesh="127.0.0.1:8600", others="192.0.2.53:53")

labels = st.lists(st.from_regex(r"[a-z0-9_-]{1,20}", fullmatch=True), min_size=1, max_size=6)


@given(labels)
def test_names_are_read_as_dns_libraries_write_them(name: list[str]) -> None:
    assert question_name(DNSRecord.question(".".join(name)).pack()) == name


@given(st.binary(max_size=300))
def test_garbage_is_no_name_and_no_error(packet: bytes) -> None:
    SERVERS.for_query(packet)


@pytest.mark.parametrize(
    ("name", "server"),
    [
        ("hello.virtual.consul", "127.0.0.1:8600"),
        ("HELLO.service.CONSUL", "127.0.0.1:8600"),
        ("7.0.0.240.in-addr.arpa", "127.0.0.1:8600"),
        ("example.com", "192.0.2.53:53"),
        ("consul.example.com", "192.0.2.53:53"),
    ],
)
def test_mesh_names_go_to_the_agent_and_others_out(name: str, server: str) -> None:
    assert SERVERS.for_query(DNSRecord.question(name).pack()) == server


def test_without_an_uplink_the_agent_is_asked_everything() -> None:
    servers = name_servers("consul.", "127.0.0.1:8600", HOST, uplink=False)
    assert servers.for_query(DNSRecord.question("example.com").pack()) == "127.0.0.1:8600"
    assert name_servers("consul", "127.0.0.1:8600", HOST, uplink=True) == SERVERS


def test_a_workload_resolves_through_its_own_loopback_and_finds_bare_service_names() -> None:
    files = shadowed_files("consul", HOST, {}, uplink=True)
    assert files["/etc/resolv.conf"].splitlines()[:2] == [
        "search virtual.consul service.consul corp.example lan",
        "nameserver 127.0.0.1",
    ]
    assert files["/etc/nsswitch.conf"] == "passwd: files systemd\nhosts: files dns\n"
    assert "/etc/hosts" not in files


def test_the_hosts_search_list_is_of_no_use_without_an_uplink() -> None:
    assert "corp.example" not in shadowed_files("consul", HOST, {}, uplink=False)["/etc/resolv.conf"]


def test_further_names_are_added_to_hosts() -> None:
    files = shadowed_files("consul", HOST, {"example.com": "192.0.2.10"}, uplink=False)
    assert files["/etc/hosts"] == "127.0.0.1 localhost\n192.0.2.10\texample.com\n"


def test_a_host_without_files_is_fine() -> None:
    assert HostResolution().nameservers == ()
    assert (
        shadowed_files("consul", HostResolution(), {}, uplink=True)["/etc/nsswitch.conf"]
        == "hosts: files dns\n"
    )
