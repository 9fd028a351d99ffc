"""Which Kubernetes this is."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import httpx2
from lightkube.config.kubeconfig import KubeConfig

_MOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


async def cluster_version() -> tuple[int, int]:
    """Major and minor, of the cluster that this pod runs in."""
    config = KubeConfig.from_service_account(str(_MOUNT)).get()
    context = ssl.create_default_context(cafile=str(_MOUNT / "ca.crt"))
    assert config is not None
    async with httpx2.AsyncClient(verify=context, trust_env=False) as client:
        answer = (await client.get(f"{config.cluster.server}/version")).raise_for_status().json()
    minor = re.match(r"\d+", answer["minor"])
    return int(answer["major"]), int(minor[0]) if minor else 0
