"""The mesh on the local cluster: what a sidecar costs a pod, and how soon an intention is felt in one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from bench.cluster import Cluster, proportional_bytes, running
from bench.figures import Figure
from bench.plan import Plan
from bench.pod_processes import ENVOY, SIDECAR, only
from bench.programs import program

NAME = "kubernetes"
STARTS = 5
QUICK_STARTS = 2
EFFECTS = 5
_INJECTED = "consul.hashicorp.com/connect-inject=true"


def measure(plan: Plan) -> Iterator[Figure]:
    """Install, start pods one by one, deny and allow."""
    if plan.peer:
        return
    plan.say(NAME)
    with running(plan.program) as cluster:
        began = time.monotonic()
        cluster.install_mesh(plan.program)
        yield Figure(NAME, "", "helm install --wait", time.monotonic() - began, "s")
        yield from _starts(cluster, QUICK_STARTS if plan.quick else STARTS)
        yield from _effects(cluster, plan)


def _starts(cluster: Cluster, count: int) -> Iterator[Figure]:
    """One pod at a time, created until Ready, by the clock of whoever waits."""
    for conditions, annotation in (("plain pod", ""), ("pod with a sidecar", f"--annotations={_INJECTED}")):
        taken = []
        for _ in range(count):
            began = time.monotonic()
            further = [annotation] if annotation else []
            cluster.kubectl("run", "single", "--image=pause", "--restart=Never", *further)
            cluster.kubectl("wait", "--for=condition=Ready", "pod/single", "--timeout=60s")
            taken.append(time.monotonic() - began)
            if annotation and len(taken) == count:
                yield from _sidecar_memory()
            cluster.kubectl("delete", "pod", "single", "--now")
        yield Figure(
            NAME, conditions, "create to Ready: median", statistics.median(taken), "s", samples=tuple(taken)
        )


def _sidecar_memory() -> Iterator[Figure]:
    for what, mark in (("Envoy", ENVOY), ("sidecar process", SIDECAR)):
        yield Figure(NAME, "one pod", f"memory of its {what}", proportional_bytes(only(mark)) / 2**20, "MiB")


def _effects(cluster: Cluster, plan: Plan) -> Iterator[Figure]:
    """From the start of `intention create` to the first socket that feels it, in a pod that calls on."""
    cluster.kubectl("apply", "-f", "-", text=_CALLED)
    cluster.kubectl("rollout", "status", "deployment/called", "--timeout=90s")
    cluster.kubectl("wait", "--for=condition=Ready", "pod/caller", "--timeout=90s")
    kubectl = cluster.kubectl_path
    forward = (kubectl, "port-forward", "consul-consul-server-0", "18500:8500")
    calls = (kubectl, "exec", "caller", "-c", "caller", "--", "python3", "-u", "-c", _CALLS)
    environment = cluster.environment
    with (
        program(*forward, environment=environment) as tunnel,
        program(*calls, environment=environment) as caller,
    ):
        tunnel.wait_for(lambda line: line.startswith("Forwarding"))
        caller.wait_for(lambda line: line == "ok", seconds=30)
        taken: dict[str, list[float]] = {"deny": [], "allow": []}
        for _ in range(EFFECTS):
            for action, wanted in (("deny", "no"), ("allow", "ok")):
                began = time.monotonic()
                flags = ("-deny",) if action == "deny" else ()
                words = ("intention", "create", "-replace", "-http-addr=127.0.0.1:18500", *flags)
                cluster.run(*plan.program, *words, "caller", "called")
                felt = caller.wait_for(lambda line, wanted=wanted: line == wanted, after=began)  # type: ignore[misc]
                taken[action].append((felt.at - began) * 1000)
                time.sleep(0.5)
        for action, samples in taken.items():
            median = statistics.median(samples)
            what = f"{action}: command to its effect at the client's socket, median"
            yield Figure(NAME, "", what, median, "ms", samples=tuple(samples))


_CALLS = """
import time, urllib.request
while True:
    try:
        urllib.request.urlopen("http://called:8080/hello", timeout=2).read()
        print("ok")
    except Exception:
        print("no")
    time.sleep(0.02)
"""
_CALLED = """
apiVersion: v1
kind: Service
metadata: {name: called}
spec: {selector: {app: called}, ports: [{port: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: called}
spec:
  selector: {matchLabels: {app: called}}
  template:
    metadata:
      labels: {app: called}
      annotations: {consul.hashicorp.com/connect-inject: "true"}
    spec:
      containers: [{name: called, image: "freddygv/hello-http:v0.2.2", ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Pod
metadata:
  name: caller
  annotations: {consul.hashicorp.com/connect-inject: "true"}
spec:
  containers: [{name: caller, image: "python:3", command: [sleep, infinity]}]
"""
