"""Resources: every call of the public API, in process; what only reads is in `reading`.

A write takes the stored object, works out the one that is to be (defaults, admission, rules, who manages
which field), and commits it on condition that the stored one is still the same; one that asked for no
particular version is worked out again when it is not. One long file, because these steps are read in order.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from pellucid.localkube.api import life, managed_fields, patches, rules
from pellucid.localkube.api.admission import Admission, EverythingAdmitted, Review, WriteOptions
from pellucid.localkube.api.decoding import decoded, strict_error
from pellucid.localkube.api.definition_status import with_status
from pellucid.localkube.api.managed_fields import Manager
from pellucid.localkube.api.objects import OBJECTS, Object, Row, Source, key_of, row_of
from pellucid.localkube.api.pod_admission import admit_pod, without_native_sidecars
from pellucid.localkube.api.reading import ReadableResources
from pellucid.localkube.api.rules import custom
from pellucid.localkube.api.service_addresses import allocated, retyped
from pellucid.localkube.api.status import (
    ApiError,
    Cause,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    not_found,
    not_stored,
    unavailable,
    unsupported_media_type,
)
from pellucid.localkube.types.custom import with_custom_defaults
from pellucid.localkube.types.defaults import with_defaults
from pellucid.localkube.types.kinds import (
    CUSTOM_RESOURCE_DEFINITIONS,
    NAMESPACES,
    PODS,
    PRIORITY_CLASSES,
    SERVICE_ACCOUNTS,
    SERVICES,
    Resource,
)
from pellucid.localkube.types.release import DEFAULT, Release
from pellucid.state.log import Log, LogClosed, StorageError, StorageFull
from pellucid.state.snapshot import Conflict
from pellucid.state.tables import Change, Delete, Put, Stored

ATTEMPTS = 10
"""How often a write that asked for no version is worked out anew."""
CUSTOM_PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
)
"""Custom kinds have no merge keys, so no strategic merge patch."""
INTERNAL = WriteOptions()
Changes = list[Change]
Causes = list[Cause]
Differ = Callable[[Object | None], Object]
"""From the stored object (None if there is none) to the wanted one."""


class Removal(msgspec.Struct, frozen=True):
    """What a deletion came to: the object as it is now, or was, and whether it is gone."""

    object: Object
    gone: bool


class Resources(ReadableResources):
    """The objects of one cluster, by the rules of the API."""

    def __init__(self, log: Log, *, source: Source | None = None, release: Release = DEFAULT) -> None:
        super().__init__(log)
        self._release = release
        self._source = source or Source()
        self.admission: Admission = EverythingAdmitted()
        self.checks: list[Callable[[Review], None]] = []
        """Looked at before the admission's own validation; each may raise ApiError."""

    async def create(
        self, resource: Resource, namespace: str, given: Object, *, options: WriteOptions = INTERNAL
    ) -> Object:
        """Store a new object. Raises ApiError 400, 403, 404, 409, 422, 507 (as every write)."""
        self._check_place(resource, namespace, given)
        value = life.born(
            resource, self._decoded(resource, copy.deepcopy(given), options), namespace, self._source
        )
        return await self._create(resource, namespace, value, None, options)

    async def _create(
        self,
        resource: Resource,
        namespace: str,
        value: Object,
        owned: managed_fields.Applied | None,
        options: WriteOptions,
    ) -> Object:
        name = value["metadata"].get("name", "")
        if resource.namespaced:
            self._check_namespace(resource, namespace, name)
        if resource.custom and "deletionTimestamp" in (self.definition(resource) or {}).get("metadata", {}):
            why = "create not allowed while custom resource definition is terminating"
            raise ApiError(405, "MethodNotAllowed", why)
        value = self._defaulted(resource, value)
        if resource.stored == PODS.stored:
            value = self._admitted_pod(value, namespace)
        value = await self._reviewed("CREATE", resource, namespace, name, value, None, "", options)
        now, schema = self._source.timestamp(), self.schema(resource)
        manager = Manager(options.manager, "Update")
        entries = (
            managed_fields.updated(None, value, schema, manager, resource.api_version, now)
            if owned is None
            else owned.entries(None, resource.api_version, now)
        )
        if entries:
            value["metadata"]["managedFields"] = entries
        try:
            return await self._put(resource, value, None, options)
        except Conflict:
            raise already_exists(resource, value["metadata"]["name"]) from None

    async def update(
        self,
        resource: Resource,
        namespace: str,
        given: Object,
        *,
        subresource: str = "",
        options: WriteOptions = INTERNAL,
    ) -> Object:
        """Replace an object, or its status. A stated resourceVersion must be the stored one.

        Raises ApiError 400, 403, 404, 409, 422.
        """
        self._check_place(resource, namespace, given)
        name = given["metadata"].get("name", "")
        wanted = self._decoded(resource, copy.deepcopy(given), options)
        return await self._change(resource, namespace, name, lambda _old: wanted, subresource, options)

    async def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Any,
        *,
        kind: str = "merge",
        subresource: str = "",
        options: WriteOptions = INTERNAL,
    ) -> Object:
        """Change part of an object; kind: json, merge, strategic or apply.

        Raises ApiError 400, 403, 404, 409, 415, 422.
        """
        if kind == "apply":
            return await self._apply(resource, namespace, name, patch, subresource, options)
        differ = self._differ(resource, name, patch, kind, options)
        return await self._change(resource, namespace, name, differ, subresource, options)

    def _differ(self, resource: Resource, name: str, patch: Any, kind: str, options: WriteOptions) -> Differ:
        if kind == "strategic" and resource.custom:
            raise unsupported_media_type(CUSTOM_PATCHES)

        def differ(old: Object | None) -> Object:
            try:
                match kind:
                    case "json":
                        wanted = patches.json_patch(old, patch)
                    case "strategic":
                        wanted = patches.strategic_merge_patch(old, patch, self.schema(resource))
                    case _:
                        wanted = patches.merge_patch(old, patch)
            except patches.PatchError as error:
                if kind == "json":
                    raise ApiError(
                        422,
                        "Invalid",
                        f"the server rejected our request due to an error in our request: {error}",
                        {"name": name, "kind": resource.plural},
                    ) from None
                raise bad_request(str(error)) from None
            if not isinstance(wanted, dict) or not isinstance(wanted.get("metadata"), dict):
                raise bad_request("the patch does not leave an object")
            return self._decoded(resource, copy.deepcopy(wanted), options)

        return differ

    async def _change(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        differ: Differ,
        subresource: str,
        options: WriteOptions,
    ) -> Object:
        for _ in range(ATTEMPTS):
            stored = self._log.head.get(OBJECTS, key_of(resource, namespace, name))
            if stored is None:
                raise not_found(resource, name)
            old = await self._seen(resource, stored)
            wanted = differ(old)
            self._check_preconditions(resource, name, wanted, old)
            try:
                return await self._replace(
                    resource, namespace, stored, old, wanted, subresource, None, options
                )
            except Conflict:
                continue
        raise conflict(resource, name)

    async def _apply(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        configuration: Object,
        subresource: str,
        options: WriteOptions,
    ) -> Object:
        if not isinstance(configuration, dict) or not isinstance(configuration.get("metadata", {}), dict):
            raise bad_request("the configuration to apply must be an object with metadata")
        configuration = copy.deepcopy(configuration)
        configuration.setdefault("metadata", {}).setdefault("name", name)
        self._check_place(resource, namespace, configuration)
        if configuration["metadata"].get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        configuration = self._decoded(resource, configuration, options)
        if resource.namespaced:
            configuration["metadata"]["namespace"] = namespace
        schema, manager = self.schema(resource), Manager(options.manager, "Apply", subresource)
        for _ in range(ATTEMPTS):
            stored = self._log.head.get(OBJECTS, key_of(resource, namespace, name))
            try:
                if stored is None:
                    if subresource:
                        raise not_found(resource, name)
                    result = managed_fields.applied(None, configuration, schema, manager, force=True)
                    value = life.born(resource, copy.deepcopy(configuration), namespace, self._source)
                    return await self._create(resource, namespace, value, result, options)
                old = await self._seen(resource, stored)
                self._check_preconditions(resource, name, configuration, old)
                result = managed_fields.applied(
                    old,
                    configuration,
                    schema,
                    manager,
                    force=options.force,
                    defaulted=self._defaulted(resource, copy.deepcopy(configuration)),
                )
                return await self._replace(
                    resource, namespace, stored, old, result.value, subresource, result, options
                )
            except Conflict:
                continue
        raise conflict(resource, name)

    async def _replace(
        self,
        resource: Resource,
        namespace: str,
        stored: Stored[Row],
        old: Object,
        wanted: Object,
        subresource: str,
        owned: managed_fields.Applied | None,
        options: WriteOptions,
    ) -> Object:
        name = old["metadata"]["name"]
        new = life.changed(resource, old, wanted, subresource)
        if resource.stored == SERVICES.stored and not subresource:
            new = retyped(old, new)
        if not subresource:
            new = self._defaulted(resource, copy.deepcopy(new))
        new = await self._reviewed("UPDATE", resource, namespace, name, new, old, subresource, options)
        new = self._with_managers(resource, old, new, subresource, owned, options)
        if life.same(old, new) and (owned is None or _owners_unchanged(old, new)):
            return old
        if life.is_over(resource, new):
            changes: Changes = [Delete(OBJECTS, key_of(resource, namespace, name))]
            await self._commit(
                [*changes, *self._ended_definition(resource, namespace, name)], stored, options
            )
            return new
        return await self._put(resource, new, stored, options)

    def _with_managers(
        self,
        resource: Resource,
        old: Object,
        new: Object,
        subresource: str,
        owned: managed_fields.Applied | None,
        options: WriteOptions,
    ) -> Object:
        now, schema = self._source.timestamp(), self.schema(resource)
        if owned is not None:
            entries = owned.entries(old, resource.api_version, now)
        else:
            manager = Manager(options.manager, "Update", subresource)
            entries = managed_fields.updated(old, new, schema, manager, resource.api_version, now)
        meta = {key: value for key, value in new["metadata"].items() if key != "managedFields"}
        if entries:
            meta["managedFields"] = entries
        return {**new, "metadata": meta}

    # Deleting

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        propagation: str = "Background",
        grace_seconds: int | None = None,
        uid: str = "",
        options: WriteOptions = INTERNAL,
    ) -> Object:
        """Delete an object, or begin to. Answers the object as it is now, or last was.

        Raises ApiError 404, 409 (another uid), 403.
        """
        removal = await self.remove(
            resource,
            namespace,
            name,
            propagation=propagation,
            grace_seconds=grace_seconds,
            uid=uid,
            options=options,
        )
        return removal.object

    async def remove(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        propagation: str = "Background",
        grace_seconds: int | None = None,
        uid: str = "",
        resource_version: str = "",
        options: WriteOptions = INTERNAL,
    ) -> Removal:
        """As `delete`, telling whether the object is gone."""
        for _ in range(ATTEMPTS):
            stored = self._log.head.get(OBJECTS, key_of(resource, namespace, name))
            if stored is None:
                raise not_found(resource, name)
            old = await self._seen(resource, stored)
            _check_uid(resource, name, uid, old)
            if resource_version not in ("", old["metadata"]["resourceVersion"]):
                raise conflict(resource, name, "Precondition failed: resourceVersion differs")
            review = Review(resource, "DELETE", namespace, name, None, old, "", options)
            await self.admission.mutate(review)
            await self.admission.validate(review)
            new = life.dying(resource, old, propagation, grace_seconds, self._source)
            instances = self._ended_instances(resource, old)
            if any(isinstance(one, Put) for one in instances):
                new = life.held_by_instances(new)
            try:
                if life.is_over(resource, new):
                    changes: Changes = [Delete(OBJECTS, key_of(resource, namespace, name)), *instances]
                    changes += self._ended_definition(resource, namespace, name)
                    await self._commit(changes, stored, options)
                    return Removal(old, True)
                return Removal(await self._put(resource, new, stored, options, instances), False)
            except Conflict:
                continue
        raise conflict(resource, name)

    def _ended_instances(self, resource: Resource, definition: Object) -> Changes:
        """A custom kind's objects go with its definition, but for those whose finalizers hold them."""
        if resource.stored != CUSTOM_RESOURCE_DEFINITIONS.stored:
            return []
        spec = definition["spec"]
        rows = self._log.head.rows(OBJECTS, "resource", (spec["group"], spec["names"]["plural"]))
        now, version = self._source.timestamp(), str(self._log.head.revision + 1)
        changes: Changes = []
        for row in (stored.value for stored in rows):
            if row.value["metadata"].get("finalizers"):
                meta = {"deletionTimestamp": now, "deletionGracePeriodSeconds": 0, **row.value["metadata"]}
                value = _at({**row.value, "metadata": meta}, version)
                changes.append(Put(OBJECTS, msgspec.structs.replace(row, value=value)))
            else:
                changes.append(Delete(OBJECTS, OBJECTS.key(row)))
        return changes

    def _ended_definition(self, resource: Resource, namespace: str, name: str) -> Changes:
        """A definition that is only waiting for its last object goes with it."""
        definition = self.definition(resource)
        if definition is None or not life.waits_for_instances(definition):
            return []
        rows = self._log.head.rows(OBJECTS, "resource", resource.stored)
        if any(OBJECTS.key(row.value) != key_of(resource, namespace, name) for row in rows):
            return []
        own = key_of(CUSTOM_RESOURCE_DEFINITIONS, "", definition["metadata"]["name"])
        return [Delete(OBJECTS, own)]

    # The steps of a write

    def _check_place(self, resource: Resource, namespace: str, given: Object) -> None:
        meta = given.get("metadata")
        if meta is None:
            given["metadata"] = meta = {}
        if not isinstance(meta, dict):
            raise bad_request("metadata must be an object")
        stated = (given.get("apiVersion", resource.api_version), given.get("kind", resource.kind))
        if stated != (resource.api_version, resource.kind):
            raise bad_request(
                f"the kind in the data ({stated[0]}, Kind={stated[1]}) does not match the expected kind "
                f"({resource.api_version}, Kind={resource.kind})"
            )
        if resource.namespaced and meta.get("namespace", namespace) != namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )

    def _check_namespace(self, resource: Resource, namespace: str, name: str) -> None:
        found = self._log.head.get(OBJECTS, key_of(NAMESPACES, "", namespace))
        if found is None:
            raise not_found(NAMESPACES, namespace)
        if "deletionTimestamp" in found.value.value["metadata"]:
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = Cause(
                "metadata.namespace", f"namespace {namespace} is being terminated", "NamespaceTerminating"
            )
            raise forbidden(resource, name, why, (cause,))

    def _check_preconditions(self, resource: Resource, name: str, wanted: Object, old: Object) -> None:
        meta = wanted["metadata"]
        if meta.get("name", name) != name:
            raise bad_request(
                f"the name of the object ({meta['name']}) does not match the name on the URL ({name})"
            )
        _check_uid(resource, name, meta.get("uid", ""), old)
        if meta.get("resourceVersion", "") not in ("", old["metadata"]["resourceVersion"]):
            raise conflict(resource, name)

    def _decoded(self, resource: Resource, given: Object, options: WriteOptions) -> Object:
        value, unknown = decoded(resource, given, self.schema(resource))
        problems = (
            *(f'duplicate field "{path}"' for path in options.repeated),
            *(f'unknown field "{path}"' for path in unknown),
        )
        if problems and options.validation == "Strict":
            raise strict_error(resource, problems)
        if options.validation == "Warn":
            options.warnings.extend(one for one in problems if one not in options.warnings)
        return value

    def _defaulted(self, resource: Resource, value: Object) -> Object:
        if resource.custom:
            return with_custom_defaults(value, self.schema(resource))  # type: ignore[no-any-return]
        return with_defaults(resource, value)

    def _admitted_pod(self, pod: Object, namespace: str) -> Object:
        def found(resource: Resource) -> Callable[[str], Object | None]:
            return lambda name: self.peek(resource, namespace, name)

        known = pod if self._release.native_sidecars else without_native_sidecars(pod)
        return admit_pod(known, found(SERVICE_ACCOUNTS), found(PRIORITY_CLASSES), self._source.suffix)

    async def _reviewed(
        self,
        operation: str,
        resource: Resource,
        namespace: str,
        name: str,
        value: Object,
        old: Object | None,
        subresource: str,
        options: WriteOptions,
    ) -> Object:
        review = Review(resource, operation, namespace, name, value, old, subresource, options)
        mutated = await self.admission.mutate(review)
        if mutated is not None and mutated is not value:
            decoded_again, _ = decoded(resource, copy.deepcopy(mutated), self.schema(resource))
            value = self._defaulted(resource, decoded_again)
        if subresource in ("", "status"):
            self._check_rules(resource, value, old, subresource)
        settled = msgspec.structs.replace(review, object=value)
        for check in self.checks:
            check(settled)
        await self.admission.validate(settled)
        return value

    def _check_rules(self, resource: Resource, value: Object, old: Object | None, subresource: str) -> None:
        schema = self.schema(resource)
        causes: Causes = []
        if not subresource:
            causes += rules.breaches(resource, value, schema, old)
        if resource.custom:
            causes += custom.breaches(value, old, schema)
        if causes:
            raise invalid(resource, value["metadata"].get("name", ""), causes)

    async def _put(
        self,
        resource: Resource,
        value: Object,
        stored: Stored[Row] | None,
        options: WriteOptions,
        others: Sequence[Change] = (),
    ) -> Object:
        """Commit an object, with changes that go with it.

        What depends on other objects is decided here, where nothing can come between.
        """
        if resource.stored == SERVICES.stored:
            value = self._with_addresses(value, stored)
        elif resource.stored == CUSTOM_RESOURCE_DEFINITIONS.stored:
            value = with_status(value, self._others(resource, value), self._source.timestamp())
        kept = await self._as_stored(resource, value)
        version = str(self._log.head.revision + 1)
        row = row_of(resource, _at(kept, version))
        await self._commit([Put(OBJECTS, row), *others], stored, options)
        if options.dry_run:
            return value
        return row.value if kept is value else _at(value, version)

    def _with_addresses(self, service: Object, stored: Stored[Row] | None) -> Object:
        old = None if stored is None else stored.value.value
        placed, problems = allocated(service, self._others(SERVICES, service), old)
        if problems:
            raise invalid(SERVICES, service["metadata"]["name"], problems)
        return placed

    def _others(self, resource: Resource, value: Object) -> Iterator[Object]:
        """Every other object of the kind, as of the last accepted commit."""
        key = key_of(resource, value["metadata"].get("namespace", ""), value["metadata"]["name"])
        for row in self._log.head.rows(OBJECTS, "resource", resource.stored):
            if OBJECTS.key(row.value) != key:
                yield row.value.value

    async def _commit(self, changes: Changes, stored: Stored[Row] | None, options: WriteOptions) -> None:
        """Commit on condition that the first change's row is as it was read. Raises Conflict."""
        first = changes[0]
        key = first.key if isinstance(first, Delete) else OBJECTS.key(first.value)
        expect: Mapping[Any, int] = {(OBJECTS, key): 0 if stored is None else stored.modify_index}
        if options.dry_run:
            self._log.head.expecting(expect)
            return
        try:
            await self._log.commit(changes, expect=expect)
        except StorageError as error:
            raise not_stored(error, full=isinstance(error, StorageFull)) from None
        except LogClosed:
            raise unavailable("the cluster is being stopped") from None


def _at(value: Object, version: str) -> Object:
    return {**value, "metadata": {**value["metadata"], "resourceVersion": version}}


def _check_uid(resource: Resource, name: str, uid: str, old: Object) -> None:
    if uid and uid != old["metadata"]["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}"
        raise conflict(resource, name, why)


def _owners_unchanged(old: Object, new: Object) -> bool:
    return managed_fields.owners(old) == managed_fields.owners(new)
