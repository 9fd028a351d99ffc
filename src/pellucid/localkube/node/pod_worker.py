"""Runs one pod from its first container to its last.

One task decides and acts, step after step (`decisions` says what, `pod_status` what the API is told); exits,
probe results and changes of the pod only wake it. The module is long because that task is one: what it needs
(namespaces, volumes, files, settings, probes, the end) is made elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import structlog

from pellucid.localkube.api.status import ApiError
from pellucid.localkube.images.image import Image, ImageNotAvailable
from pellucid.localkube.images.image_entries import InvalidImageTable
from pellucid.localkube.images.reference import InvalidImageName
from pellucid.localkube.network.addresses import AddressesExhausted
from pellucid.localkube.network.commands import NetworkCommandFailed
from pellucid.localkube.node.container_making import settings_of
from pellucid.localkube.node.container_probing import ContainerProbing, PodAccess, run_hook
from pellucid.localkube.node.container_runtime import Container, ContainerExit
from pellucid.localkube.node.container_stopping import ContainerStopping
from pellucid.localkube.node.decisions import Decision, decide, stop_order
from pellucid.localkube.node.environment import ConfigurationError, PodFacts
from pellucid.localkube.node.image_pulling import container_image, pull_failure
from pellucid.localkube.node.node_parts import NodeParts
from pellucid.localkube.node.observations import (
    ContainerObservation,
    Terminated,
    Waiting,
    after_end,
    after_start,
    back_off,
)
from pellucid.localkube.node.pod_files import PodFiles
from pellucid.localkube.node.pod_namespaces import PodNamespaces, hostname_of
from pellucid.localkube.node.pod_status import (
    CutShort,
    cut_short_from,
    observations_from,
    place_from,
    pod_status,
)
from pellucid.localkube.node.pod_volumes import PodVolumes
from pellucid.localkube.node.runtime_errors import ContainerFailed
from pellucid.localkube.node.sandbox import Sandbox, SandboxFailed
from pellucid.localkube.node.volume_files import VolumeError
from pellucid.localkube.types.kinds import PODS

Object = dict[str, Any]
_RETRY_S = 2.0
_REFRESH_S = 60.0
_CLEAN_UP_S = 5.0
_LEFT_ALONE_S = 1.0
_TOO_LONG = CutShort("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
_log = structlog.get_logger(__name__)


class PodWorker:
    """One pod on this node."""

    def __init__(self, parts: NodeParts, pod: Object) -> None:
        self._parts = parts
        self.pod = pod
        self.containers: dict[str, Container] = {}
        """Those that run now, by name."""
        self._namespaces = PodNamespaces(parts)
        self._files = PodFiles(parts.directory / "pods" / pod["metadata"]["uid"])
        self._volumes = PodVolumes(parts, self._files.volumes)
        self._mounted: dict[str, Path] = {}
        self._observed = observations_from(pod, parts.now())
        self._cut_short = cut_short_from(pod)
        self._place = place_from(pod, (parts.network.node.v4, parts.network.node.v6))
        self._stopping = ContainerStopping(parts.runtime, self.containers, self._pre_stop)
        self._probing: dict[str, ContainerProbing] = {}
        self._wake = asyncio.Event()
        self._goes = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()
        self._finished = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        self._told: Object = {}
        self._conditions: list[Object] | None = None
        """As they were when the status was last told: others change them too."""
        self._removed = False

    @property
    def sandbox(self) -> Sandbox | None:
        """Its namespaces; None before they are made and after its end."""
        return self._namespaces.sandbox

    # What others do to it

    def update(self, pod: Object) -> None:
        """The pod changed in the API; where it is being ended, perhaps with less grace than before."""
        if _version(pod) < _version(self.pod):
            return
        self.pod = pod
        if self._leaving:
            self._stopping.hurry(self._grace())
            self._goes.set()
        self._wake.set()

    def refresh(self) -> None:
        """Something it refers to changed."""
        self._wake.set()

    def forget(self) -> None:
        """The pod is gone from the API: end everything at once."""
        self._removed = True
        self._stopping.hurry(0)
        self._goes.set()
        self._wake.set()

    def log_path(self, container: str, run: int) -> Path:
        """The log of a container's n-th run, from 0."""
        return self._files.log_path(container, run)

    def observation(self, container: str) -> ContainerObservation | None:
        """What is known of a container; None if the pod has none of that name."""
        return self._observed.get(container)

    # The one task

    async def run(self) -> None:
        """Until the pod is gone. Cancelled, it ends what runs and leaves the pod in the API as it is."""
        try:
            while not self._leaving:
                self._wake.clear()
                timeout = await self._attempt_step()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(timeout):
                        await self._wake.wait()
            await self._be_left_alone()
            await self._stop_containers(0 if self._removed else self._grace())
            await self._say_status(finished=True)
            await self._clean_up()
            await asyncio.to_thread(self._files.remove)
            if not self._removed:
                await self._delete_from_api()
        finally:
            await asyncio.shield(self._clean_up())

    @property
    def _leaving(self) -> bool:
        return self._removed or "deletionTimestamp" in self.pod["metadata"]

    async def _attempt_step(self) -> float:
        try:
            return await self._step()
        except VolumeError as problem:
            await self._parts.events.tell(self.pod, "FailedMount", str(problem), warning=True)
        except (SandboxFailed, NetworkCommandFailed, AddressesExhausted) as problem:
            said = f"Failed to create pod sandbox: {problem}"
            await self._parts.events.tell(self.pod, "FailedCreatePodSandBox", said, warning=True)
        except (ApiError, OSError) as problem:
            _log.warning("pod step failed", pod=self.pod["metadata"]["name"], problem=str(problem))
        await self._say_status()
        return _RETRY_S

    async def _step(self) -> float:
        """Do what is to be done now; how long until there may be more, in seconds."""
        if self._finished:
            await self._say_status(finished=True)
            return _REFRESH_S
        if self._place.started_at is None:
            self._place = msgspec.structs.replace(self._place, started_at=self._parts.now())
        if (until := self._deadline()) is not None and until <= self._parts.now():
            self._cut_short = _TOO_LONG
            await self._parts.events.tell(self.pod, _TOO_LONG.reason, _TOO_LONG.message)
            await self._finish()
            return _REFRESH_S
        self._mounted = await self._volumes.refresh(self.pod, self._facts())
        if self.sandbox is None:
            await self._make_namespaces()
            await self._say_status()
        decision = decide(self.pod["spec"], self._observed, self._parts.now())
        if decision.finished:
            await self._finish()
            return _REFRESH_S
        for name in decision.start:
            if self._leaving:
                return 0
            await self._start(name)
        self._mark_waiting(decision)
        await self._say_status()
        return self._until_next()

    def _until_next(self) -> float:
        decision = decide(self.pod["spec"], self._observed, self._parts.now())
        if decision.start or decision.finished:
            return 0
        moments = (decision.look_again_at, self._volumes.renewed_at, self._deadline())
        waits = [(moment - self._parts.now()).total_seconds() for moment in moments if moment is not None]
        return max(0.0, min((_REFRESH_S, *waits)))

    def _deadline(self) -> datetime | None:
        allowed, since = self.pod["spec"].get("activeDeadlineSeconds"), self._place.started_at
        return None if allowed is None or since is None else since + timedelta(seconds=allowed)

    def _mark_waiting(self, decision: Decision) -> None:
        for name in decision.backing_off:
            one = self._observed[name]
            if isinstance(one.state, Terminated):
                metadata = self.pod["metadata"]
                seconds = int(back_off(one.ends).total_seconds())
                said = (
                    f"back-off {_duration(seconds)} restarting failed container={name} "
                    f"pod={metadata['name']}_{metadata['namespace']}({metadata['uid']})"
                )
                self._observe(msgspec.structs.replace(one, state=Waiting("CrashLoopBackOff", said)))
                self._later(self._tell_back_off(name))

    async def _tell_back_off(self, name: str) -> None:
        metadata = self.pod["metadata"]
        place = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        said = f"Back-off restarting failed container {name} in pod {place}"
        await self._tell("BackOff", said, name, warning=True)

    # Namespaces

    async def _make_namespaces(self) -> None:
        own = await self._namespaces.make(self.pod)
        self._place = msgspec.structs.replace(self._place, pod_ips=(own.v4, own.v6))
        hostname, dns = hostname_of(self.pod, self._parts.name), str(self._parts.network.plan.dns)
        self._files.write_etc(self.pod, hostname, self._place.pod_ips, dns)

    async def _clean_up(self) -> None:
        for container in tuple(self.containers.values()):
            await self._parts.runtime.kill(container)
        if self._background:
            _, unfinished = await asyncio.wait(self._background, timeout=_CLEAN_UP_S)
            for task in unfinished:
                task.cancel()
        await self._namespaces.drop()
        self._volumes.release()

    # Containers

    async def _start(self, name: str) -> None:
        container, one = self._spec_of(name), self._observed[name]
        now = self._parts.now()
        try:
            image = await self._image(container)
        except (ImageNotAvailable, InvalidImageName, InvalidImageTable) as problem:
            await self._pull_failed(one, container["image"], problem)
            return
        if image is None:
            return
        try:
            settings = settings_of(
                self._parts, self.pod, container, image, self._facts(), self._files, self._mounted
            )
        except (ConfigurationError, VolumeError, ValueError) as problem:
            waiting = Waiting("CreateContainerConfigError", str(problem))
            retry = now + back_off(2)
            self._observe(msgspec.structs.replace(one, state=waiting, retry_at=retry))
            await self._tell("Failed", f"Error: {problem}", name, warning=True)
            return
        assert self.sandbox is not None
        id = uuid.uuid4().hex + uuid.uuid4().hex
        log_path = self.log_path(name, one.restart_count + 1 if one.runs else 0)
        try:
            started = await self._parts.runtime.start(id, settings, self.sandbox, log_path)
        except ContainerFailed as problem:
            said = f"failed to create containerd task: failed to create shim task: {problem}"
            end = Terminated(problem.exit_code, "StartError", now, now, f"runc://{id}", said)
            self._observe(after_end(one, end))
            await self._tell("Failed", f"Error: {said}", name, warning=True)
            return
        self.containers[name] = started
        self._observe(after_start(one, f"runc://{id}", image.id, started.started_at))
        self._later(self._tell("Created", f"Created container {name}", name))
        self._later(self._tell("Started", f"Started container {name}", name))
        started.exit.add_done_callback(lambda exit: self._ended(name, started, exit.result()))
        older = self.log_path(name, self._observed[name].restart_count - 2)
        older.unlink(missing_ok=True)
        self._begin_probing(name, container)
        if hook := (container.get("lifecycle") or {}).get("postStart"):
            await self._unless_it_goes(self._post_start(name, hook))

    async def _image(self, container: Object) -> Image | None:
        """None if the pod is to go while its image is still on the way."""

        def tell(reason: str, message: str) -> None:
            self._later(self._tell(reason, message, container["name"]))

        parts = self._parts
        finding = asyncio.ensure_future(
            container_image(parts.images, parts.resources, self.pod, container, tell)
        )
        going = asyncio.ensure_future(self._goes.wait())
        try:
            await asyncio.wait((finding, going), return_when=asyncio.FIRST_COMPLETED)
            return finding.result() if finding.done() else None
        finally:
            finding.cancel()
            going.cancel()

    async def _pull_failed(self, one: ContainerObservation, image: str, problem: Exception) -> None:
        observation, events = pull_failure(one, image, problem, self._parts.now())
        self._observe(observation)
        for reason, message in events:
            await self._tell(reason, message, one.name, warning=True)

    def _ended(self, name: str, container: Container, exit: ContainerExit) -> None:
        if (probing := self._probing.pop(name, None)) is not None:
            probing.stop()
        reason = "OOMKilled" if exit.out_of_memory else "Error" if exit.code else "Completed"
        run = self._observed[name].restart_count
        message = self._files.termination_message(self._spec_of(name), exit.code, run)
        end = Terminated(
            exit.code,
            reason,
            exit.started_at,
            exit.finished_at,
            f"runc://{container.id}",
            message,
            exit.signal,
        )
        self._observe(after_end(self._observed[name], end))
        self.containers.pop(name, None)
        self._later(self._parts.runtime.remove(container))
        self._wake.set()

    def _begin_probing(self, name: str, container: Object) -> None:
        probing = ContainerProbing(
            container,
            self._access(),
            on_change=lambda: self._probed(name),
            on_failure=lambda kind, said: self._probe_failed(name, kind, said),
            on_unhealthy=lambda kind: self._unhealthy(name, kind),
        )
        self._probing[name] = probing
        probing.start()
        self._probed(name)

    def _probed(self, name: str) -> None:
        probing, one = self._probing.get(name), self._observed[name]
        if probing is not None and one.running:
            self._observe(msgspec.structs.replace(one, started=probing.started, ready=probing.ready))
            self._wake.set()

    async def _probe_failed(self, name: str, kind: str, said: str) -> None:
        await self._tell("Unhealthy", f"{kind} probe failed: {said}", name, warning=True)

    async def _unhealthy(self, name: str, kind: str) -> None:
        message = f"Container {name} failed {kind.lower()} probe, will be restarted"
        await self._tell("Killing", message, name)
        self._later(self._stopping.stop(name, self._probe_grace(name, kind)))

    def _probe_grace(self, name: str, kind: str) -> float:
        probe = self._spec_of(name).get(f"{kind.lower()}Probe") or {}
        return float(probe.get("terminationGracePeriodSeconds", self._grace()))

    async def _unless_it_goes(self, hook: Coroutine[Any, Any, None]) -> None:
        """The next container starts once the hook of the one before is done; a pod's end does not wait."""
        running = self._later(hook)
        going = asyncio.ensure_future(self._goes.wait())
        await asyncio.wait((running, going), return_when=asyncio.FIRST_COMPLETED)
        going.cancel()

    async def _post_start(self, name: str, hook: Object) -> None:
        if problem := await run_hook(hook, self._spec_of(name), self._access()):
            await self._tell("FailedPostStartHook", f"PostStartHook failed: {problem}", name, warning=True)
            await self._stopping.stop(name, self._grace())

    # The end

    async def _finish(self) -> None:
        """Nothing will be started again: end sidecars, then give the namespaces back."""
        await self._stop_containers(self._grace())
        self._finished = True
        await self._say_status(finished=True)
        await self._namespaces.drop()

    async def _be_left_alone(self) -> None:
        """Services stop sending connections here before anything is told to end; not for long, though."""
        if self.containers and not self._removed and not self.pod["spec"].get("hostNetwork"):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(_LEFT_ALONE_S, self._grace())):
                    await self._parts.left_alone(self._place.pod_ips)

    async def _stop_containers(self, grace: float) -> None:
        groups = stop_order(self.pod["spec"], self._observed)
        for name in (name for group in groups for name in group):
            self._later(self._tell("Killing", f"Stopping container {name}", name))
        await self._stopping.stop_groups(groups, grace)

    async def _pre_stop(self, name: str) -> None:
        hook = (self._spec_of(name).get("lifecycle") or {}).get("preStop")
        if hook and (problem := await run_hook(hook, self._spec_of(name), self._access())):
            await self._tell("FailedPreStopHook", f"PreStopHook failed: {problem}", name, warning=True)

    def _grace(self) -> float:
        asked = self.pod["metadata"].get("deletionGracePeriodSeconds")
        return float(
            asked if asked is not None else self.pod["spec"].get("terminationGracePeriodSeconds", 30)
        )

    async def _delete_from_api(self) -> None:
        metadata = self.pod["metadata"]
        with contextlib.suppress(ApiError):
            await self._parts.resources.delete(
                PODS, metadata["namespace"], metadata["name"], grace_seconds=0, uid=metadata["uid"]
            )

    # Telling

    async def _say_status(self, *, finished: bool = False) -> None:
        over = finished and not any(one.running for one in self._observed.values())
        status = pod_status(
            self.pod,
            self._observed,
            self._place,
            self._parts.now(),
            finished=over,
            cut_short=self._cut_short,
        )
        in_doubt = self.pod.get("status", {}).get("conditions") != self._conditions
        if self._removed or (status == self._told and not in_doubt):
            return
        metadata = self.pod["metadata"]
        try:
            self.pod = await self._parts.resources.patch(
                PODS, metadata["namespace"], metadata["name"], {"status": status}, subresource="status"
            )
            self._told, self._conditions = status, self.pod.get("status", {}).get("conditions")
        except ApiError as problem:
            if problem.code != 404:
                raise

    async def _tell(self, reason: str, message: str, container: str, *, warning: bool = False) -> None:
        part = self._part(container)
        await self._parts.events.tell(self.pod, reason, message, warning=warning, part=part)

    def _observe(self, one: ContainerObservation) -> None:
        self._observed[one.name] = one

    def _later(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def _facts(self) -> PodFacts:
        capacity = self._parts.capacity
        return PodFacts(self._place.pod_ips, self._place.host_ips[:1], capacity["cpu"], capacity["memory"])

    def _access(self) -> PodAccess:
        return PodAccess(
            self._place.pod_ips[0] if self._place.pod_ips else "127.0.0.1",
            self._parts.runtime,
            self.containers,
        )

    def _spec_of(self, name: str) -> Object:
        spec = self.pod["spec"]
        every = (*spec["containers"], *(spec.get("initContainers") or ()))
        found: Object = next(container for container in every if container["name"] == name)
        return found

    def _part(self, name: str) -> str:
        inits = self.pod["spec"].get("initContainers") or ()
        kind = "initContainers" if any(one["name"] == name for one in inits) else "containers"
        return f"spec.{kind}{{{name}}}"


def _version(pod: Object) -> int:
    return int(pod["metadata"].get("resourceVersion") or 0)


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{seconds}s"
