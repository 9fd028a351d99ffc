"""The Node and its Lease, as the kubelet registers and renews them. Pure.

Source: Kubernetes API reference, Node, Lease.
"""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pellucid.localkube.network.pod_network import PodNetwork
from pellucid.localkube.node.pod_status import timestamp

Object = dict[str, Any]
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
LEASE_SECONDS = 40


def machine_capacity() -> dict[str, str]:
    """What the machine has, as quantities."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024
    files = os.statvfs("/")
    return {
        "cpu": str(os.cpu_count() or 1),
        "memory": f"{pages}Ki",
        "ephemeral-storage": f"{files.f_blocks * files.f_frsize // 1024}Ki",
        "pods": "250",
        "hugepages-2Mi": "0",
    }


def node_object(name: str, network: PodNetwork, *, control_plane: bool) -> Object:
    """Without status."""
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": _architecture(),
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": _architecture(),
    }
    if control_plane:
        labels["node-role.kubernetes.io/control-plane"] = ""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"podCIDR": str(network.pod_network), "podCIDRs": [str(network.pod_network)]},
    }


def node_status(
    name: str, network: PodNetwork, capacity: dict[str, str], version: str, old: Object, now: datetime
) -> Object:
    """With the times of conditions that did not change kept."""
    conditions = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]
    since = {
        one["type"]: one["lastTransitionTime"]
        for one in old.get("conditions") or ()
        if one["status"] == ("True" if one["type"] == "Ready" else "False")
    }
    return {
        "addresses": [
            {"type": "InternalIP", "address": network.node.v4},
            {"type": "InternalIP", "address": network.node.v6},
            {"type": "Hostname", "address": name},
        ],
        "capacity": capacity,
        "allocatable": capacity,
        "conditions": [
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": timestamp(now),
                "lastTransitionTime": since.get(kind, timestamp(now)),
            }
            for kind, status, reason, message in conditions
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "machineID": _first_line("/etc/machine-id"),
            "systemUUID": _first_line("/etc/machine-id"),
            "bootID": _first_line("/proc/sys/kernel/random/boot_id"),
            "kernelVersion": platform.release(),
            "osImage": _system_name(),
            "containerRuntimeVersion": "runc://1.1",
            "kubeletVersion": version,
            "kubeProxyVersion": version,
            "operatingSystem": "linux",
            "architecture": _architecture(),
        },
    }


def lease_object(name: str, now: datetime) -> Object:
    """The sign of life of a node."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-node-lease"},
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    }


def _architecture() -> str:
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _system_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"
