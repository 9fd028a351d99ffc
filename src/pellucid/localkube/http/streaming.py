"""Logs, exec, attach and port-forward: from requests to the nodes' streams and back.

Source: Kubernetes docs, "pods/log"; the channel protocols v5.channel.k8s.io and v4.channel.k8s.io; the
tunnel protocol SPDY/3.1+portforward.k8s.io.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Sequence
from typing import Any

import msgspec

from pellucid.localkube.api.status import ApiError, bad_request, not_found
from pellucid.localkube.api.store import Resources
from pellucid.localkube.http.channels import serve_channels
from pellucid.localkube.http.connection import Request, Response, Session
from pellucid.localkube.http.node_streams import ExecSession, LogWish, NodeStreams
from pellucid.localkube.http.port_forwarding import PORT_FORWARD, TUNNEL, serve_spdy, serve_tunnel
from pellucid.localkube.http.requests import Target
from pellucid.localkube.http.spdy_exec import serve_spdy_exec
from pellucid.localkube.http.websocket import WebSocket, handshake

Object = dict[str, Any]

CHANNELS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
SPDY = "SPDY/3.1"


class ExecWish(msgspec.Struct, frozen=True):
    """Which streams of a command the client wants."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    def stream_types(self) -> frozenset[str]:
        """The SPDY streams the client will open."""
        asked = {"stdin": self.stdin, "stdout": self.stdout, "stderr": self.stderr, "resize": self.tty}
        return frozenset({"error", *(name for name, wanted in asked.items() if wanted)})


class Streaming:
    """Answers the streaming subresources of pods."""

    def __init__(self, resources: Resources, streams: NodeStreams | None) -> None:
        self._resources = resources
        self._streams = streams

    async def answer(self, request: Request, target: Target) -> Response:
        """Raises ApiError 400, 404, and whatever the node says."""
        pod = self._resources.peek(target.resource, target.namespace, target.name)
        if pod is None:
            raise not_found(target.resource, target.name)
        if self._streams is None:
            raise ApiError(503, "ServiceUnavailable", "no node of this cluster serves streams")
        if target.subresource == "portforward":
            return self._port_forward(request, pod, self._streams)
        container = _container(pod, request.parameter("container"))
        if target.subresource == "log":
            stream = self._streams.logs(pod, container, _log_wish(request))
            return Response(content_type="text/plain", stream=stream)
        return await self._command(request, target, pod, container, self._streams)

    async def _command(
        self, request: Request, target: Target, pod: Object, container: str, streams: NodeStreams
    ) -> Response:
        wish = ExecWish(*(request.flag(name) for name in ("stdin", "stdout", "stderr", "tty")))
        protocol, upgrade = _upgrade(request, CHANNELS)
        started: ExecSession
        if target.subresource == "exec":
            command = request.query.get("command") or []
            if not command:
                raise bad_request("you must specify at least one command for the container")
            started = await streams.exec(pod, container, command, stdin=wish.stdin, tty=wish.tty)
        else:
            started = await streams.attach(pod, container, stdin=wish.stdin, tty=wish.tty)

        async def over_websocket(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await serve_channels(WebSocket(reader, writer), started)

        async def over_spdy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await serve_spdy_exec(reader, writer, started, wish.stream_types())

        return _switched(request, protocol, over_websocket if upgrade == "websocket" else over_spdy)

    def _port_forward(self, request: Request, pod: Object, streams: NodeStreams) -> Response:
        protocol, upgrade = _upgrade(request, (TUNNEL, PORT_FORWARD))

        async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            return await streams.port(pod, port)

        async def over_websocket(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await serve_tunnel(WebSocket(reader, writer), connect)

        async def over_spdy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await serve_spdy(reader, writer, connect)

        return _switched(request, protocol, over_websocket if upgrade == "websocket" else over_spdy)


def _upgrade(request: Request, known: Sequence[str]) -> tuple[str, str]:
    """The protocol to speak and what to switch to. Raises ApiError 400."""
    upgrade = request.headers.get("upgrade", "").lower()
    header = "sec-websocket-protocol" if upgrade == "websocket" else "x-stream-protocol-version"
    if upgrade not in ("websocket", SPDY.lower()):
        raise bad_request("Upgrade request required")
    offered = [one.strip() for one in request.headers.get(header, "").split(",")]
    found = next((one for one in offered if one in known), None)
    if found is None:
        raise bad_request(f"none of the offered protocols is spoken here: {', '.join(offered)}")
    return found, upgrade


def _switched(request: Request, protocol: str, session: Session) -> Response:
    if request.headers.get("upgrade", "").lower() == "websocket":
        headers = handshake(request.headers.get("sec-websocket-key", ""), protocol)
    else:
        headers = (("Upgrade", SPDY), ("Connection", "Upgrade"), ("X-Stream-Protocol-Version", protocol))
    return Response(101, headers=headers, session=session)


def _container(pod: Object, wanted: str) -> str:
    spec, name = pod.get("spec") or {}, pod["metadata"]["name"]
    own = [one["name"] for one in spec.get("containers") or ()]
    before = [one["name"] for one in spec.get("initContainers") or ()]
    if wanted:
        if wanted not in (*own, *before):
            raise bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    if len(own) == 1:
        return str(own[0])
    text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(own)}]"
    if before:
        text += f" or one of the init containers: [{' '.join(before)}]"
    raise bad_request(text)


def _log_wish(request: Request) -> LogWish:
    since = None
    if text := request.parameter("sinceSeconds"):
        seconds = datetime.timedelta(seconds=_number("sinceSeconds", text))
        since = datetime.datetime.now(datetime.UTC) - seconds
    elif text := request.parameter("sinceTime"):
        try:
            since = datetime.datetime.fromisoformat(text)
        except ValueError:
            raise bad_request(f"sinceTime must be RFC 3339, not {text!r}") from None

    def number(name: str) -> int | None:
        text = request.parameter(name)
        return _number(name, text) if text else None

    return LogWish(
        request.flag("follow"),
        request.flag("previous"),
        request.flag("timestamps"),
        number("tailLines"),
        since,
        number("limitBytes"),
    )


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise bad_request(f"{name} must be a number, not {text!r}")
    return int(text)
