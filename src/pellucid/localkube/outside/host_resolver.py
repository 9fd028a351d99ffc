"""Asks the name servers that the host asks, from the host's own network.

Source: resolv.conf(5).
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from pathlib import Path

from pellucid.localkube.outside.host_network import HostNetwork

RESOLVER_FILE = Path("/etc/resolv.conf")
_PORT = 53
_ANSWER_WITHIN_S = 2.5


def name_servers(text: str) -> tuple[str, ...]:
    """The addresses in a resolver file, the first one first; the machine's own where there is none."""
    found = []
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) > 1 and words[0] == "nameserver":
            found.append(words[1])
    return tuple(one for one in found if _is_address(one)) or ("127.0.0.1",)


class HostResolver:
    """The host's name servers, as its resolver file names them at the time of the question."""

    def __init__(self, network: HostNetwork, file: Path = RESOLVER_FILE, port: int = _PORT) -> None:
        self._network = network
        self._file = file
        self._port = port

    def servers(self) -> tuple[str, ...]:
        """Their addresses now."""
        try:
            return name_servers(self._file.read_text(errors="replace"))
        except OSError:
            return name_servers("")

    async def __call__(self, query: bytes, *, stream: bool) -> bytes:
        """The first answer to a query, by UDP or as a `stream`. Raises OSError when nobody answers."""
        problem: OSError = TimeoutError("no name server answered")
        for server in self.servers():
            try:
                async with asyncio.timeout(_ANSWER_WITHIN_S):
                    return await (self._by_stream if stream else self._by_datagram)(query, server)
            except OSError as failed:
                problem = failed
        raise problem

    async def _by_datagram(self, query: bytes, server: str) -> bytes:
        """Each query has a socket, and with it a port, of its own: answers cannot be guessed or mixed up."""
        loop = asyncio.get_running_loop()
        with await self._network.socket(_family(server), socket.SOCK_DGRAM) as asking:
            await loop.sock_connect(asking, (server, self._port))
            await loop.sock_sendall(asking, query)
            while True:
                answer = await loop.sock_recv(asking, 65_535)
                if answer[:2] == query[:2]:
                    return answer

    async def _by_stream(self, query: bytes, server: str) -> bytes:
        loop = asyncio.get_running_loop()
        connection = await self._network.socket(_family(server), socket.SOCK_STREAM)
        try:
            await loop.sock_connect(connection, (server, self._port))
            reader, writer = await asyncio.open_connection(sock=connection)
        except BaseException:
            connection.close()
            raise
        try:
            writer.write(len(query).to_bytes(2) + query)
            length = int.from_bytes(await reader.readexactly(2))
            return await reader.readexactly(length)
        except EOFError:
            raise ConnectionResetError(f"{server} ended the connection") from None
        finally:
            writer.close()


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
