"""Lends a workload the host's way out: what it dials outside the mesh, the supervisor dials on the host.

Rules after the mesh's own redirection send the remaining outbound connections (the proxy's, and excluded
ones) to a relay that knows where they were going. The host's firewall and routes have no part in it.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pellucid.dataplane.namespace.fabric_addresses import IPV4_RANGE, IPV6_RANGE
from pellucid.dataplane.namespace.relay import relay, to_original_destination
from pellucid.dataplane.namespace.workload_namespace import NamespaceError, WorkloadNamespace
from pellucid.dataplane.redirect_plan import Family

_CHAIN = "PELLUCID_UPLINK"
_STAYS_INSIDE = {
    Family.IPV4: ("127.0.0.0/8", str(IPV4_RANGE)),
    Family.IPV6: ("::1/128", str(IPV6_RANGE)),
}
_LOOPBACK = {Family.IPV4: "127.0.0.1", Family.IPV6: "::1"}


def uplink_script(family: Family, port: int) -> str:
    """`iptables-restore` input; to be applied after the mesh's redirection, whose jump comes first."""
    return "\n".join(
        (
            "*nat",
            f":{_CHAIN} - [0:0]",
            f"-A OUTPUT -p tcp -j {_CHAIN}",
            *(f"-A {_CHAIN} -d {cidr} -j RETURN" for cidr in _STAYS_INSIDE[family]),
            f"-A {_CHAIN} -p tcp -j REDIRECT --to-ports {port}",
            "COMMIT",
            "",
        )
    )


@asynccontextmanager
async def uplink(namespace: WorkloadNamespace) -> AsyncIterator[None]:
    """Raises NamespaceError."""
    servers = []
    try:
        for family, loopback in _LOOPBACK.items():
            listener = await namespace.listen("tcp", loopback)
            script = uplink_script(family, listener.getsockname()[1])
            servers.append(await relay(listener, to_original_destination))
            await asyncio.to_thread(_apply, namespace.network.entering([f"{family.command}-restore"]), script)
        yield
    finally:
        for server in servers:
            server.close()


def _apply(command: list[str], script: str) -> None:
    done = subprocess.run([*command, "--noflush"], input=script, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NamespaceError(f"the uplink's rules were refused: {done.stderr.strip()}\n{script}")
