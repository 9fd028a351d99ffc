"""What the Envoys of pods say, asked with kubectl as anyone may.

A pod is named as kubectl takes it: by its name, or as `deployment/name`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from pellucid.demo.stage import DidNotHappen, Stage

_ADMIN = "http://127.0.0.1:19000"
_ASK = "import sys, urllib.request as http; print(http.urlopen(sys.argv[1]).read().decode())"
"""The sidecar's image has Python, and no other program that could ask."""


def counters(stage: Stage, pod: str, pattern: str) -> dict[str, int]:
    """The counters of a pod's sidecar whose names match, such as `ssl.handshake`."""
    found = {}
    for line in _admin(stage, pod, f"/stats?filter={pattern}").splitlines():
        name, _, value = line.rpartition(": ")
        if value.isdigit():
            found[name] = int(value)
    return found


def endpoints(stage: Stage, pod: str, service: str) -> tuple[str, ...]:
    """The addresses to which a pod's sidecar sends what is meant for a service."""
    lines = _admin(stage, pod, "/clusters").splitlines()
    fields = [line.split("::") for line in lines if line.startswith(f"{service}.default.")]
    return tuple(sorted({field[1] for field in fields if len(field) == 4 and field[2] == "cx_active"}))


def listeners_changed(stage: Stage, pod: str) -> float:
    """When a pod's Envoy last took a listener, and with it whom it lets in: seconds since the epoch."""
    dump = json.loads(_admin(stage, pod, "/config_dump?resource=dynamic_listeners"))
    taken = (each["active_state"]["last_updated"] for each in dump["configs"] if "active_state" in each)
    return max(datetime.fromisoformat(at).timestamp() for at in taken)


def until(look: Callable[[], object], seconds: float = 10.0) -> None:
    """Look again until something is seen. Raises DidNotHappen."""
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise DidNotHappen(f"not seen within {seconds:.0f} seconds")
        time.sleep(0.1)


def as_text(whose: str, counted: Mapping[str, int]) -> str:
    """Counters as lines for a reader."""
    return "\n".join(f"{whose}  {name}: {value}" for name, value in counted.items())


def _admin(stage: Stage, pod: str, path: str) -> str:
    command = f"kubectl exec {pod} -c envoy-sidecar -- python3 -c '{_ASK}' '{_ADMIN}{path}'"
    done = stage.ask(command)
    if done.returncode != 0:
        raise DidNotHappen(f"{command} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout
