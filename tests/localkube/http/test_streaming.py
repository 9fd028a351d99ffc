"""Logs, exec and port-forward with the real kubectl, over WebSocket and over SPDY."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pellucid.localkube.types.kinds import PODS
from tests.localkube.api.cluster import pod
from tests.localkube.http.host_streams import HostStreams
from tests.localkube.http.served import Served, kubectl_program, serve


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    served = await serve(tmp_path, HostStreams())
    made = await served.resources.create(PODS, "default", pod("p", nodeName="n"))
    running = {**made, "status": {**made["status"], "phase": "Running"}}
    await served.resources.update(PODS, "default", running, subresource="status")
    yield served
    await served.close()


async def test_logs_are_printed(served: Served) -> None:
    assert await served.kubectl("logs", "p", "--tail=2") == "c says 0\nc says 1\n"


@pytest.mark.parametrize("websocket", ["true", "false"])
async def test_exec_carries_input_output_and_exit_code(
    served: Served, websocket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websocket)
    script = "read line; echo out $line; echo err >&2; exit 3"
    code, output, errors = await served.try_kubectl(
        "exec", "-i", "p", "--", "sh", "-c", script, stdin="word\n"
    )
    assert output == "out word\n"
    assert "err\n" in errors
    assert code == 3


async def test_much_output_arrives_whole(served: Served) -> None:
    output = await served.kubectl("exec", "p", "--", "sh", "-c", "seq 1 200000")
    assert output.splitlines() == [str(number) for number in range(1, 200001)]


async def test_a_container_that_is_not_there_is_named(served: Served) -> None:
    _, _, errors = await served.try_kubectl("exec", "p", "-c", "ghost", "--", "true")
    assert "container ghost is not valid for pod p" in errors


@pytest.mark.parametrize("websocket", ["true", "false"])
async def test_port_forward_carries_many_connections_and_half_closes(served: Served, websocket: str) -> None:
    async def echo_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    server = await asyncio.start_server(echo_all, "127.0.0.1", 0)
    target = server.sockets[0].getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        kubectl_program(),
        f"--kubeconfig={served.kubeconfig}",
        "port-forward",
        "--address=127.0.0.1",
        "pod/p",
        f":{target}",
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "KUBECTL_PORT_FORWARD_WEBSOCKETS": websocket},
    )
    assert process.stdout is not None
    told = (await process.stdout.readline()).decode()
    port = int(told.split("127.0.0.1:")[1].split(" ")[0])

    async def sent(text: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(text)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer

    texts = [bytes((65 + number,)) * 100_000 for number in range(5)]
    assert await asyncio.gather(*(sent(text) for text in texts)) == texts
    process.terminate()
    await process.wait()
    server.close()
