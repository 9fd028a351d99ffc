"""An application ends only after its callers have learned that it goes.

The kubelet tells an application to end and tells the cluster that the pod goes, both at once; whoever ends at
once is still called for a moment. A container without a `preStop` hook gets one that takes as long as proxies
need to hear of it: it asks the sidecar, or sleeps where rules of the author's keep the kubelet from asking.

Source: Kubernetes docs, "Pod Lifecycle - Termination of Pods", "Container Lifecycle Hooks".
"""

from __future__ import annotations

from typing import Any

from pellucid.kube.injector.lifecycle import Lifecycle
from pellucid.kube.injector.redirection import Redirection, Redirector
from pellucid.kube.pods import Object
from pellucid.kube.probe_targets import WITHDRAWN_PATH, WITHDRAWN_SECONDS
from pellucid.kube.sidecar_ports import STATUS_PORT

PRE_STOP = "preStop"


def withdrawal_hook(
    lifecycle: Lifecycle, redirection: Redirection, *, hooks_may_sleep: bool
) -> dict[str, Any] | None:
    """None where the author wants no draining, or the cluster knows no way."""
    if lifecycle.drain_s == 0:
        return None
    if redirection.by is not Redirector.AUTHOR:
        return {"httpGet": {"port": STATUS_PORT, "path": WITHDRAWN_PATH}}
    return {"sleep": {"seconds": WITHDRAWN_SECONDS}} if hooks_may_sleep else None


def withdrawn_first(container: Object, hook: Object) -> dict[str, Any]:
    """A container of the author's that ends once the pod is withdrawn; one with a hook of its own stays."""
    hooks = container.get("lifecycle") or {}
    if hooks.get(PRE_STOP):
        return dict(container)
    return {**container, "lifecycle": {**hooks, PRE_STOP: hook}}
