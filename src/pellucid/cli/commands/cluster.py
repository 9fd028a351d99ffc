"""`cluster create|delete|list|...`: Kubernetes clusters on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.cli.cluster_settings import OUTSIDE_VARIABLE, UPLINK_VARIABLE, cluster_settings
from pellucid.cli.command import Command, CommandFailed, Invocation, UsageFailed
from pellucid.cli.go_flags import Flag

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.localkube.cluster.life import Clusters

NAME = Flag("name", "The cluster's name.", default="kind", placeholder="name")
KUBECONFIG_FILE = Flag(
    "kubeconfig", "The kubeconfig to change. Default: $KUBECONFIG, or ~/.kube/config.", placeholder="file"
)


def _in_clusters(
    action: Callable[[Clusters, Invocation], None], doing: str, most: int = 0
) -> Callable[[Invocation], int]:
    """A command's function: `action` with this machine's clusters, and its failure as text.

    most: how many arguments the command has at most.
    """

    def run(invocation: Invocation) -> int:
        from pellucid.cli.own_image import this_program
        from pellucid.localkube.cluster.definition import ClusterError
        from pellucid.localkube.cluster.life import Clusters

        if len(invocation.arguments) > most:
            unexpected = invocation.arguments[most]
            raise UsageFailed(f"Unexpected argument {unexpected!r}: name the cluster with -name.")
        environment = dict(invocation.environment)
        if invocation.flags.has("kubeconfig") and (file := invocation.flags.text("kubeconfig")):
            environment["KUBECONFIG"] = file
        try:
            action(Clusters(environment, (this_program(),)), invocation)
        except ClusterError as error:
            raise CommandFailed(f"ERROR: failed to {doing}: {error}") from None
        except PermissionError as error:
            raise CommandFailed(f"ERROR: failed to {doing}: {error}. Clusters need root.") from None
        return 0

    return run


def _create(clusters: Clusters, invocation: Invocation) -> None:
    import io

    from pellucid.localkube.cluster.progress import Progress

    flags = invocation.flags
    wanted = cluster_settings(flags, invocation.environment, invocation.terminal.stdin)
    stream = io.StringIO() if flags.boolean("quiet") else invocation.terminal.stderr
    progress = Progress(stream, terminal=stream.isatty())
    progress.say(f'Creating cluster "{wanted.name}" ...')
    definition = clusters.create(
        wanted.name, wanted.settings, progress, images=wanted.images, retain=flags.boolean("retain")
    )
    if wanted.wait:
        progress.say(f" ✓ Waiting ≤ {wanted.wait} for control-plane = Ready ⏳\n • Ready after 0s 💚")
    progress.say(f'Set kubectl context to "{definition.context}"')
    progress.say(
        f"You can now use your cluster with:\n\nkubectl cluster-info --context {definition.context}\n"
    )


def _delete(clusters: Clusters, invocation: Invocation) -> None:
    flags = invocation.flags
    every = clusters.names() if flags.boolean("all") else invocation.arguments
    tell = (lambda text: None) if flags.boolean("quiet") else invocation.error
    for name in every or (() if flags.boolean("all") else (flags.text("name"),)):
        tell(f'Deleting cluster "{name}" ...')
        if nodes := clusters.delete(name):
            quoted = " ".join(f'"{node}"' for node in nodes)
            tell(f"Deleted nodes: [{quoted}]")


def _list(clusters: Clusters, invocation: Invocation) -> None:
    names = clusters.names()
    for each in names:
        invocation.output(each)
    if not names:
        invocation.error("No kind clusters found.")


def _kubeconfig(clusters: Clusters, invocation: Invocation) -> None:
    flags = invocation.flags
    name = flags.text("name")
    if flags.boolean("merge"):
        clusters.use(name)
        invocation.error(f'Set kubectl context to "{clusters.definition(name).context}"')
        return
    invocation.output(clusters.kubeconfig(name, inside=flags.boolean("internal")).rstrip("\n"))


def _start(clusters: Clusters, invocation: Invocation) -> None:
    clusters.start(invocation.flags.text("name"))


def _stop(clusters: Clusters, invocation: Invocation) -> None:
    clusters.stop(invocation.flags.text("name"))


def _load(clusters: Clusters, invocation: Invocation) -> None:
    from pellucid.localkube.images.container_engine import EngineFailed, saved_images

    name, images = invocation.flags.text("name"), invocation.flags.list("docker-image")
    if not images and not invocation.arguments:
        raise UsageFailed("What to load is missing: a FILE, or -docker-image.")
    loaded: list[str] = []
    if images:
        clusters.definition(name)
        try:
            with saved_images(images, invocation.environment) as archive:
                loaded += clusters.load(name, archive)
        except EngineFailed as error:
            raise CommandFailed(f"ERROR: failed to load images: {error}") from None
    for file in invocation.arguments:
        loaded += clusters.load(name, Path(file))
    for each in loaded:
        invocation.output(each)


def _logs(clusters: Clusters, invocation: Invocation) -> None:
    import tempfile

    name = invocation.flags.text("name")
    clusters.definition(name)
    target = invocation.arguments[0] if invocation.arguments else tempfile.mkdtemp(prefix=f"{name}-logs-")
    invocation.error(f'Exporting logs for cluster "{name}" to:')
    clusters.export_logs(name, Path(target))
    invocation.output(target)


def _nodes(clusters: Clusters, invocation: Invocation) -> None:
    flags = invocation.flags
    for name in clusters.names() if flags.boolean("all") else (flags.text("name"),):
        for node in clusters.definition(name).node_names():
            invocation.output(node)


CREATE = Command(
    usage="cluster create [options]",
    about=(
        "Creates a Kubernetes cluster on this machine, without a container engine, and makes it kubectl's "
        "current context.\n\n"
        "    $ pellucid cluster create -name tproxy\n"
        "    $ kubectl get nodes\n\n"
        "Pods are processes in network namespaces of their own; without -uplink no packet of theirs leaves "
        "the machine. Needs root, runc, iptables and iproute2.\n\n"
        "A configuration file is kind's (kind.x-k8s.io/v1alpha4): nodes with role, image, labels and "
        "extraPortMappings; networking's ipFamily, apiServerPort and podSubnet."
    ),
    run=_in_clusters(_create, "create cluster"),
    flags=(
        NAME,
        Flag("nodes", "How many nodes it has, 1 to 10.", kind="integer", default=1, placeholder="n"),
        Flag(
            "kubernetes-version",
            "The release of Kubernetes it says it is, 1.27 to 1.37; sidecars of before 1.29 are plain init "
            "containers.",
            placeholder="version",
        ),
        Flag("image", "kind's way to say the release: kindest/node:v1.29.2.", placeholder="image"),
        Flag(
            "insecure-registry",
            "A registry of images that is spoken to by HTTP, besides those on loopback; may be given several "
            "times.",
            kind="list",
            placeholder="host[:port]",
        ),
        Flag("config", "kind's configuration file; - for standard input.", placeholder="file"),
        Flag("wait", "For kind's sake: a cluster is ready once it is created.", placeholder="duration"),
        Flag("retain", "Keep what there is of a cluster whose creation failed.", kind="boolean"),
        Flag("quiet", "Say nothing but errors.", kind="boolean"),
        KUBECONFIG_FILE,
        Flag("images", "A JSON file of further images; see `cluster load`.", placeholder="file"),
        Flag(
            "uplink",
            "Lend the cluster this machine's way out: TCP connections, and names by its resolver. "
            f"Default: ${UPLINK_VARIABLE}.",
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
    usage="cluster delete [options] [NAME...]",
    about="Deletes a cluster with everything in it, and takes it out of the kubeconfig.",
    run=_in_clusters(_delete, "delete cluster", most=100),
    flags=(
        NAME,
        Flag("all", "Delete every cluster of this machine.", kind="boolean"),
        Flag("quiet", "Say nothing but errors.", kind="boolean"),
        KUBECONFIG_FILE,
    ),
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
    about="Prints the kubeconfig of a cluster's administrator, or makes it the current context.",
    run=_in_clusters(_kubeconfig, "get kubeconfig"),
    flags=(
        NAME,
        Flag("internal", "As it is used from inside the cluster.", kind="boolean"),
        Flag("merge", "Merge it into the kubeconfig instead, as its current context.", kind="boolean"),
        KUBECONFIG_FILE,
    ),
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
    usage="cluster load [options] [FILE...]",
    about=(
        "Adds images to a cluster, from an archive: an OCI layout or what `docker save` writes.\n\n"
        "    $ pellucid cluster load -name tproxy hello.tar\n\n"
        "Or from a JSON file (*.json) that names programs and files of this machine:\n\n"
        '    [{"name": "example/app", "entrypoint": ["app"], "command": [], "environment": {"A": "b"},\n'
        '      "workingDir": "/", "user": "101",\n'
        '      "binds": [{"source": "/opt/app", "destination": "/opt/app"}]}]\n\n'
        "Such an image stands on this machine's own /usr; what it binds is shown in it, read-only."
    ),
    run=_in_clusters(_load, "load images", most=100),
    flags=(
        NAME,
        Flag(
            "docker-image",
            "An image of docker or podman, saved by them and loaded; may be given several times.",
            kind="list",
            placeholder="image",
        ),
    ),
    takes_client=False,
)

LOGS = Command(
    usage="cluster logs [options] [DIRECTORY]",
    about=(
        "Copies the logs of a cluster's server and of every container to a directory; to a new one if none "
        "is named."
    ),
    run=_in_clusters(_logs, "export logs", most=1),
    flags=(NAME,),
    takes_client=False,
)

NODES = Command(
    usage="cluster nodes [options]",
    about="Lists a cluster's nodes.",
    run=_in_clusters(_nodes, "list nodes"),
    flags=(NAME, Flag("all", "Of every cluster.", kind="boolean")),
    takes_client=False,
)
