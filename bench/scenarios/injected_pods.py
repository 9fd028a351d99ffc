"""Many pods with sidecars at once: how long until the last one is Ready, and what that and they cost.

The workloads do nothing, so that what is measured is the mesh's, and the local cluster's.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping

from bench.cluster import Cluster, proportional_bytes, running
from bench.figures import Figure
from bench.plan import Plan
from bench.pod_processes import ENVOY, INJECTOR, SERVER, SIDECAR, cpu_seconds, found, only
from bench.programs import program
from bench.server import BenchError
from pellucid.demo.stage import DidNotHappen

NAME = "injected-pods"
PODS, QUICK_PODS = 200, 20
PATIENCE_SECONDS = 300.0
PROGRESS_SECONDS = 5.0
REST_SECONDS = 10.0
WEIGHED = 20
"""About so many pods, older and newer ones, are looked at for what one weighs."""


def measure(plan: Plan) -> Iterator[Figure]:
    """Install the mesh, start the pods, let them rest, end them."""
    if plan.peer:
        return
    plan.say(NAME)
    count = QUICK_PODS if plan.quick else PODS
    conditions = f"{count} pods with sidecars"
    with running(plan.program) as cluster:
        cluster.install_mesh(plan.program)
        control_plane = {
            "server": only(SERVER),
            "injector": only(INJECTOR),
            "local cluster": cluster.server_process(),
        }
        before = _used(control_plane)
        began = time.monotonic()
        cluster.kubectl("apply", "-f", "-", text=_DEPLOYMENT.format(count=count))
        _wait_for_all(cluster, plan, count)
        taken = time.monotonic() - began
        yield Figure(NAME, conditions, "apply to the last one Ready", taken, "s")
        yield from _control_plane(conditions, control_plane, before)
        yield from _one_pod(f"one of {count} pods")
        yield from _at_rest(f"{conditions}, at rest", control_plane)
        began = time.monotonic()
        cluster.kubectl("delete", "deployment", "many")
        cluster.kubectl("wait", "--for=delete", "pod", "-l", "app=many", "--timeout=120s")
        yield Figure(NAME, conditions, "delete to the last one gone", time.monotonic() - began, "s")


def _wait_for_all(cluster: Cluster, plan: Plan, count: int) -> None:
    """Telling now and then how far it is. Raises BenchError when it takes too long."""
    began = told_at = time.monotonic()
    said = "no pod is Ready"

    def is_over(line: str) -> bool:
        nonlocal told_at, said
        said = line
        now = time.monotonic()
        if now - told_at >= PROGRESS_SECONDS:
            told_at = now
            plan.say(f"{NAME}, after {now - began:.0f} s: {line}")
        return "successfully rolled out" in line

    rollout = (cluster.kubectl_path, "rollout", "status", "deployment/many")
    with program(*rollout, environment=cluster.environment) as status:
        try:
            status.wait_for(is_over, seconds=PATIENCE_SECONDS)
        except DidNotHappen:
            raise BenchError(f"not all of {count} pods within {PATIENCE_SECONDS:.0f} s: {said}") from None


def _used(processes: Mapping[str, int]) -> dict[str, float]:
    return {name: cpu_seconds(pid, children=True) for name, pid in processes.items()}


def _control_plane(
    conditions: str, processes: Mapping[str, int], before: Mapping[str, float]
) -> Iterator[Figure]:
    for name, used in _used(processes).items():
        yield Figure(NAME, conditions, f"{name}: CPU", used - before[name], "s")
        memory = proportional_bytes(processes[name]) / 2**20
        yield Figure(NAME, conditions, f"{name}: memory", memory, "MiB")


def _one_pod(conditions: str) -> Iterator[Figure]:
    for name, mark in (("Envoy", ENVOY), ("sidecar process", SIDECAR)):
        pids = found(mark)
        pids = pids[:: max(1, len(pids) // WEIGHED)]
        used = tuple(cpu_seconds(pid) * 1000 for pid in pids)
        weights = tuple(proportional_bytes(pid) / 2**20 for pid in pids)
        yield Figure(
            NAME, conditions, f"{name}: CPU until Ready", statistics.median(used), "ms", samples=used
        )
        what = f"{name}: memory, shared pages counted in part"
        yield Figure(NAME, conditions, what, statistics.median(weights), "MiB", samples=weights)


def _at_rest(conditions: str, control_plane: Mapping[str, int]) -> Iterator[Figure]:
    """CPU over some seconds, as a share of one core."""
    parts = {name: [pid] for name, pid in control_plane.items()}
    parts |= {"all Envoys": found(ENVOY), "all sidecar processes": found(SIDECAR)}
    before = {name: sum(map(cpu_seconds, pids)) for name, pids in parts.items()}
    time.sleep(REST_SECONDS)
    for name, pids in parts.items():
        share = (sum(map(cpu_seconds, pids)) - before[name]) / REST_SECONDS
        yield Figure(NAME, conditions, f"{name}: CPU", 100 * share, "% of a core")


_DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: many}}
spec:
  replicas: {count}
  selector: {{matchLabels: {{app: many}}}}
  template:
    metadata:
      labels: {{app: many}}
      annotations: {{consul.hashicorp.com/connect-inject: "true"}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{{name: pause, image: "registry.k8s.io/pause:3.9"}}]
"""
