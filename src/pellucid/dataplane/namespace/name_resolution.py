"""How programs in a workload's namespace find names: the files they read, and who answers which name.

Mesh names go to the agent. With an uplink, other names go where the host sends them; without one, to the
agent too, which refuses or recurses as it is configured. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

DNS_PORT = 53
RESOLV_CONF = "/etc/resolv.conf"
NSSWITCH_CONF = "/etc/nsswitch.conf"
HOSTS = "/etc/hosts"

_LONGEST_NAME = 255
_MOST_NAMESERVERS = 3


class HostResolution(msgspec.Struct, frozen=True):
    """What the host's own files say; empty texts for files that are not there."""

    resolv_conf: str = ""
    nsswitch_conf: str = ""
    hosts: str = ""

    @property
    def nameservers(self) -> tuple[str, ...]:
        found = [words[1] for words in _lines(self.resolv_conf, ("nameserver",)) if len(words) > 1]
        return tuple(found[:_MOST_NAMESERVERS])

    @property
    def search(self) -> tuple[str, ...]:
        """The last `search` or `domain` line counts."""
        found = _lines(self.resolv_conf, ("search", "domain"))
        return tuple(found[-1][1:]) if found else ()


class NameServers(msgspec.Struct, frozen=True):
    """Who answers: `host:port` for the mesh's domain and the reverse zones, and for everything else."""

    domain: str
    mesh: str
    others: str

    def for_query(self, packet: bytes) -> str:
        """Which server answers this query; the mesh's when the packet makes no sense."""
        labels = question_name(packet)
        foreign = labels is not None and labels[-1:] not in ([self.domain.lower()], ["arpa"])
        return self.others if foreign else self.mesh


def name_servers(domain: str, agent: str, host: HostResolution, *, uplink: bool) -> NameServers:
    """agent: the agent's DNS, `host:port`."""
    outside = f"{host.nameservers[0]}:{DNS_PORT}" if uplink and host.nameservers else agent
    return NameServers(domain.strip("."), agent, outside)


def shadowed_files(
    domain: str, host: HostResolution, hosts: Mapping[str, str], *, uplink: bool
) -> dict[str, str]:
    """The files a workload sees in place of the host's.

    hosts: further names with their addresses. Service names alone are found, too: `hello` is
    `hello.virtual.<domain>`, the mesh's own address for the service.
    """
    search = [f"virtual.{domain}", f"service.{domain}", *(host.search if uplink else ())]
    files = {
        RESOLV_CONF: f"search {' '.join(search)}\nnameserver 127.0.0.1\noptions timeout:2 attempts:2\n",
        # Other sources, such as systemd-resolved's, answer over sockets that reach out of the namespace.
        NSSWITCH_CONF: _with_files_and_dns(host.nsswitch_conf),
    }
    if hosts:
        further = "".join(f"{address}\t{name}\n" for name, address in hosts.items())
        files[HOSTS] = f"{host.hosts.rstrip()}\n{further}"
    return files


def question_name(packet: bytes) -> list[str] | None:
    """The labels of a query's first question, lower-cased; None when it cannot be read.

    Source: RFC 1035, sections 4.1.1 and 4.1.2.
    """
    labels: list[str] = []
    position = 12
    while position < min(len(packet), 12 + _LONGEST_NAME):
        length = packet[position]
        if length == 0:
            return labels
        if length > 63:
            return None
        labels.append(packet[position + 1 : position + 1 + length].decode("latin-1").lower())
        position += 1 + length
    return None


def _with_files_and_dns(nsswitch_conf: str) -> str:
    others = [line for line in nsswitch_conf.splitlines() if not line.strip().startswith("hosts:")]
    return "\n".join([*others, "hosts: files dns", ""])


def _lines(text: str, keywords: Sequence[str]) -> list[list[str]]:
    return [words for line in text.splitlines() if (words := line.split()) and words[0] in keywords]
