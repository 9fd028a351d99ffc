"""The cluster's DNS: Services, pods behind headless ones, and what else the command line says.

Arguments: kubeconfig, address to listen at, further names as `name=address`.
"""

from __future__ import annotations

import sys
from typing import Any

from dnslib import AAAA, QTYPE, RCODE, RR, A, DNSRecord
from dnslib.server import BaseResolver, DNSServer
from lightkube import Client, KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.resources.core_v1 import Endpoints, Service

SUFFIX = ["svc", "cluster", "local"]
TTL_S = 5


class ClusterNames(BaseResolver):  # type: ignore[misc]
    """Asks the API server anew for each question."""

    def __init__(self, client: Client, others: dict[str, str]) -> None:
        self._client, self._others = client, others

    def resolve(self, request: DNSRecord, handler: Any) -> DNSRecord:
        reply = request.reply()
        name = str(request.q.qname).rstrip(".").lower()
        addresses = self._addresses(name)
        if not addresses:
            reply.header.rcode = RCODE.NXDOMAIN
        for address in addresses:
            kind, data = (QTYPE.AAAA, AAAA(address)) if ":" in address else (QTYPE.A, A(address))
            if request.q.qtype == kind:
                reply.add_answer(RR(request.q.qname, kind, rdata=data, ttl=TTL_S))
        return reply

    def _addresses(self, name: str) -> list[str]:
        labels = name.split(".")
        if labels[-3:] != SUFFIX or len(labels) not in (5, 6):
            return [self._others[name]] if name in self._others else []
        *host, service, namespace = labels[:-3]
        try:
            spec = self._client.get(Service, service, namespace=namespace).spec
            if spec is None or spec.clusterIP != "None":
                return [spec.clusterIP] if spec and spec.clusterIP and not host else []
            subsets = self._client.get(Endpoints, service, namespace=namespace).subsets
        except ApiError:
            return []
        found = [each for subset in subsets or () for each in subset.addresses or ()]
        return [each.ip for each in found if not host or each.hostname == host[0]]


def main() -> None:
    """Answer until ended."""
    kubeconfig, listen, *others = sys.argv[1:]
    client = Client(config=KubeConfig.from_file(kubeconfig))
    names = dict(other.split("=") for other in others)
    DNSServer(ClusterNames(client, names), port=53, address=listen).start()


if __name__ == "__main__":
    main()
