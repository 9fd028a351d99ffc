"""`python outside_one.py DIRECTORY ADDRESS,… COMMAND…`: a stand-in for hosts outside."""

from __future__ import annotations

import asyncio
import sys
from ipaddress import ip_address
from pathlib import Path

from pellucid.dataplane.run.outside import run_outside

if __name__ == "__main__":
    directory, addresses, *command = sys.argv[1:]
    sys.exit(
        asyncio.run(run_outside(command, [ip_address(a) for a in addresses.split(",")], Path(directory)))
    )
