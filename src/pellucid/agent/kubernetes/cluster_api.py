"""The Kubernetes API as a pod reaches it: its own service account, the mounted authority, nothing else.

Four requests about two kinds of objects, with httpx2: 34 ms and 2 MB at the agent's start. lightkube, which
brings httpx2, takes twice that, and its models would not be used.

Source: Kubernetes docs, "Accessing the Kubernetes API from a Pod".
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from pellucid.agent.configuration_sources import ConfigurationError

MOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TIMEOUT_SECONDS = 10.0
_PATCH = {"Content-Type": "application/merge-patch+json"}


class ClusterApiError(Exception):
    """The API did not do what it was asked. status: of the answer; 0 when there was none."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        super().__init__(reason)


class ClusterApi:
    """One pod's way to the API."""

    def __init__(self, address: str, mount: Path = MOUNT) -> None:
        """address: host:port. Raises OSError when the mounted files are not there."""
        self._address, self._mount = address, mount
        self.namespace = (mount / "namespace").read_text().strip()
        self._authority = (mount / "ca.crt").read_text()
        self._client = self._trusting(self._authority)

    @classmethod
    def of_this_pod(cls, environment: Mapping[str, str] = os.environ) -> ClusterApi:
        """Raises ConfigurationError outside a pod."""
        host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
        if not host or not port:
            raise ConfigurationError(
                "pellucid.kubernetes.enabled is for an agent that runs as a pod: "
                "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set"
            )
        bracketed = f"[{host}]" if ":" in host else host
        try:
            return cls(f"{bracketed}:{port}")
        except OSError as error:
            raise ConfigurationError(
                f"pellucid.kubernetes.enabled needs the pod's service account: {error}"
            ) from error

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST. Raises ClusterApiError."""
        return await self._ask("POST", path, body)

    async def read(self, path: str) -> dict[str, Any]:
        """GET. Raises ClusterApiError."""
        return await self._ask("GET", path)

    async def merge(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """PATCH by merging. Raises ClusterApiError."""
        return await self._ask("PATCH", path, body, _PATCH)

    async def close(self) -> None:
        """Let go of its connections."""
        await self._client.aclose()

    def _trusting(self, authority: str) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            base_url=f"https://{self._address}",
            verify=ssl.create_default_context(cadata=authority),
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )

    async def _trusting_what_is_mounted(self) -> httpx2.AsyncClient:
        """The kubelet writes a new authority when the cluster's is replaced. Raises OSError."""
        authority = (self._mount / "ca.crt").read_text()
        if authority != self._authority:
            replaced, self._client = self._client, self._trusting(authority)
            self._authority = authority
            await replaced.aclose()
        return self._client

    async def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        try:
            client = await self._trusting_what_is_mounted()
            # The kubelet writes a new token before the old one ends, so it is read each time.
            token = {"Authorization": f"Bearer {(self._mount / 'token').read_text().strip()}"}
            answer = await client.request(method, path, json=body, headers={**token, **(headers or {})})
        except httpx2.TimeoutException as error:
            reason = f"the Kubernetes API does not answer within {TIMEOUT_SECONDS:g} s"
            raise ClusterApiError(0, reason) from error
        except (httpx2.HTTPError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise ClusterApiError(0, f"the Kubernetes API does not answer: {reason}") from error
        if answer.is_success:
            found: dict[str, Any] = answer.json()
            return found
        raise ClusterApiError(answer.status_code, _message(answer))


def _message(answer: httpx2.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"the Kubernetes API answered {answer.status_code}"
