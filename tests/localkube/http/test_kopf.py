"""An operator written with kopf, unmodified."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.localkube.http.served import Served
from tests.localkube.http.test_kubectl import WIDGETS

pytest.importorskip("kopf")


async def test_it_sees_a_custom_object_and_writes_its_status(served: Served) -> None:
    await served.kubectl("apply", "-f", "-", stdin=WIDGETS)
    resource = served.resources.kind("example.com", "widgets")
    assert resource is not None
    widget = {"metadata": {"name": "w"}, "spec": {"size": 3}}
    await served.resources.create(resource, "default", widget)
    operator = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "kopf",
        "run",
        "--namespace=default",
        str(Path(__file__).with_name("widget_operator.py")),
        env={**os.environ, "KUBECONFIG": str(served.kubeconfig)},
        stderr=asyncio.subprocess.DEVNULL,
    )
    async for event in served.resources.watch(resource, "default"):
        if event.object.get("status", {}).get("seen") == 3:
            break
    operator.terminate()
    await operator.wait()
