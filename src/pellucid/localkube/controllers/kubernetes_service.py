"""The API's own Service, `default/kubernetes`, which comes back when somebody deletes it.

`kubectl delete all --all` in the namespace `default` does, and pods reach the API by it.

Source: Kubernetes pkg/controlplane/controller/kubernetesservice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from pellucid.localkube.controllers.controller import Controller
from pellucid.localkube.controllers.plan import Create, Key, Plan
from pellucid.localkube.controllers.reading import Object, name_of, namespace_of
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import Resource

NAMESPACE, NAME = "default", "kubernetes"


def kubernetes_service_controller(kept: Sequence[tuple[Resource, Object]]) -> Controller:
    """kept: the Service and its endpoints, as they are first made."""

    def reconcile(view: View, _key: Key, _now: datetime) -> Plan:
        missing = ((each, item) for each, item in kept if view.get(each, NAMESPACE, NAME) is None)
        return Plan(tuple(Create(each, item, quietly=True) for each, item in missing))

    return Controller("kubernetes-service", {resource: _one_of_them for resource, _ in kept}, reconcile)


def _one_of_them(_view: View, item: Object) -> Iterable[Key]:
    key = Key(namespace_of(item), name_of(item))
    return (key,) if key == Key(NAMESPACE, NAME) else ()
