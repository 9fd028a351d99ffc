"""A workload's registration at its agent, as long as it lasts, and the reports on its health."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pellucid.dataplane.namespace.fabric_addresses import FabricPlace
from pellucid.dataplane.namespace.listening import is_listening
from pellucid.dataplane.namespace.workload_namespace import WorkloadNamespace
from pellucid.dataplane.redirect_settings import InvalidSettingError
from pellucid.dataplane.run.agent_api import (
    AgentError,
    AgentRefusedError,
    call,
    deregister_service,
    register_service,
    update_check,
)
from pellucid.dataplane.run.guardian import Orders
from pellucid.dataplane.run.guarding import Guardian
from pellucid.dataplane.run.service_definition import TTL_S, service_definition, workload_ids
from pellucid.dataplane.run.settings import WorkloadSettings
from pellucid.dataplane.run.sidecar import WorkloadSidecar

_LOOK_EVERY_S = 0.1
_REPORT_EVERY_S = TTL_S / 3


class WorkloadRegistration:
    def __init__(self, settings: WorkloadSettings, place: FabricPlace, guardian: Guardian) -> None:
        self._settings = settings
        self._place = place
        self._guardian = guardian
        self._registered = False
        self._complained = False
        self.ids = workload_ids(settings, place)

    async def enter(self) -> str:
        """Register; returns the workload's credential, "" if the agent gives none.

        Raises AgentError; InvalidSettingError when the id belongs to somebody who is alive.
        """
        await asyncio.to_thread(self._refuse_an_id_in_use)
        # The guardian knows before the agent does: there is no moment in which nobody would clean up.
        order = Orders(self._settings.agent, (self.ids.proxy, self.ids.service))
        await self._guardian.order(order)
        self._registered = True
        body = service_definition(self._settings, self._place)
        return await asyncio.to_thread(register_service, self._settings.agent, body)

    def _refuse_an_id_in_use(self) -> None:
        """What a killed run left behind may be replaced; its sidecar's check has failed by then."""
        if self.ids.service not in call(self._settings.agent, "GET", "/v1/agent/services").json():
            return
        checks = call(self._settings.agent, "GET", "/v1/agent/checks").json()
        if checks.get(self.ids.proxy_check, {}).get("Status") != "critical":
            expected = "an id (-id) that no running service has, or end that one first"
            raise InvalidSettingError("id", self.ids.service, expected)

    async def withdraw(self) -> None:
        """Deregister; if the agent does not answer, the guardian goes on trying."""
        if not self._registered:
            return
        self._registered = False
        try:
            for service_id in (self.ids.proxy, self.ids.service):
                await asyncio.to_thread(deregister_service, self._settings.agent, service_id)
        except AgentError:
            return
        await self._guardian.at_ease()

    @asynccontextmanager
    async def kept_informed(
        self, namespace: WorkloadNamespace, sidecar: WorkloadSidecar
    ) -> AsyncIterator[None]:
        """Report health, at every change and well within the TTL."""
        reporting = asyncio.create_task(self._keep_reporting(namespace.pid, sidecar))
        try:
            yield
        finally:
            reporting.cancel()

    async def _keep_reporting(self, pid: int, sidecar: WorkloadSidecar) -> None:
        port = self._settings.port
        reported: dict[str, bool] = {}
        since_report_s = 0.0
        while self._registered:
            listens = not port or is_listening(pid, port)
            seen = {self.ids.proxy_check: sidecar.is_serving, self.ids.service_check: listens}
            if seen != reported or since_report_s >= _REPORT_EVERY_S:
                reported = seen if await self._report(seen) else {}
                since_report_s = 0.0
            await asyncio.sleep(_LOOK_EVERY_S)
            since_report_s += _LOOK_EVERY_S

    async def _report(self, seen: dict[str, bool]) -> bool:
        """Whether the agent took it; one that is restarting is told again soon."""
        try:
            for check, passing in seen.items():
                status, output = ("passing", "listening") if passing else ("critical", "not listening")
                await asyncio.to_thread(update_check, self._settings.agent, check, status, output)
        except AgentRefusedError as refusal:
            self._complain_once(refusal)
            return False
        except AgentError:
            return False
        return True

    def _complain_once(self, refusal: AgentRefusedError) -> None:
        if not self._complained:
            self._complained = True
            advice = "if it was restarted without its data, end this run and start it again"
            print(f"pellucid run: {refusal}; {advice}", file=sys.stderr)
