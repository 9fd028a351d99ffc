"""How every demo begins and ends: what it needs is there, what it made is gone, the exit code is honest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable

from pellucid.demo.evidence import NoEnvoy
from pellucid.demo.stage import DidNotHappen
from pellucid.demo.telling import Telling
from pellucid.demo.toolbox import NoTool
from pellucid.demo.traces import traces

_NEEDS = (("iptables", "iptables"), ("ip", "iproute2"), ("curl", "curl"), ("runc", "runc"))


def told(telling: Telling, tell: Callable[[], None], *, keep: bool = False) -> int:
    """Tell a story; returns 0 if every step did what it says. keep: what it made may stay."""
    problem = _missing()
    if problem:
        print(f"pellucid demo: {problem}", file=sys.stderr)
        return 1
    before = traces()
    try:
        tell()
    except (DidNotHappen, NoEnvoy, NoTool, subprocess.CalledProcessError) as failure:
        telling.saw(f"this did not happen: {failure}", true=False)
    except KeyboardInterrupt:
        print("\ninterrupted; everything the demo made has been removed")
        return 130
    if not keep:
        _show_what_is_left(telling, traces() - before)
    print(f"\n{'Some steps failed.' if telling.failed else 'Every step did what it says.'}")
    return 1 if telling.failed else 0


def _show_what_is_left(telling: Telling, left: frozenset[str]) -> None:
    telling.step("Afterwards")
    telling.saw("no process, namespace, mount, interface or firewall rule is left", true=not left)
    for trace in sorted(left):
        telling.output(trace)


def _missing() -> str:
    if os.geteuid() != 0:
        return "needs root, to make network namespaces for the programs; run it again with sudo"
    for binary, package in _NEEDS:
        if shutil.which(binary, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            return f"needs {binary}; on Debian: apt-get install -y {package}"
    return ""
