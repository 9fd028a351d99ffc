"""One running agent: every room assembled from one configuration, started and stopped in order.

    log -> engine -> certificates -> own node and file definitions -> health checks -> xDS -> DNS -> HTTP

Doors open last, so that nobody is answered before there is something to say; stopping goes the other way.
One task group owns every long-lived task: if one of them fails, the agent ends and says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from random import SystemRandom
from typing import Any

import uvloop

from pellucid import __version__
from pellucid.agent import garbage_collection, log_output
from pellucid.agent.admission import XdsAdmission
from pellucid.agent.as_pod import AsPod
from pellucid.agent.certificates import Certificates
from pellucid.agent.configuration import AgentConfiguration, reloaded
from pellucid.agent.configuration_sources import ConfigurationError
from pellucid.agent.file_definitions import defined_changes, undefined_changes
from pellucid.agent.health_checks import HealthChecks
from pellucid.agent.listening import (
    ConfiguredCertificate,
    ServerCertificate,
    bind_dns,
    open_http,
    open_xds,
)
from pellucid.agent.measurements import Measurements
from pellucid.agent.own_node import node_id, own_node_changes
from pellucid.agent.room_settings import (
    agent_identity,
    dns_settings,
    health_settings,
    http_settings,
    mesh_dns_settings,
    own_node,
)
from pellucid.api.app import App
from pellucid.api.connection import Limits
from pellucid.api.context import ApiContext
from pellucid.api.response import HttpError
from pellucid.api.server import HttpServer
from pellucid.derive.engine import Engine
from pellucid.derive.identity import LOCAL_DATACENTER
from pellucid.derive.intentions import INTENTION_DEFAULT
from pellucid.dns.mesh_view import MeshView
from pellucid.dns.server import DnsServer
from pellucid.identity.rotation import CaConfigurationError
from pellucid.rules.intentions import DefaultPolicy
from pellucid.state.log import Log, MemoryEngine, StorageError
from pellucid.state.mesh_tables import MESH_TABLES
from pellucid.state.sqlite import SqliteEngine
from pellucid.xds.configuration import refs, resource
from pellucid.xds.server import AdsServer
from pellucid.xds.topics import Topics

logger = logging.getLogger(__name__)

READY = "==> Pellucid agent running!"
"""Printed once every door is open."""

STOP_SECONDS = 1.5
"""What open streams and requests get to end by themselves."""

Reread = Callable[[], AgentConfiguration]


def run(configuration: AgentConfiguration, reread: Reread | None = None) -> int:
    """Run an agent until it is told to stop; returns the process' exit code.

    reread: reads the configuration anew for a reload; without it a reload changes nothing.
    """
    try:
        log_output.set_up(configuration.logging)
        uvloop.run(Agent(configuration, reread).serve())
    except (ConfigurationError, StorageError, CaConfigurationError) as error:
        print(f"==> {error}", file=sys.stderr)
        return 1
    return 0


class Agent:
    """An agent from its first to its last moment."""

    def __init__(self, configuration: AgentConfiguration, reread: Reread | None = None) -> None:
        self.configuration = configuration
        self._reread = reread or (lambda: configuration)
        self._stop = asyncio.Event()
        self._node_id = node_id(configuration)
        tls = configuration.tls
        self._certificate: ServerCertificate | None = ConfiguredCertificate(tls) if tls.cert_file else None

    async def serve(self) -> None:
        """Start, serve until told to stop, stop. Raises ConfigurationError, StorageError."""
        configuration = self.configuration
        async with contextlib.AsyncExitStack() as stack:
            log = Log(_engine_of(configuration))
            stack.push_async_callback(log.close)
            engine = self._engine_over(log)
            certificates = await Certificates.open(
                log, engine, configuration.datacenter, configuration.connect.ca_config or None
            )
            stack.callback(certificates.close)
            self._log = log
            as_pod = await self._as_pod(log, stack)
            await log.commit(own_node_changes(own_node(configuration, self._node_id)))
            await log.commit(defined_changes(configuration, log.head))
            self._health = HealthChecks(log, engine, configuration.node_name, health_settings(configuration))
            ads = AdsServer(Topics(engine, refs, resource), XdsAdmission(engine))
            open_xds(ads, configuration, self._certificate, certificates)
            self._dns = DnsServer(MeshView(engine), dns_settings(configuration))
            self._mesh_dns = DnsServer(MeshView(engine), mesh_dns_settings(configuration))
            dns_listeners = bind_dns("DNS", configuration.listeners.dns)
            mesh_dns_listeners = bind_dns(
                "mesh DNS (pellucid.mesh_dns_port)", configuration.listeners.mesh_dns
            )
            self._api = self._api_context(log, engine, certificates, ads, as_pod)
            app = App(self._api, SystemRandom())
            http = HttpServer(
                app, Limits(connections_per_client=configuration.http.max_connections_per_client)
            )
            await open_http(http, configuration, self._certificate)
            await ads.start()
            _write_pid_file(configuration.pid_file)
            work = {
                "engine": engine.run(),
                "certificates": certificates.run(),
                "health checks": self._health.run(),
                "dns": self._dns.serve(dns_listeners),
                "mesh dns": self._mesh_dns.serve(mesh_dns_listeners),
                **as_pod.work,
            }
            await self._until_stopped(work, app, http, ads)

    async def _as_pod(self, log: Log, stack: contextlib.AsyncExitStack) -> AsPod:
        """What the agent is and does besides, where it is a pod. Raises ConfigurationError outside one."""
        if not self.configuration.kubernetes.enabled:
            return AsPod()
        from pellucid.agent.kubernetes.pod import open_as_pod

        as_pod = await open_as_pod(self.configuration, log, stack)
        self._certificate = self._certificate or as_pod.certificate
        return as_pod

    async def _until_stopped(
        self, work: Mapping[str, Coroutine[Any, Any, None]], app: App, http: HttpServer, ads: AdsServer
    ) -> None:
        """Do the work, by name, until told to stop; then close the doors, and end the work last."""
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(each, name=name) for name, each in work.items()]
            with self._signals(tasks):
                garbage_collection.settle()
                self._announce()
                await self._stop.wait()
            logger.info("stopping")
            app.stop()
            await asyncio.gather(http.stop(STOP_SECONDS), ads.stop(STOP_SECONDS))
            for task in running:
                task.cancel()

    def stop(self) -> None:
        """Ask the agent to end."""
        self._stop.set()

    async def reload(self) -> None:
        """Read the configuration anew and take over what may change while running.

        Raises ConfigurationError and StorageError, and then the mesh is as it was.
        """
        wanted = reloaded(self.configuration, self._reread())
        changes = (
            *own_node_changes(own_node(wanted, self._node_id)),
            *undefined_changes(wanted, self._log.head),
            *defined_changes(wanted, self._log.head),
        )
        if self._certificate:
            self._certificate.renew()
        log_output.set_up(wanted.logging)
        await self._log.commit(changes)
        self.configuration = wanted
        self._api.settings = http_settings(wanted)
        self._health.reload(health_settings(wanted))
        self._dns.reload(dns_settings(wanted))
        self._mesh_dns.reload(mesh_dns_settings(wanted))
        for warning in wanted.warnings:
            logger.warning(warning)
        logger.info("configuration reloaded")

    def _engine_over(self, log: Log) -> Engine:
        engine = Engine(log.snapshot())
        engine.set_cell(LOCAL_DATACENTER, self.configuration.datacenter)
        engine.set_cell(INTENTION_DEFAULT, DefaultPolicy(self.configuration.connect.intention_default))
        log.listen(engine.apply)
        return engine

    def _api_context(
        self, log: Log, engine: Engine, certificates: Certificates, ads: AdsServer, as_pod: AsPod
    ) -> ApiContext:
        configuration = self.configuration
        return ApiContext(
            log=log,
            engine=engine,
            agent=agent_identity(configuration, self._node_id),
            leaf_of=certificates.leaf,
            now=time.time,
            new_id=lambda: str(uuid.uuid4()),
            settings=http_settings(configuration),
            tokens=as_pod.tokens,
            metrics=Measurements(log, engine, ads, configuration.telemetry.metrics_prefix),
            ttl_checks=self._health,
            reload=self._reload_over_http,
            leave=self._leave,
            log_lines=log_output.lines,
        )

    async def _leave(self) -> None:
        self.stop()

    def _announce(self) -> None:
        configuration = self.configuration
        where = configuration.listeners
        doors = {
            "HTTP": where.http,
            "HTTPS": where.https,
            "xDS": where.grpc,
            "DNS": where.dns,
            "mesh DNS": where.mesh_dns,
        }
        shown = ", ".join(
            f"{name}: {', '.join(map(str, places))}" for name, places in doors.items() if places
        )
        print("==> Starting Pellucid agent...")
        print(f"           Version: '{__version__}' (speaks Consul 1.10)")
        print(f"           Node ID: '{self._node_id}'")
        print(f"         Node name: '{configuration.node_name}'")
        print(f"        Datacenter: '{configuration.datacenter}'")
        print(f"              Data: {configuration.data_dir or 'in memory only'}")
        print(f"            Listen: {shown}")
        print(READY, flush=True)
        for warning in configuration.warnings:
            logger.warning(warning)

    @contextlib.contextmanager
    def _signals(self, tasks: asyncio.TaskGroup) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        loop.add_signal_handler(signal.SIGINT, self.stop)
        loop.add_signal_handler(signal.SIGHUP, lambda: tasks.create_task(self._reload_or_say_why()))
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)

    async def _reload_over_http(self) -> None:
        try:
            await self.reload()
        except ConfigurationError as error:
            raise HttpError(500, str(error)) from error

    async def _reload_or_say_why(self) -> None:
        try:
            await self.reload()
        except (ConfigurationError, StorageError) as error:
            logger.error("the configuration was not reloaded: %s", error)


def _engine_of(configuration: AgentConfiguration) -> MemoryEngine | SqliteEngine:
    if not configuration.data_dir:
        return MemoryEngine()
    return SqliteEngine(Path(configuration.data_dir), MESH_TABLES)


def _write_pid_file(file: str) -> None:
    if file:
        try:
            Path(file).write_text(f"{os.getpid()}\n")
        except OSError as error:
            raise ConfigurationError(f"pid_file: cannot write {file}: {error.strerror}") from error
