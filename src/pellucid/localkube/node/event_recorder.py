"""Tells users what happened to a pod. A repeated event is counted up; a pod that says too much is not heard.

Sources: Kubernetes API reference, core/v1 Event; client-go, tools/record (its spam filter).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog

from pellucid.localkube.api.status import ApiError
from pellucid.localkube.api.store import Resources
from pellucid.localkube.node.pod_status import timestamp
from pellucid.localkube.types.kinds import EVENTS

Object = dict[str, Any]
_BURST = 25
"""Events that a pod may tell at once; after that, one each _REFILL."""
_REFILL = timedelta(minutes=5)
_PODS_KNOWN = 4096
_log = structlog.get_logger(__name__)


class EventRecorder:
    """Writes the kubelet's events of one node."""

    def __init__(self, resources: Resources, node_name: str, now: Callable[[], datetime]) -> None:
        self._resources = resources
        self._node_name = node_name
        self._now = now
        self._quiet_at: dict[str, datetime] = {}
        """By pod (UID): the moment from which it has its whole burst again."""

    async def tell(
        self, pod: Object, reason: str, message: str, *, warning: bool = False, part: str = ""
    ) -> None:
        """`part` is the field path of the container it is about. Never raises: events are only a service."""
        metadata = pod["metadata"]
        if not self._may_tell(metadata["uid"]):
            return
        kind = "Warning" if warning else "Normal"
        text = "\0".join((metadata["uid"], kind, reason, message, part))
        name = f"{metadata['name']}.{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        now = timestamp(self._now())
        try:
            old = self._resources.peek(EVENTS, metadata["namespace"], name)
            if old is not None:
                counted = {"count": int(old.get("count", 1)) + 1, "lastTimestamp": now}
                await self._resources.patch(EVENTS, metadata["namespace"], name, counted)
                return
            about = {"apiVersion": "v1", "kind": "Pod", "fieldPath": part}
            about |= {key: metadata.get(key, "") for key in ("name", "namespace", "uid", "resourceVersion")}
            await self._resources.create(
                EVENTS,
                metadata["namespace"],
                {
                    "apiVersion": "v1",
                    "kind": "Event",
                    "metadata": {"name": name, "namespace": metadata["namespace"]},
                    "involvedObject": {key: value for key, value in about.items() if value},
                    "reason": reason,
                    "message": message,
                    "type": kind,
                    "source": {"component": "kubelet", "host": self._node_name},
                    "reportingComponent": "kubelet",
                    "reportingInstance": self._node_name,
                    "firstTimestamp": now,
                    "lastTimestamp": now,
                    "count": 1,
                },
            )
        except ApiError as problem:
            _log.debug("event not recorded", reason=reason, problem=problem.message)

    def _may_tell(self, uid: str) -> bool:
        """Each event moves the moment of quiet on by _REFILL; it may be no more than a burst of them away."""
        now = self._now()
        quiet_at = max(self._quiet_at.pop(uid, now), now)
        allowed = quiet_at - now <= (_BURST - 1) * _REFILL
        self._quiet_at[uid] = quiet_at + _REFILL if allowed else quiet_at
        if len(self._quiet_at) > _PODS_KNOWN:
            del self._quiet_at[next(iter(self._quiet_at))]
        return allowed
