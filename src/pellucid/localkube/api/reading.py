"""Reading the objects of a cluster: which kinds there are, one object, lists and their pages, watches."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence

from pellucid.localkube.api.conversion import Conversion, NoConversion
from pellucid.localkube.api.objects import OBJECTS, Object, Row, key_of, shown
from pellucid.localkube.api.pages import (
    LATEST,
    Page,
    Snapshots,
    list_expired,
    page_of,
    token_of,
    version_too_old,
)
from pellucid.localkube.api.selectors import object_test
from pellucid.localkube.api.status import not_found
from pellucid.localkube.api.watches import Event, Watches
from pellucid.localkube.types.kinds import (
    BUILT_IN,
    CUSTOM_RESOURCE_DEFINITIONS,
    Resource,
    custom_resources,
    resource_of,
)
from pellucid.localkube.types.schema import Schema, custom_schema, schema_of
from pellucid.state.log import Log
from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Stored


class ReadableResources:
    """The objects of one cluster as they are, and were. Belongs to the log's event loop."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._watches = Watches(log)
        self._moments = Snapshots(time.monotonic)
        self._custom_schemas: dict[tuple[str, str, str], tuple[Object, Schema]] = {}
        self.conversion: Conversion = NoConversion()

    def close(self) -> None:
        """Follow the log no longer; the log itself is the caller's."""
        self._watches.close()

    @property
    def revision(self) -> int:
        """The resourceVersion of the cluster as a whole."""
        return self._log.revision

    def kinds(self) -> tuple[Resource, ...]:
        """Every resource served now, built-in and custom."""
        definitions = self._log.snapshot().rows(OBJECTS, "resource", CUSTOM_RESOURCE_DEFINITIONS.stored)
        found = [one for row in definitions for one in custom_resources(row.value.value)]
        return (*BUILT_IN, *found)

    def kind(self, group: str, plural: str, version: str = "") -> Resource | None:
        """The resource of this name, built-in or custom; None if there is none."""
        built_in = resource_of(group, plural, version)
        if built_in is not None:
            return built_in
        definition = self._definition(group, plural)
        served = custom_resources(definition) if definition else ()
        return next((one for one in served if version in ("", one.version)), None)

    def schema(self, resource: Resource) -> Schema:
        """The schema of a resource's objects."""
        if not resource.custom:
            return schema_of(resource)
        definition = self._definition(resource.group, resource.plural)
        if definition is None:
            raise not_found(resource, "")
        key = (resource.group, resource.plural, resource.version)
        kept = self._custom_schemas.get(key)
        if kept is None or kept[0] is not definition:
            kept = self._custom_schemas[key] = (definition, custom_schema(definition, resource.version))
        return kept[1]

    def definition(self, resource: Resource) -> Object | None:
        """The CustomResourceDefinition of a custom resource."""
        return self._definition(resource.group, resource.plural) if resource.custom else None

    def _definition(self, group: str, plural: str) -> Object | None:
        stored = self._log.head.get(OBJECTS, key_of(CUSTOM_RESOURCE_DEFINITIONS, "", f"{plural}.{group}"))
        return None if stored is None else stored.value.value

    def peek(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """The object, or None."""
        stored = self._log.snapshot().get(OBJECTS, key_of(resource, namespace, name))
        return None if stored is None else shown(resource, stored.value.value)

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """The object. Raises ApiError 404."""
        found = self.peek(resource, namespace, name)
        if found is None:
            raise not_found(resource, name)
        return found

    async def seen(self, resource: Resource, values: Sequence[Object]) -> tuple[Object, ...]:
        """Objects that were read, in the very version of the resource. Raises ApiError 500."""
        strange = [one for one in values if one["apiVersion"] != resource.api_version]
        definition = self.definition(resource) if strange and resource.converted else None
        if definition is None:
            return tuple(values)
        converted = iter(await self.conversion.convert(definition, strange, resource.api_version))
        return tuple(one if one["apiVersion"] == resource.api_version else next(converted) for one in values)

    async def _seen(self, resource: Resource, stored: Stored[Row]) -> Object:
        [value] = await self.seen(resource, [shown(resource, stored.value.value)])
        return value

    async def _as_stored(self, resource: Resource, value: Object) -> Object:
        """The object in the version that is stored."""
        definition = self.definition(resource) if resource.converted else None
        if definition is None:
            return value
        storage = next(one["name"] for one in definition["spec"]["versions"] if one.get("storage"))
        api_version = f"{resource.group}/{storage}"
        if api_version == resource.api_version:
            return value
        [converted] = await self.conversion.convert(definition, [value], api_version)
        return converted

    def select(
        self, resource: Resource, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> tuple[int, tuple[Object, ...]]:
        """The resourceVersion and the objects that match, in order of namespace and name.

        Raises ApiError 400 for a selector that cannot be understood.
        """
        snapshot = self._log.snapshot()
        found = self._selected(snapshot, resource, namespace, label_selector, field_selector)
        return snapshot.revision, found

    def _selected(
        self, snapshot: Snapshot, resource: Resource, namespace: str, label_selector: str, field_selector: str
    ) -> tuple[Object, ...]:
        if namespace:
            rows = snapshot.rows(OBJECTS, "namespace", (*resource.stored, namespace))
        else:
            rows = snapshot.rows(OBJECTS, "resource", resource.stored)
        found = (shown(resource, row.value.value) for row in rows)
        if not label_selector and not field_selector:
            return tuple(found)
        test = object_test(resource, label_selector, field_selector)
        return tuple(one for one in found if test(one))

    def page(
        self,
        resource: Resource,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        *,
        limit: int = 0,
        token: str = "",
        exactly: int = 0,
    ) -> Page:
        """Part of a list, which with its later parts is all of one moment.

        token: from the part before. exactly: the version the list is to be of; 0: now.
        Raises ApiError 400, 410 (the moment is no longer kept).
        """
        asked = token_of(token) if token else None
        revision = exactly if asked is None else asked.rv
        snapshot = self._moment(revision)
        if snapshot is None:
            raise version_too_old() if asked is None else list_expired(asked)
        found = self._selected(snapshot, resource, namespace, label_selector, field_selector)
        page = page_of(snapshot.revision, found, limit, None if asked is None else asked.start)
        if page.token:
            self._moments.keep(snapshot)
        return page

    def _moment(self, revision: int) -> Snapshot | None:
        now = self._log.snapshot()
        return now if revision in (0, LATEST, now.revision) else self._moments.at(revision)

    async def list(
        self, resource: Resource, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> tuple[Object, ...]:
        """The objects that match. Raises ApiError 400."""
        return self.select(resource, namespace, label_selector, field_selector)[1]

    def dependents(self, uid: str) -> tuple[tuple[Resource, Object], ...]:
        """Every object that names the one with this uid as an owner."""
        return self._served(self._log.snapshot().rows(OBJECTS, "owner", uid))

    def exists(self, uid: str) -> bool:
        """Whether there is an object with this uid."""
        return bool(self._log.snapshot().rows(OBJECTS, "uid", uid))

    def _served(self, rows: tuple[Stored[Row], ...]) -> tuple[tuple[Resource, Object], ...]:
        found = ((self.kind(row.value.group, row.value.plural), row.value.value) for row in rows)
        return tuple((resource, value) for resource, value in found if resource is not None)

    async def watch(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        since: int = 0,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[Event]:
        """Events after `since`; from 0, first one ADDED for each object there is.

        Ends only with its consumer. Raises ApiError 410 (list again) and 400.
        """
        test = object_test(resource, label_selector, field_selector)
        if since == 0:
            since, present = self.select(resource, namespace, label_selector, field_selector)
            for one in present:
                yield Event("ADDED", one)
        async for event in self._watches.follow(resource, namespace, since, test):
            yield event
