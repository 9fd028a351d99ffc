"""Which registries a cluster can reach, and pulls from them, none of which holds the event loop up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pellucid.localkube.images.image import Image, ImageNotAvailable
from pellucid.localkube.images.pull_credentials import PullCredentials, credentials_for
from pellucid.localkube.images.reference import ImageReference
from pellucid.localkube.images.registry_client import (
    NotInRegistry,
    RegistryClient,
    RegistryError,
    is_loopback,
)
from pellucid.localkube.images.registry_pull import pull_image, resolved_digest
from pellucid.localkube.images.stored_images import store_images
from pellucid.localkube.outside.host_network import HostNetwork

_AT_ONCE = 3
_T = TypeVar("_T")


class Pulled(msgspec.Struct, frozen=True):
    """An image from a registry; how many bytes it was there."""

    image: Image
    size: int


class Registries:
    """Pulls into `directory`, from the node's network or, where one is lent, from the host's.

    A registry on loopback is looked for on the node first and then on the host. insecure: registries, besides
    those on loopback, that are spoken to by HTTP, as `host` or `host:port`.
    """

    def __init__(
        self, directory: Path, *, host: HostNetwork | None = None, insecure: Collection[str] = ()
    ) -> None:
        self._directory = directory
        self._host = host
        self._insecure = frozenset(insecure)
        self._stopping = threading.Event()
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._pulling: dict[tuple[str, PullCredentials | None], asyncio.Task[Pulled]] = {}

    def close(self) -> None:
        """End every pull that is under way, soon."""
        self._stopping.set()

    async def pull(self, reference: ImageReference, secrets: Iterable[Mapping[str, Any]]) -> Pulled:
        """Pull and keep an image; one that is being pulled already is waited for.

        secrets: those that the pod names, see `pull_credentials`. Raises ImageNotAvailable.
        """
        self._check_reach(reference)
        credentials = credentials_for(reference, secrets)
        key = (str(reference), credentials)
        task = self._pulling.get(key)
        if task is None:
            task = asyncio.ensure_future(self._pull(reference, credentials))
            self._pulling[key] = task
            task.add_done_callback(lambda done: self._pulled(key, done))
        return await asyncio.shield(task)

    async def digest(self, reference: ImageReference, secrets: Iterable[Mapping[str, Any]]) -> str:
        """What a name leads to now. Raises ImageNotAvailable."""
        self._check_reach(reference)
        client = partial(self._client, reference, credentials_for(reference, secrets))
        try:
            return await self._somewhere(reference, lambda: resolved_digest(reference, client()))
        except (RegistryError, OSError) as problem:
            raise _not_available(reference, problem) from None

    async def _pull(self, reference: ImageReference, credentials: PullCredentials | None) -> Pulled:
        def pull() -> Pulled:
            client = self._client(reference, credentials)
            image, size = pull_image(reference, client, self._directory)
            store_images(self._directory, {str(reference): image})
            return Pulled(image, size)

        async with self._at_once:
            try:
                return await self._somewhere(reference, pull)
            except (RegistryError, OSError) as problem:
                raise _not_available(reference, problem) from None

    def _pulled(self, key: tuple[str, PullCredentials | None], task: asyncio.Task[Pulled]) -> None:
        self._pulling.pop(key, None)
        if not task.cancelled():
            task.exception()  # so that a failure nobody waits for any more is no news

    def _check_reach(self, reference: ImageReference) -> None:
        near = is_loopback(reference.registry) or reference.registry in self._insecure
        if self._host is None and not near:
            raise ImageNotAvailable(
                f'failed to pull and unpack image "{reference}": failed to resolve reference "{reference}": '
                f"{reference}: not found: this cluster has no such image, and no way to "
                f"{reference.registry}; load it, add it to the cluster's file of images, or create the "
                "cluster with an uplink"
            )

    def _client(self, reference: ImageReference, credentials: PullCredentials | None) -> RegistryClient:
        plain = is_loopback(reference.registry) or reference.registry in self._insecure
        return RegistryClient(
            reference.registry, plain=plain, credentials=credentials, stopped=self._stopping.is_set
        )

    async def _somewhere(self, reference: ImageReference, work: Callable[[], _T]) -> _T:
        """Where the registry is: on loopback, whoever has it; else by the host's way, if it is lent."""
        if self._host is None:
            return await asyncio.to_thread(work)
        if is_loopback(reference.registry):
            try:
                return await asyncio.to_thread(work)
            except NotInRegistry:
                raise
            except RegistryError:
                return await self._host.call(work)
        return await self._host.call(work)


def _not_available(reference: ImageReference, problem: Exception) -> ImageNotAvailable:
    shown = f'failed to pull and unpack image "{reference}": failed to resolve reference "{reference}": '
    missing = f"{reference}: " if isinstance(problem, NotInRegistry) else ""
    return ImageNotAvailable(f"{shown}{missing}{problem}")
