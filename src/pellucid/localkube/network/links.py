"""The node's own addresses, and a link from the node to each pod.

A pod's link is point to point and everything it sends is routed by the node, also to a pod beside it: only so
do answers of a service pass the node again, whose address translation they need.
"""

from __future__ import annotations

from pathlib import Path

from pellucid.localkube.network.addresses import AddressPlan, PodAddresses
from pellucid.localkube.network.commands import run_network_command

_GATEWAY_V6 = "fe80::1"
_KERNEL_PARAMETERS = (
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "net/ipv4/conf/all/route_localnet",
)


def node_script(plan: AddressPlan, node_count: int) -> str:
    """`ip -batch`: the addresses of all nodes and of cluster DNS, on an interface that leads nowhere.

    Services' addresses are given a route there too, so that packets for them are made at all and then
    translated.
    """
    lines = ["link set lo up", "link add node0 type bridge", "link set node0 up"]
    for index in range(node_count):
        node = plan.node(index)
        lines += [f"address add {node.v4}/32 dev node0", f"address add {node.v6}/128 dev node0 nodad"]
    first = plan.node(0)
    lines.append(f"address add {plan.dns}/32 dev node0")
    lines.append(f"route add {plan.services_v4} dev node0 src {first.v4}")
    lines.append(f"route add {plan.services_v6} dev node0 src {first.v6}")
    return "\n".join(lines) + "\n"


def host_side_script(link: str, pod_pid: int, pod: PodAddresses, node: PodAddresses) -> str:
    """`ip -batch` in the node's namespace."""
    return "\n".join(
        (
            f"link add {link} type veth peer name eth0 netns {pod_pid}",
            f"address add {_GATEWAY_V6}/64 dev {link} nodad",
            f"link set {link} up",
            f"route add {pod.v4}/32 dev {link} src {node.v4}",
            f"route add {pod.v6}/128 dev {link} src {node.v6}",
            "",
        )
    )


def pod_side_script(pod: PodAddresses, node: PodAddresses) -> str:
    """`ip -batch` in the pod's namespace."""
    return "\n".join(
        (
            "link set lo up",
            f"address add {pod.v4}/32 dev eth0",
            f"address add {pod.v6}/128 dev eth0 nodad",
            "link set eth0 up",
            f"route add {node.v4}/32 dev eth0 scope link",
            f"route add default via {node.v4} dev eth0 src {pod.v4}",
            f"route add ::/0 via {_GATEWAY_V6} dev eth0 src {pod.v6}",
            "",
        )
    )


async def set_up_node(plan: AddressPlan, node_count: int) -> None:
    """Make the current network namespace the cluster's. Raises NetworkCommandFailed, OSError."""
    await run_network_command(("ip", "-batch", "-"), node_script(plan, node_count))
    for name in _KERNEL_PARAMETERS:
        (Path("/proc/sys") / name).write_text("1")


async def link_pod(link: str, pod_pid: int, pod: PodAddresses, node: PodAddresses) -> None:
    """Join a pod's network namespace, that of the process, to the node. Raises NetworkCommandFailed.

    The link goes when the pod's namespace goes.
    """
    await run_network_command(("ip", "-batch", "-"), host_side_script(link, pod_pid, pod, node))
    inside = ("nsenter", f"--net=/proc/{pod_pid}/ns/net", "ip", "-batch", "-")
    await run_network_command(inside, pod_side_script(pod, node))
