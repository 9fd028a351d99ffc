"""A stand-in for the outside world: a network namespace next to the cluster, with a web server in it.

It answers every name that cluster DNS is told of, by HTTP and by HTTPS. Nothing of it leaves the machine.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from pellucid.localkube.http.connection import Request, Response
from pellucid.localkube.http.server import ApiServer
from pellucid.localkube.network.addresses import AddressPlan, PodAddresses
from pellucid.localkube.network.commands import run_network_command
from pellucid.localkube.network.links import link_pod
from pellucid.localkube.node.sandbox import SandboxSettings, make_sandbox
from pellucid.localkube.outside.names import OUTSIDE_V4, OUTSIDE_V6

_LINK = "outside0"
_HTTP, _HTTPS = 80, 443


@asynccontextmanager
async def stand_in(
    names: Mapping[str, tuple[str, ...]], plan: AddressPlan, server: ssl.SSLContext
) -> AsyncIterator[None]:
    """Serve the names at their addresses, from the cluster's network namespace, which must be our own.

    Raises SandboxFailed, NetworkCommandFailed, OSError.
    """
    async with AsyncExitStack() as undo:
        sandbox = await make_sandbox(SandboxSettings("outside"))
        undo.push_async_callback(sandbox.remove)
        await link_pod(_LINK, sandbox.pid, PodAddresses(OUTSIDE_V4, OUTSIDE_V6), plan.node(0))
        every = {address for addresses in names.values() for address in addresses}
        more = sorted(every - {OUTSIDE_V4, OUTSIDE_V6})
        inside = ("nsenter", f"--net=/proc/{sandbox.pid}/ns/net", "ip", "-batch", "-")
        await run_network_command(inside, "".join(_address(one) for one in more))
        await run_network_command(
            ("ip", "-batch", "-"), "".join(f"route add {one} dev {_LINK}\n" for one in more)
        )
        for port, context in ((_HTTP, None), (_HTTPS, server)):
            web = ApiServer(_answer, context)
            undo.push_async_callback(web.close)
            await web.listen_on(await sandbox.in_network(partial(_listener, port)))
        yield


def _address(address: str) -> str:
    whole = f"{address}/128 nodad" if ":" in address else f"{address}/32"
    return f"address add {whole} dev eth0\n"


def _listener(port: int) -> socket.socket:
    return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)


async def _answer(request: Request) -> Response:
    host = request.headers.get("host", "")
    text = f"{host}: a stand-in for the world outside this cluster\n"
    return Response(body=text.encode(), content_type="text/plain; charset=utf-8")
