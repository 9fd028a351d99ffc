"""Events: what controllers tell about objects; a repeated one is counted up instead of added.

Source: Kubernetes API reference, core/v1 Event; component-base tools/events.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from pellucid.localkube.controllers.plan import Say
from pellucid.localkube.controllers.reading import Object, format_time, name_of, namespace_of, uid_of

COMPONENT = "pellucid-controller-manager"


def new_event(said: Say, now: datetime) -> Object:
    """The Event for what was said; its name is the same whenever the same is said of the same object."""
    about = said.about
    namespace = namespace_of(about) or "default"
    text = "\0".join((uid_of(about), said.kind, said.reason, said.message))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    stamp = format_time(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name_of(about)}.{digest}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": name_of(about),
            "namespace": namespace_of(about),
            "uid": uid_of(about),
            "resourceVersion": about["metadata"].get("resourceVersion", ""),
        },
        "reason": said.reason,
        "message": said.message,
        "type": said.kind,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }


def counted_up(event: Object, now: datetime) -> Object:
    """The merge patch for one more of the same."""
    return {"count": int(event.get("count", 1)) + 1, "lastTimestamp": format_time(now)}
