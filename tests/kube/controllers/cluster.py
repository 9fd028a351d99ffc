"""An API server with objects and no kubelet: what a kubelet would report, the test reports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from lightkube import AsyncClient
from lightkube.config.kubeconfig import KubeConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Event, Namespace, PodStatus, ServiceAccount
from lightkube.types import PatchType
from msgspec.structs import replace

from pellucid.kube.controllers.endpoints.observed import EndpointSliceObject, PodObject, ServiceObject
from tests.localkube.http.served import Served, serve

INJECTED = {"consul.hashicorp.com/connect-inject-status": "injected"}
PATIENCE_S = 20.0
PREFIX = "consul.hashicorp.com/"


class Cluster:
    """Pods and Services as a test wants them."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.client = self.client_through(served.port)

    def client_through(self, port: int) -> AsyncClient:
        """A client that goes to this port of the machine."""
        config = KubeConfig.from_file(str(self.served.kubeconfig)).get()
        assert config is not None
        server = replace(config.cluster, server=f"https://127.0.0.1:{port}")
        return AsyncClient(config._replace(cluster=server))

    async def namespace(self, name: str) -> None:
        await self.client.create(Namespace(metadata=ObjectMeta(name=name)))
        await self.client.create(ServiceAccount(metadata=ObjectMeta(name="default", namespace=name)))

    async def service(self, name: str, selector: Mapping[str, str], **spec: Any) -> None:
        """A Service with a ClusterIP and port 80 leading to 8080, unless told otherwise."""
        namespace = spec.pop("namespace", "default")
        spec.setdefault("ports", [{"port": 80, "targetPort": 8080}])
        item = {
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": dict(selector), **spec},
        }
        await self.client.create(ServiceObject(item))

    async def slice_by_hand(self, service: str, pod: str) -> None:
        """An EndpointSlice that names a pod."""
        item = {
            "metadata": {"name": service, "labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.1.0.1"], "targetRef": {"kind": "Pod", "name": pod}}],
            "ports": [],
        }
        await self.client.create(EndpointSliceObject(item), namespace="default")

    async def cluster_ip(self, name: str, namespace: str = "default") -> str:
        service = await self.client.get(ServiceObject, name, namespace=namespace)
        return str(service["spec"]["clusterIP"])

    async def patch_service(self, name: str, spec: Mapping[str, Any]) -> None:
        patch = {"spec": dict(spec)}
        await self.client.patch(ServiceObject, name, patch, namespace="default", patch_type=PatchType.MERGE)

    async def delete_service(self, name: str) -> None:
        await self.client.delete(ServiceObject, name, namespace="default")

    async def pod(
        self,
        name: str,
        *,
        namespace: str = "default",
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        ip: str = "10.1.0.1",
        ready: bool = False,
        **spec: Any,
    ) -> str:
        """An injected pod on node `n1`, running. annotations: without their prefix. Returns the uid."""
        container = {"name": "app", "image": "app", "ports": [{"containerPort": 8080}]}
        item = {
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {**INJECTED, **(labels or {})},
                "annotations": {PREFIX + key: value for key, value in (annotations or {}).items()},
            },
            "spec": {"nodeName": "n1", "containers": [container], **spec},
        }
        created = await self.client.create(PodObject(item))
        await self.report(name, namespace=namespace, ip=ip, ready=ready)
        return str(created["metadata"]["uid"])

    async def report(
        self,
        name: str,
        *,
        namespace: str = "default",
        ip: str = "10.1.0.1",
        ready: bool,
        phase: str = "Running",
    ) -> None:
        """What the kubelet says of a pod."""
        status = {
            "phase": phase,
            "hostIP": "192.0.2.1",
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        }
        await self.client.patch(
            PodStatus, name, {"status": status}, namespace=namespace, patch_type=PatchType.MERGE
        )

    async def annotate(
        self, name: str, annotations: Mapping[str, str | None], namespace: str = "default"
    ) -> None:
        patch = {"metadata": {"annotations": {PREFIX + key: value for key, value in annotations.items()}}}
        await self.client.patch(PodObject, name, patch, namespace=namespace, patch_type=PatchType.MERGE)

    async def delete_pod(self, name: str, *, namespace: str = "default", grace: int = 0) -> None:
        await self.client.delete(PodObject, name, namespace=namespace, grace_period=grace)

    async def until_events(
        self,
        name: str,
        wanted: Callable[[Event], bool] = lambda _event: True,
        *,
        namespace: str = "default",
        count: int = 1,
    ) -> list[Event]:
        """The events about an object in the order they were told, once there are so many of those wanted."""
        found: list[Event] = []
        events = self.client.watch(Event, namespace=namespace)
        async with asyncio.timeout(PATIENCE_S), aclosing(events):
            async for _, event in events:
                if event.involvedObject.name == name and wanted(event):
                    found.append(event)
                if len(found) >= count:
                    break
        return found

    async def aclose(self) -> None:
        await self.client._client.close()  # lightkube has no public way
        await self.served.close()


@asynccontextmanager
async def running_cluster(directory: Path) -> AsyncIterator[Cluster]:
    """A cluster for as long as the block lasts."""
    cluster = Cluster(await serve(directory))
    try:
        yield cluster
    finally:
        await cluster.aclose()
