"""The labels of a pod's namespace, which decide with its annotations what it gets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import httpx2
from lightkube import ApiError, AsyncClient
from lightkube.resources.core_v1 import Namespace

from pellucid.kube.server_client import reason_of

NamespaceLabels = Callable[[str], Awaitable[Mapping[str, str]]]

WITHIN_S = 3.0
"""The API server, which waits for our answer meanwhile, gives up after ten seconds."""


class LabelsUnknown(Exception):
    """The API server does not answer, and the namespace was never asked for before."""


def namespace_labels(client: AsyncClient, within_s: float = WITHIN_S) -> NamespaceLabels:
    """The labels as they are now; as they were last while the API server cannot say.

    What is returned raises LabelsUnknown, and ApiError for an answer such as that there is no such namespace.
    """
    last: dict[str, Mapping[str, str]] = {}

    async def labels(name: str) -> Mapping[str, str]:
        try:
            async with asyncio.timeout(within_s):
                namespace = await client.get(Namespace, name)
        except TimeoutError:
            return known(name, f"no answer within {within_s:g} s")
        except ApiError as error:
            if error.response.is_client_error:
                raise
            return known(name, str(error))
        except (httpx2.TransportError, OSError) as problem:
            return known(name, reason_of(problem))
        last[name] = (namespace.metadata.labels if namespace.metadata else None) or {}
        return last[name]

    def known(name: str, why_not_now: str) -> Mapping[str, str]:
        if name not in last:
            raise LabelsUnknown(f'the labels of namespace "{name}" cannot be read: {why_not_now}')
        return last[name]

    return labels
