"""`python run_one.py AGENT DIRECTORY NAME PORT COMMAND…`: one run, with settings from the environment."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from pellucid.dataplane.run.agent_api import AgentAddress
from pellucid.dataplane.run.settings import WorkloadSettings
from pellucid.dataplane.run.supervisor import run_workload

if __name__ == "__main__":
    agent, directory, name, port, *command = sys.argv[1:]
    settings = WorkloadSettings(
        command=tuple(command),
        service=name,
        port=int(port),
        agent=AgentAddress(address=agent),
        runtime_directory=Path(directory),
        uplink="WITH_UPLINK" in os.environ,
        user=os.environ.get("AS_USER", ""),
        dns_address=os.environ.get("DNS_ADDRESS", "127.0.0.1:1"),
    )
    sys.exit(asyncio.run(run_workload(settings)))
