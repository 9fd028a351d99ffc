"""An application ends only after its callers have learned that it goes.

The kubelet tells an application to end and tells the cluster that the pod goes, both at once; whoever ends at
once is still called for a moment. A container without a `preStop` hook gets one that asks the sidecar, which
answers when proxies have had time to hear of it.

Source: Kubernetes docs, "Pod Lifecycle - Termination of Pods".
"""

from __future__ import annotations

from typing import Any

from pellucid.kube.injector.lifecycle import Lifecycle
from pellucid.kube.injector.redirection import Redirection, Redirector
from pellucid.kube.pods import Object
from pellucid.kube.probe_targets import WITHDRAWN_PATH
from pellucid.kube.sidecar_ports import STATUS_PORT

PRE_STOP = "preStop"


def can_be_withdrawn(lifecycle: Lifecycle, redirection: Redirection) -> bool:
    """False where the author wants no draining, or has rules that keep the kubelet from the sidecar."""
    return lifecycle.drain_s > 0 and redirection.by is not Redirector.AUTHOR


def withdrawn_first(container: Object) -> dict[str, Any]:
    """A container of the author's that ends once the pod is withdrawn; one with a hook of its own stays."""
    hooks = container.get("lifecycle") or {}
    if hooks.get(PRE_STOP):
        return dict(container)
    asked = {"httpGet": {"port": STATUS_PORT, "path": WITHDRAWN_PATH}}
    return {**container, "lifecycle": {**hooks, PRE_STOP: asked}}
