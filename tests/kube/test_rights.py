"""What the chart lets the components do is what they do: nothing is missing, and nothing is too much."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from lightkube import AsyncClient
from lightkube.models.admissionregistration_v1 import MutatingWebhook, ServiceReference, WebhookClientConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.admissionregistration_v1 import MutatingWebhookConfiguration
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.core_v1 import Secret

from pellucid.kube.controllers import config_entries, endpoints
from pellucid.kube.controllers.config_entries import web_server
from pellucid.kube.controllers.config_entries.decision import FINALIZER
from pellucid.kube.controllers.config_entries.kinds import GROUP, KINDS
from pellucid.kube.controllers.config_entries.schema import definition
from pellucid.kube.controllers.object_events import REPEATED_AFTER_S, EventRecorder, Subject
from pellucid.kube.delete_custom_resources import delete_custom_resources
from pellucid.kube.injector.namespace_labels import namespace_labels
from pellucid.kube.leader_election import Candidate, LeaderElection
from pellucid.kube.server_client import ServerAddress
from pellucid.kube.webhook.trust import WebhookObjects, WebhookTrust
from tests.api.serving import ServedAgent
from tests.charts.chart import Rendered, render
from tests.kube.controllers.cluster import PATIENCE_S, Cluster, running_cluster
from tests.kube.controllers.config_entries.test_validation import VALID
from tests.kube.controllers.mesh_catalog import MeshCatalog
from tests.kube.doing import doing

Right = tuple[str, str, str]
"""Verb, API group and resource, with its subresource."""

NAMESPACE = "default"
POD = Subject("v1", "Pod", NAMESPACE, "web-1", "uid-1")
FOLLOWED = (("", "pods"), ("", "services"), ("discovery.k8s.io", "endpointslices"))
INJECTOR, CONTROLLER = "consul-consul-connect-injector", "consul-consul-controller"

_PATH = re.compile(
    r"/(api|apis/(?P<group>[^/]+))/[^/]+(/namespaces/[^/]+(?=/))?/(?P<resource>[^/]+)"
    r"(/(?P<name>[^/]+))?(/(?P<subresource>[^/]+))?"
)
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def right_used(request: httpx2.Request) -> Right:
    """The right that a request to the API server needs."""
    path = _PATH.fullmatch(request.url.path)
    assert path is not None, request.url.path
    reading = "get" if path["name"] else "watch" if "watch" in request.url.params else "list"
    resource = path["resource"] + (f"/{path['subresource']}" if path["subresource"] else "")
    return _VERBS.get(request.method, reading), path["group"] or "", resource


def rights_granted(rendered: Rendered, *names: str) -> set[Right]:
    """What the roles of these names hold."""
    roles = [
        each
        for (kind, name), each in rendered.objects.items()
        if kind in ("Role", "ClusterRole") and name in names
    ]
    return {
        (verb, group, resource)
        for role in roles
        for rule in role["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


class Recorded:
    """A cluster, a mesh server, and a client whose requests are noted."""

    def __init__(self, cluster: Cluster, agent: ServedAgent) -> None:
        self.cluster = cluster
        self.catalog = MeshCatalog(agent)
        self.server = ServerAddress(self.catalog.url)
        self.client: AsyncClient = cluster.client_through(cluster.served.port)
        self.used: set[Right] = set()
        self._noted = asyncio.Event()
        self.client._client._client.event_hooks["request"].append(self._note)  # lightkube has no way itself

    async def _note(self, request: httpx2.Request) -> None:
        self.used.add(right_used(request))
        self._noted.set()

    async def until_used(self, *rights: Right) -> None:
        """Return once requests that need all of these were made."""
        async with asyncio.timeout(PATIENCE_S):
            while not set(rights) <= self.used:
                self._noted.clear()
                await self._noted.wait()


@pytest.fixture
async def recorded(tmp_path: Path) -> AsyncIterator[Recorded]:
    async with ServedAgent() as agent, running_cluster(tmp_path) as cluster:
        for kind in KINDS:
            await cluster.client.create(CustomResourceDefinition.from_dict(definition(kind)))
        yield Recorded(cluster, agent)


async def tell_twice(recorded: Recorded, subject: Subject) -> None:
    """An event, and the same after a while."""
    moments = [0.0]
    recorder = EventRecorder(recorded.client, "test", clock=lambda: moments[0])
    async with doing(recorder.run()):
        recorder.tell(subject, "Waiting", "why")
        await recorded.cluster.until_events(subject.name)
        moments[0] += REPEATED_AFTER_S
        recorder.tell(subject, "Waiting", "why")
        await recorded.cluster.until_events(subject.name, lambda event: event.count == 2)


async def lead(recorded: Recorded, lease: str) -> None:
    """Take a lease, hold it, and give it back."""
    election = LeaderElection(recorded.client, Candidate("one", NAMESPACE, lease))
    started = asyncio.Event()

    async def work() -> None:
        started.set()
        await asyncio.Event().wait()

    async with doing(election.run(work)):
        await started.wait()
    await election.release()


async def be_trusted(recorded: Recorded, name: str) -> None:
    """Make an authority, publish it, and replace one that is at its end."""
    service = ServiceReference(name="webhook", namespace=NAMESPACE, path="/mutate")
    webhook = MutatingWebhook(
        name="webhook.example.test",
        admissionReviewVersions=["v1"],
        sideEffects="None",
        clientConfig=WebhookClientConfig(service=service),
    )
    configuration = MutatingWebhookConfiguration(metadata=ObjectMeta(name=name), webhooks=[webhook])
    await recorded.cluster.client.create(configuration)
    objects = WebhookObjects(NAMESPACE, name, "webhook", f"{name}-cert")
    for _ in ("at first", "at its end"):
        trust = WebhookTrust(recorded.client, objects)
        async with doing(trust.run()):
            await trust.ready.wait()
        secret = await recorded.cluster.client.get(Secret, objects.secret, namespace=NAMESPACE)
        secret.data = {}
        await recorded.cluster.client.replace(secret)


async def test_the_injector_may_do_what_it_does(recorded: Recorded) -> None:
    await recorded.cluster.pod("web-1", annotations={"connect-service": "web"})
    settings = endpoints.ControllerSettings(recorded.server)
    async with doing(endpoints.run(recorded.client, settings)):
        await recorded.catalog.until_statuses(web_1_web="critical")
        await recorded.until_used(*(("watch", group, resource) for group, resource in FOLLOWED))
    await namespace_labels(recorded.client)(NAMESPACE)
    await tell_twice(recorded, POD)
    await lead(recorded, INJECTOR)
    await be_trusted(recorded, "injector")
    assert recorded.used == rights_granted(render({"connectInject.enabled": True}), INJECTOR)


async def test_the_custom_resource_controller_may_do_what_it_does(recorded: Recorded) -> None:
    settings = config_entries.ControllerSettings(recorded.server)
    async with doing(config_entries.run(recorded.client, settings)):
        for kind in KINDS:
            metadata = {"name": kind.only_name or f"a-{kind.singular}", "namespace": NAMESPACE}
            await recorded.cluster.client.create(
                kind.resource({"metadata": metadata, "spec": VALID[kind.name]})
            )
        for kind in KINDS:
            await recorded.until_used(
                ("watch", GROUP, kind.plural), ("patch", GROUP, f"{kind.plural}/status")
            )
    await web_server.existing_resources(recorded.client)(KINDS[0])
    await tell_twice(recorded, POD)
    await lead(recorded, CONTROLLER)
    await be_trusted(recorded, "controller")
    assert recorded.used == rights_granted(render({"controller.enabled": True}), CONTROLLER)


async def test_the_job_before_uninstalling_may_do_what_it_does(recorded: Recorded) -> None:
    for kind in KINDS:
        metadata = {"name": kind.only_name or "web", "namespace": NAMESPACE, "finalizers": [FINALIZER]}
        await recorded.cluster.client.create(kind.resource({"metadata": metadata, "spec": {}}))
    assert await delete_custom_resources(recorded.client, "none", patience_s=0) == len(KINDS)
    granted = rights_granted(render({"controller.enabled": True}), f"{CONTROLLER}-cleanup")
    assert recorded.used == granted
