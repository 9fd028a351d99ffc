"""`wrk`, which loads an HTTP server from C: https://github.com/wg/wrk."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_BAD = re.compile(r"Non-2xx or 3xx responses: (\d+)")


def available() -> bool:
    """True if there is one, or root could install it."""
    if shutil.which("wrk") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (("update",), ("install", "-y", "--no-install-recommends", "wrk")):
            subprocess.run(["apt-get", "-qq", *words], env=environment, check=False, capture_output=True)
    return shutil.which("wrk") is not None


def requests_per_second(url: str, *, connections: int, seconds: int) -> float:
    """What one thread of wrk gets answered. Raises ValueError if answers were not 200s."""
    command = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}s", url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    bad, rate = _BAD.search(said), _RATE.search(said)
    if bad is not None or rate is None:
        raise ValueError(f"wrk {url}: {bad.group() if bad else said}")
    return float(rate.group(1))
