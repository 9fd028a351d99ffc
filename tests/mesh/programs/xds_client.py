"""`python xds_client.py ADDRESS PROXY_ID CREDENTIAL CA_FILE`: what the xDS server says to that.

Prints the names of the clusters, or the gRPC code and message of the refusal. An empty CA file is plain text.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
from envoy.service.discovery.v3 import ads_pb2_grpc
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

TIMEOUT_S = 20.0


def main(address: str, proxy_id: str, credential: str, ca_file: str) -> None:
    if ca_file:
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(Path(ca_file).read_bytes()))
    else:
        channel = grpc.insecure_channel(address)
    enough = threading.Event()

    def requests() -> Iterator[DeltaDiscoveryRequest]:
        request = DeltaDiscoveryRequest(type_url="type.googleapis.com/envoy.config.cluster.v3.Cluster")
        request.node.id = proxy_id
        yield request
        enough.wait(TIMEOUT_S)

    stub = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel)
    token = [("x-consul-token", credential)] if credential else []
    try:
        response = next(stub.DeltaAggregatedResources(requests(), timeout=TIMEOUT_S, metadata=token))
        print(" ".join(resource.name for resource in response.resources))
    except grpc.RpcError as error:
        print(error.code().name, error.details())
    enough.set()


if __name__ == "__main__":
    main(*sys.argv[1:])
