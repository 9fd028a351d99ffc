"""The namespaces of one pod, and its addresses in the cluster's network."""

from __future__ import annotations

from typing import Any

from pellucid.localkube.network.addresses import PodAddresses
from pellucid.localkube.node.node_parts import NodeParts
from pellucid.localkube.node.sandbox import Sandbox, SandboxSettings, make_sandbox

Object = dict[str, Any]


class PodNamespaces:
    """There are none until `make`, and none after `drop`."""

    def __init__(self, parts: NodeParts) -> None:
        self._parts = parts
        self.sandbox: Sandbox | None = None
        self._own: PodAddresses | None = None

    async def make(self, pod: Object) -> PodAddresses:
        """The pod's addresses, which are its node's if it has the node's network.

        Raises SandboxFailed, NetworkCommandFailed, AddressesExhausted; then there are none.
        """
        settings = _settings(pod)
        sandbox = await make_sandbox(settings)
        try:
            if not settings.host_network:
                self._own = await self._parts.network.attach(sandbox.pid)
        except BaseException:
            await sandbox.remove()
            raise
        self.sandbox = sandbox
        return self._own or self._parts.network.node

    async def drop(self) -> None:
        """Give them back. Harmless where there are none."""
        if self.sandbox is not None:
            await self.sandbox.remove()
            self.sandbox = None
        if self._own is not None:
            self._parts.network.detach(self._own)
            self._own = None


def hostname_of(pod: Object, node: str) -> str:
    """As its containers see it."""
    spec = pod["spec"]
    return node if spec.get("hostNetwork") else str(spec.get("hostname") or pod["metadata"]["name"])[:63]


def _settings(pod: Object) -> SandboxSettings:
    spec = pod["spec"]
    host_network = bool(spec.get("hostNetwork"))
    return SandboxSettings(
        "" if host_network else hostname_of(pod, ""),
        host_network,
        share_processes=bool(spec.get("shareProcessNamespace")),
        host_processes=bool(spec.get("hostPID")),
        host_ipc=bool(spec.get("hostIPC")),
    )
