"""`cluster create|delete|list|...`: Kubernetes clusters on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.cli.command import Command, CommandFailed, Invocation, UsageFailed
from pellucid.cli.go_flags import Flag

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.localkube.cluster.definition import ClusterSettings
    from pellucid.localkube.cluster.life import Clusters

OUTSIDE_VARIABLE = "PELLUCID_CLUSTER_OUTSIDE"
NAME = Flag("name", "The cluster's name.", default="kind", placeholder="name")


def _in_clusters(
    action: Callable[[Clusters, Invocation], None], doing: str, taken: int = 0
) -> Callable[[Invocation], int]:
    """A command's function: `action` with this machine's clusters, and its failure as text.

    taken: how many arguments the command has.
    """

    def run(invocation: Invocation) -> int:
        from pellucid.cli.own_image import this_program
        from pellucid.localkube.cluster.definition import ClusterError
        from pellucid.localkube.cluster.life import Clusters

        if len(invocation.arguments) > taken:
            unexpected = invocation.arguments[taken]
            raise UsageFailed(f"Unexpected argument {unexpected!r}: name the cluster with -name.")
        if len(invocation.arguments) < taken:
            raise UsageFailed("An argument is missing.")
        try:
            action(Clusters(invocation.environment, (this_program(),)), invocation)
        except ClusterError as error:
            raise CommandFailed(f"ERROR: failed to {doing}: {error}") from None
        except PermissionError as error:
            raise CommandFailed(f"ERROR: failed to {doing}: {error}. Clusters need root.") from None
        return 0

    return run


def _create(clusters: Clusters, invocation: Invocation) -> None:
    from pellucid.localkube.cluster.progress import Progress

    name, stream = invocation.flags.text("name"), invocation.terminal.stderr
    progress = Progress(stream, terminal=stream.isatty())
    progress.say(f'Creating cluster "{name}" ...')
    settings = _settings(invocation)
    images = invocation.flags.text("images")
    definition = clusters.create(name, settings, progress, Path(images) if images else None)
    progress.say(f'Set kubectl context to "{definition.context}"')
    progress.say(
        f"You can now use your cluster with:\n\nkubectl cluster-info --context {definition.context}\n"
    )


def _settings(invocation: Invocation) -> ClusterSettings:
    from pellucid.localkube.cluster.definition import ClusterSettings
    from pellucid.localkube.network.addresses import AddressPlan
    from pellucid.localkube.outside.names import InvalidOutsideName, outside_names

    flags = invocation.flags
    said = flags.list("outside") or (invocation.environment.get(OUTSIDE_VARIABLE, ""),)
    try:
        outside = outside_names(said, AddressPlan())
    except InvalidOutsideName as error:
        raise UsageFailed(f"-outside (or ${OUTSIDE_VARIABLE}): {error}") from None
    return ClusterSettings(nodes=flags.integer("nodes"), uplink=flags.boolean("uplink"), outside=outside)


def _delete(clusters: Clusters, invocation: Invocation) -> None:
    name = invocation.flags.text("name")
    invocation.error(f'Deleting cluster "{name}" ...')
    nodes = clusters.delete(name)
    if nodes:
        quoted = " ".join(f'"{node}"' for node in nodes)
        invocation.error(f"Deleted nodes: [{quoted}]")


def _list(clusters: Clusters, invocation: Invocation) -> None:
    names = clusters.names()
    for each in names:
        invocation.output(each)
    if not names:
        invocation.error("No kind clusters found.")


def _kubeconfig(clusters: Clusters, invocation: Invocation) -> None:
    invocation.output(clusters.kubeconfig(invocation.flags.text("name")).rstrip("\n"))


def _start(clusters: Clusters, invocation: Invocation) -> None:
    clusters.start(invocation.flags.text("name"))


def _stop(clusters: Clusters, invocation: Invocation) -> None:
    clusters.stop(invocation.flags.text("name"))


def _load(clusters: Clusters, invocation: Invocation) -> None:
    for image in clusters.load(invocation.flags.text("name"), Path(invocation.arguments[0])):
        invocation.output(image)


def _logs(clusters: Clusters, invocation: Invocation) -> None:
    clusters.export_logs(invocation.flags.text("name"), Path(invocation.arguments[0]))


def _nodes(clusters: Clusters, invocation: Invocation) -> None:
    for node in clusters.definition(invocation.flags.text("name")).node_names():
        invocation.output(node)


CREATE = Command(
    usage="cluster create [options]",
    about=(
        "Creates a Kubernetes cluster on this machine, without a container engine, and makes it kubectl's "
        "current context.\n\n"
        "    $ pellucid cluster create -name tproxy\n"
        "    $ kubectl get nodes\n\n"
        "Pods are processes in network namespaces of their own; without -uplink no packet of theirs leaves "
        "the machine. Needs root, runc, iptables and iproute2."
    ),
    run=_in_clusters(_create, "create cluster"),
    flags=(
        NAME,
        Flag("nodes", "How many nodes it has, 1 to 10.", kind="integer", default=1, placeholder="n"),
        Flag("images", "A JSON file of further images; see `cluster load`.", placeholder="file"),
        Flag(
            "uplink",
            "Lend the cluster this machine's way out: TCP connections, and names by its resolver.",
            kind="boolean",
        ),
        Flag(
            "outside",
            "A name that a stand-in for the world outside answers, by HTTP and HTTPS; may be given several "
            f"times. Default: ${OUTSIDE_VARIABLE}, with commas between names.",
            kind="list",
            placeholder="name[=address]",
        ),
    ),
    takes_client=False,
)

DELETE = Command(
    usage="cluster delete [options]",
    about="Deletes a cluster with everything in it, and takes it out of the kubeconfig.",
    run=_in_clusters(_delete, "delete cluster"),
    flags=(NAME,),
    takes_client=False,
)

LIST = Command(
    usage="cluster list",
    about="Lists the clusters of this machine, running or stopped.",
    run=_in_clusters(_list, "list clusters"),
    takes_client=False,
)

KUBECONFIG = Command(
    usage="cluster kubeconfig [options]",
    about="Prints the kubeconfig of a cluster's administrator.",
    run=_in_clusters(_kubeconfig, "get kubeconfig"),
    flags=(NAME,),
    takes_client=False,
)

START = Command(
    usage="cluster start [options]",
    about="Starts a stopped cluster; its objects are as they were, and its pods are started again.",
    run=_in_clusters(_start, "start cluster"),
    flags=(NAME,),
    takes_client=False,
)

STOP = Command(
    usage="cluster stop [options]",
    about="Stops a cluster: its pods end, its objects are kept.",
    run=_in_clusters(_stop, "stop cluster"),
    flags=(NAME,),
    takes_client=False,
)

LOAD = Command(
    usage="cluster load [options] FILE",
    about=(
        "Adds images to a cluster, from an archive: an OCI layout or what `docker save` writes.\n\n"
        "    $ pellucid cluster load -name tproxy hello.tar\n\n"
        "Or from a JSON file (*.json) that names programs and files of this machine:\n\n"
        '    [{"name": "example/app", "entrypoint": ["app"], "command": [], "environment": {"A": "b"},\n'
        '      "workingDir": "/", "user": "101",\n'
        '      "binds": [{"source": "/opt/app", "destination": "/opt/app"}]}]\n\n'
        "Such an image stands on this machine's own /usr; what it binds is shown in it, read-only."
    ),
    run=_in_clusters(_load, "load images", taken=1),
    flags=(NAME,),
    takes_client=False,
)

LOGS = Command(
    usage="cluster logs [options] DIRECTORY",
    about="Copies the logs of a cluster's server and of every container to a directory.",
    run=_in_clusters(_logs, "export logs", taken=1),
    flags=(NAME,),
    takes_client=False,
)

NODES = Command(
    usage="cluster nodes [options]",
    about="Lists a cluster's nodes.",
    run=_in_clusters(_nodes, "list nodes"),
    flags=(NAME,),
    takes_client=False,
)
