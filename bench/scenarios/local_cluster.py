"""The local cluster: how soon it is there, how soon pods run, what its API carries, what it weighs."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator

from bench.cluster import NAME as CLUSTER
from bench.cluster import Cluster, running
from bench.figures import Figure
from bench.load.kubernetes_api import Connection, config_map, fan_out
from bench.plan import Plan

NAME = "cluster"
PODS = (1, 50)
QUICK_PODS = (1, 10)
OBJECTS = 1_000
WATCHERS = 200
ROUNDS = 10
SECONDS = 3.0


def measure(plan: Plan) -> Iterator[Figure]:
    """Create, idle, pods, API."""
    if plan.peer:
        return
    plan.say(NAME)
    began = time.monotonic()
    with running(plan.program) as cluster:
        cluster.kubectl("wait", "--for=condition=Ready", f"node/{CLUSTER}-control-plane", "--timeout=60s")
        yield Figure(NAME, "", "create to Ready", time.monotonic() - began, "s")
        time.sleep(SECONDS)
        yield Figure(NAME, "no pods", "idle memory", cluster.resident_bytes() / 2**20, "MiB")
        for count in QUICK_PODS if plan.quick else PODS:
            yield _pods(cluster, count)
        yield from _api(cluster)


def _pods(cluster: Cluster, count: int) -> Figure:
    """From `kubectl apply` until the last pod is Ready, by the clock of whoever waits."""
    began = time.monotonic()
    cluster.kubectl("apply", "-f", "-", text=_DEPLOYMENT.format(count=count))
    cluster.kubectl("rollout", "status", f"deployment/pause-{count}", "--timeout=120s")
    taken = time.monotonic() - began
    cluster.kubectl("delete", "deployment", f"pause-{count}")
    cluster.kubectl("wait", "--for=delete", "pod", "-l", f"app=pause-{count}", "--timeout=120s")
    return Figure(NAME, f"{count} pods" if count > 1 else "1 pod", "apply to Ready", taken, "s")


def _api(cluster: Cluster) -> Iterator[Figure]:
    api = cluster.api()
    connection = Connection(api)
    config_maps = "/api/v1/namespaces/default/configmaps"
    began = time.monotonic()
    for number in range(OBJECTS):
        connection.request("POST", config_maps, config_map(f"object-{number}"))
    made = OBJECTS / (time.monotonic() - began)
    one = "1 connection"
    yield Figure(NAME, one, "create", made, "requests/s", less_is_better=False)
    get = connection.per_second(f"{config_maps}/object-7", SECONDS)
    yield Figure(NAME, one, "get", get, "requests/s", less_is_better=False)
    listed = connection.per_second(f"{config_maps}?labelSelector=bench%3Dyes", SECONDS)
    yield Figure(NAME, f"{one}, {OBJECTS} objects", "list", listed, "requests/s", less_is_better=False)
    samples = asyncio.run(fan_out(api, WATCHERS, ROUNDS))
    median = statistics.median(samples)
    what = "write until the last watcher has it: median"
    yield Figure(NAME, f"{WATCHERS} watchers", what, median, "ms", samples=tuple(samples))


_DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: pause-{count}}}
spec:
  replicas: {count}
  selector: {{matchLabels: {{app: pause-{count}}}}}
  template:
    metadata: {{labels: {{app: pause-{count}}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{{name: pause, image: registry.k8s.io/pause:3.9}}]
"""
