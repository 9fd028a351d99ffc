"""A proxy's configuration as a toy: resources whose bodies are the names of what they refer to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pellucid.xds.shared import Ref, Refs, SharedResource
from pellucid.xds.types import ResourceType
from pellucid.xds.variants import Session

CLUSTER, ENDPOINT, SECRET = ResourceType.CLUSTER, ResourceType.ENDPOINT, ResourceType.SECRET
LISTENER, ROUTE = ResourceType.LISTENER, ResourceType.ROUTE

Content = Mapping[ResourceType, Mapping[str, SharedResource]]


def made(name: str, version: object, refers_to: Iterable[str] = ()) -> SharedResource:
    """A resource; its body lists the clusters it refers to."""
    return SharedResource(name, f"v{version}", ",".join(sorted(refers_to)).encode())


def referred(resource: SharedResource) -> set[str]:
    """The clusters a listener or route refers to."""
    return set(resource.body.decode().split(",")) - {""}


def holding(**types: Mapping[str, object]) -> dict[ResourceType, dict[str, SharedResource]]:
    """Content as `cluster={"web": 1}, endpoint={"web": 7}`: versions by name."""
    return {
        ResourceType[kind.upper()]: {name: made(name, version) for name, version in versions.items()}
        for kind, versions in types.items()
    }


class Configuration:
    """Implements `ProxyResources`; tells the session what changed of what it looked at."""

    def __init__(self, content: Content | None = None) -> None:
        self.content: Content = {}
        self.underivable: set[ResourceType] = set()
        self.unbuildable: set[tuple[ResourceType, str]] = set()
        self.joined: set[tuple[ResourceType, str]] = set()
        self._refs: dict[ResourceType, Refs] = {}
        self._session: Session[Any, Any] | None = None
        self.become(content or {})

    def tell(self, session: Session[Any, Any]) -> None:
        """Have a new stream look at it: nothing is joined, changes are told to its session."""
        self.joined.clear()
        self._session = session

    def become(self, content: Content) -> None:
        """Change to other content at one go."""
        before, self.content = self.content, content
        for resource_type in ResourceType:
            now = content.get(resource_type, {})
            refs = Refs({name: name for name in now})
            if refs != self._refs.get(resource_type):
                self._refs[resource_type] = refs
                self._tell_moved()
            for name, resource in now.items():
                if before.get(resource_type, {}).get(name) != resource:
                    self._moved(resource_type, name)

    def stop_deriving(self, resource_type: ResourceType) -> None:
        """It cannot be derived which resources there are, until further notice."""
        self.underivable.add(resource_type)
        self._tell_moved()

    def fail(self, resource_type: ResourceType, name: str) -> None:
        """The resource cannot be built until further notice."""
        self.unbuildable.add((resource_type, name))
        self._moved(resource_type, name)

    def heal(self) -> None:
        """All can be derived and built again."""
        self.underivable.clear()
        self._tell_moved()
        failed, self.unbuildable = self.unbuildable, set()
        for resource_type, name in failed:
            self._moved(resource_type, name)

    def refs(self, resource_type: ResourceType) -> Refs | None:
        return None if resource_type in self.underivable else self._refs[resource_type]

    def resource(self, resource_type: ResourceType, name: str, ref: Ref) -> SharedResource | None:
        self.joined.add((resource_type, name))
        if (resource_type, name) in self.unbuildable:
            return None
        return self.content.get(resource_type, {}).get(name)

    def drop(self, resource_type: ResourceType, name: str) -> None:
        self.joined.discard((resource_type, name))

    def _moved(self, resource_type: ResourceType, name: str) -> None:
        if self._session is not None and (resource_type, name) in self.joined:
            self._session.changed(resource_type, name)

    def _tell_moved(self) -> None:
        if self._session is not None:
            self._session.moved()
