"""`python outside.py ADDRESS,… COMMAND…`: the command as a host outside the mesh, at these addresses."""

from __future__ import annotations

import asyncio
import sys
from ipaddress import ip_address

from pellucid.dataplane.run.outside import run_outside

if __name__ == "__main__":
    addresses, *command = sys.argv[1:]
    sys.exit(asyncio.run(run_outside(command, [ip_address(each) for each in addresses.split(",")])))
