"""What a program finds around it in its namespace: names, redirection, a way out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from pellucid.dataplane.namespace.dns_relay import dns_relay
from pellucid.dataplane.namespace.name_resolution import (
    DNS_PORT,
    HOSTS,
    NSSWITCH_CONF,
    RESOLV_CONF,
    HostResolution,
    name_servers,
    shadowed_files,
)
from pellucid.dataplane.namespace.uplink import uplink
from pellucid.dataplane.namespace.workload_namespace import WorkloadNamespace
from pellucid.dataplane.redirect_apply import apply_redirection
from pellucid.dataplane.redirect_plan import plan_redirection
from pellucid.dataplane.redirect_settings import RedirectSettings
from pellucid.dataplane.run.settings import INBOUND_PORT, PROXY_MARK, PROXY_UID, WorkloadSettings

# A web server may take port 80 here without being root: the port is nobody else's.
_KERNEL_PARAMETERS = {"net/ipv4/ip_unprivileged_port_start": "0"}


@asynccontextmanager
async def surroundings(
    namespace: WorkloadNamespace, settings: WorkloadSettings, dns_address: str, *, rootless: bool
) -> AsyncIterator[None]:
    """dns_address: the agent's DNS, `host:port`. Raises NamespaceError, RedirectError."""
    host = host_resolution()
    async with AsyncExitStack() as undo:
        await namespace.set_kernel_parameters(_KERNEL_PARAMETERS)
        await namespace.shadow_files(
            shadowed_files(settings.domain, host, settings.hosts, uplink=settings.uplink)
        )
        datagrams = await namespace.listen("udp", "127.0.0.1", DNS_PORT)
        stream = await namespace.listen("tcp", "127.0.0.1", DNS_PORT)
        servers = name_servers(settings.domain, dns_address, host, uplink=settings.uplink)
        await undo.enter_async_context(dns_relay(datagrams, stream, servers))
        plan = plan_redirection(redirect_settings(settings, rootless=rootless))
        await asyncio.to_thread(apply_redirection, plan, namespace.network)
        if settings.uplink:
            await undo.enter_async_context(uplink(namespace))
        yield


def redirect_settings(settings: WorkloadSettings, *, rootless: bool) -> RedirectSettings:
    return RedirectSettings(
        proxy_uid=None if rootless else PROXY_UID,
        proxy_mark=PROXY_MARK if rootless else None,
        inbound_port=INBOUND_PORT,
        exclude_inbound_ports=settings.exclude_inbound_ports,
        exclude_outbound_ports=settings.exclude_outbound_ports,
        exclude_outbound_cidrs=settings.exclude_outbound_cidrs,
        exclude_uids=settings.exclude_uids,
    )


def host_resolution() -> HostResolution:
    """The host's own files."""
    return HostResolution(_text(RESOLV_CONF), _text(NSSWITCH_CONF), _text(HOSTS))


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
