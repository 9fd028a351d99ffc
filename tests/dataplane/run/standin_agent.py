"""The least of an agent that a run needs: it registers, and configures every Envoy alike.

`python standin_agent.py`: prints its HTTP port. Inbound connections go to the program's port 8080, outbound
ones where they were going. `GET /streams` tells the tokens with which Envoys came.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.listener.original_dst.v3 import original_dst_pb2 as _original_dst
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2 as _tcp_proxy
from envoy.service.discovery.v3 import ads_pb2_grpc
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    Resource,
)
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.json_format import ParseDict

USED = (_original_dst, _tcp_proxy)
"""Imported so that their messages can be told by their type URLs."""

TYPES = "type.googleapis.com/envoy."
services: dict[str, Any] = {}
checks: dict[str, str] = {}
tokens: list[str] = []


def address(ip: str, port: int) -> dict[str, Any]:
    return {"address": {"socketAddress": {"address": ip, "portValue": port}}}


def to_cluster(name: str) -> list[dict[str, Any]]:
    proxy = {"@type": f"{TYPES}extensions.filters.network.tcp_proxy.v3.TcpProxy"}
    return [{"filters": [{"name": "tcp", "typedConfig": {**proxy, "statPrefix": name, "cluster": name}}]}]


ORIGINAL_DST = {"@type": f"{TYPES}extensions.filters.listener.original_dst.v3.OriginalDst"}
RESOURCES: dict[str, list[Cluster | Listener]] = {
    f"{TYPES}config.cluster.v3.Cluster": [
        ParseDict(
            {
                "name": "local_app",
                "type": "STATIC",
                "loadAssignment": {
                    "clusterName": "local_app",
                    "endpoints": [{"lbEndpoints": [{"endpoint": address("127.0.0.1", 8080)}]}],
                },
            },
            Cluster(),
        ),
        ParseDict(
            {"name": "original-destination", "type": "ORIGINAL_DST", "lbPolicy": "CLUSTER_PROVIDED"},
            Cluster(),
        ),
    ],
    f"{TYPES}config.listener.v3.Listener": [
        ParseDict(
            {
                "name": "public_listener",
                **address("0.0.0.0", 20000),
                "trafficDirection": "INBOUND",
                "filterChains": to_cluster("local_app"),
            },
            Listener(),
        ),
        ParseDict(
            {
                "name": "outbound_listener",
                **address("127.0.0.1", 15001),
                "additionalAddresses": [address("::1", 15001)],
                "trafficDirection": "OUTBOUND",
                "listenerFilters": [{"name": "original_dst", "typedConfig": ORIGINAL_DST}],
                "filterChains": to_cluster("original-destination"),
            },
            Listener(),
        ),
    ],
}


class Discovery(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):
    def DeltaAggregatedResources(
        self, requests: Iterator[DeltaDiscoveryRequest], context: grpc.ServicerContext
    ) -> Iterator[DeltaDiscoveryResponse]:
        tokens.append(dict(context.invocation_metadata())["x-consul-token"])
        for request in requests:
            if request.response_nonce:
                continue
            response = DeltaDiscoveryResponse(type_url=request.type_url, nonce=request.type_url)
            for message in RESOURCES.get(request.type_url, []):
                packed = AnyMessage()
                packed.Pack(message)
                response.resources.append(Resource(name=message.name, version="1", resource=packed))
            yield response


class Api(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        answers = {
            "/v1/agent/self": {"xDS": {"Port": xds_port}},
            "/v1/agent/services": services,
            "/v1/agent/checks": checks,
            "/streams": tokens,
        }
        self._answer(answers[self.path])

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, last = self.path.partition("?")[0].rpartition("/")
        if last == "register":
            service = json.loads(body)
            services[service["ID"]] = service
            services[f"{service['ID']}-sidecar-proxy"] = service["Connect"]["SidecarService"]
        elif path.endswith("deregister"):
            services.pop(last, None)
        elif path.endswith("update"):
            checks[last] = json.loads(body)["Status"]
        self._answer(None)

    def _answer(self, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("X-Pellucid-Workload-Credential", "the-workloads-credential")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    discovery = grpc.server(ThreadPoolExecutor(32))
    ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(Discovery(), discovery)
    xds_port = discovery.add_insecure_port("127.0.0.1:0")
    discovery.start()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    discovery.wait_for_termination()
