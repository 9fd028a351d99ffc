"""Every command: its words, where it lives, and one line about it.

A command's module is imported only when the command runs or its own help is shown, so this table is the
whole cost of having many commands.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A command that does something: `attribute` of `pellucid.cli.commands.<module>` is its Command."""

    module: str
    attribute: str
    synopsis: str


@dataclass(frozen=True)
class Group:
    """A command that only holds others; `about` opens its help."""

    synopsis: str
    about: str


TABLE: dict[str, Entry | Group] = {
    "agent": Entry("agent", "AGENT", "Runs an agent"),
    "catalog": Group(
        "Interact with the catalog",
        "Asks the catalog which datacenters, nodes and services it knows.\n\n"
        "    $ {program} catalog services\n"
        "    $ {program} catalog nodes -service=web",
    ),
    "catalog datacenters": Entry("catalog", "DATACENTERS", "Lists all known datacenters"),
    "catalog nodes": Entry("catalog", "NODES", "Lists all nodes, or the nodes of one service"),
    "catalog services": Entry("catalog", "SERVICES", "Lists all registered services"),
    "cluster": Group(
        "Runs Kubernetes clusters on this machine",
        "Kubernetes clusters on this machine, without a container engine. A link to this program named "
        "`kind` takes kind's own words for the same.\n\n"
        "    $ {program} cluster create -name tproxy\n"
        "    $ kubectl get nodes\n"
        "    $ {program} cluster delete -name tproxy",
    ),
    "cluster create": Entry("cluster", "CREATE", "Creates a cluster"),
    "cluster delete": Entry("cluster", "DELETE", "Deletes a cluster with everything in it"),
    "cluster kubeconfig": Entry("cluster", "KUBECONFIG", "Prints a cluster's kubeconfig"),
    "cluster list": Entry("cluster", "LIST", "Lists the clusters of this machine"),
    "cluster load": Entry("cluster", "LOAD", "Adds images from an archive"),
    "cluster logs": Entry("cluster", "LOGS", "Copies a cluster's logs to a directory"),
    "cluster nodes": Entry("cluster", "NODES", "Lists a cluster's nodes"),
    "cluster start": Entry("cluster", "START", "Starts a stopped cluster"),
    "cluster stop": Entry("cluster", "STOP", "Stops a cluster and keeps its objects"),
    "config": Group(
        "Interact with centralized configuration entries",
        "Reads and writes configuration entries: proxy-defaults, service-defaults, service-intentions, "
        "mesh and the others.\n\n"
        "    $ {program} config write defaults.hcl\n"
        "    $ {program} config read -kind proxy-defaults -name global\n"
        "    $ {program} config list -kind service-defaults\n"
        "    $ {program} config delete -kind service-defaults -name web",
    ),
    "config delete": Entry("config", "DELETE", "Deletes a configuration entry"),
    "config list": Entry("config", "LIST", "Lists the configuration entries of a kind"),
    "config read": Entry("config", "READ", "Reads a configuration entry"),
    "config write": Entry("config", "WRITE", "Creates or updates a configuration entry"),
    "connect": Group(
        "Interact with the service mesh",
        "Starts sidecar proxies, redirects a workload's traffic to them, and configures the mesh's "
        "certificate authority.",
    ),
    "connect ca": Group(
        "Interact with the mesh's certificate authority",
        "Shows and changes the configuration of the certificate authority that signs every proxy's "
        "certificate.",
    ),
    "connect ca get-config": Entry("connect_ca", "GET_CONFIG", "Shows the certificate authority's settings"),
    "connect ca set-config": Entry(
        "connect_ca", "SET_CONFIG", "Changes the certificate authority's settings"
    ),
    "connect credential": Entry(
        "connect_credential", "CREDENTIAL", "Issues a new credential for a service's sidecar"
    ),
    "connect envoy": Entry("connect_envoy", "ENVOY", "Starts Envoy as a service's proxy"),
    "connect redirect-traffic": Entry(
        "connect_redirect_traffic", "REDIRECT_TRAFFIC", "Sends a workload's traffic through its proxy"
    ),
    "demo": Entry("demo", "DEMO", "Shows a transparent mesh on this machine"),
    "force-leave": Entry(
        "membership", "FORCE_LEAVE", "Forces a member of the cluster to enter the left state"
    ),
    "helm": Entry("helm", "HELM", "Installs and manages Helm charts"),
    "info": Entry("operation", "INFO", "Shows what an agent reports about itself"),
    "intention": Group(
        "Interact with service intentions",
        "Says which services may open connections to which.\n\n"
        "    $ {program} intention create -deny '*' '*'\n"
        "    $ {program} intention create web db\n"
        "    $ {program} intention check web db\n"
        "    $ {program} intention match db",
    ),
    "intention check": Entry(
        "intention", "CHECK", "Says whether a connection between two services is allowed"
    ),
    "intention create": Entry("intention", "CREATE", "Creates intentions"),
    "intention delete": Entry("intention", "DELETE", "Deletes an intention"),
    "intention get": Entry("intention", "GET", "Shows one intention"),
    "intention list": Entry("intention", "LIST", "Lists all intentions"),
    "intention match": Entry("intention", "MATCH", "Shows the intentions that match a service"),
    "join": Entry("membership", "JOIN", "Tells an agent to join a cluster"),
    "k8s": Group(
        "Runs the parts of the mesh that live in a Kubernetes cluster",
        "What the Helm chart's deployments and injected pods run; nobody types these.",
    ),
    "k8s connect-init": Entry("k8s_sidecar", "CONNECT_INIT", "Redirects a pod's traffic to its sidecar"),
    "k8s controller": Entry(
        "k8s_controller", "CONTROLLER", "Writes custom resources as configuration entries"
    ),
    "k8s delete-custom-resources": Entry(
        "k8s_controller", "DELETE_CUSTOM_RESOURCES", "Deletes custom resources before the chart goes"
    ),
    "k8s inject-connect": Entry("k8s", "INJECT_CONNECT", "Injects sidecars and registers pods"),
    "k8s sidecar": Entry("k8s_sidecar", "SIDECAR", "Runs a pod's sidecar"),
    "k8s sidecar-ready": Entry("k8s_sidecar", "SIDECAR_READY", "Waits for the pod's sidecar"),
    "leave": Entry("membership", "LEAVE", "Makes an agent leave gracefully and stop"),
    "maint": Entry("operation", "MAINT", "Controls maintenance mode of a node or service"),
    "members": Entry("membership", "MEMBERS", "Lists the members of a cluster"),
    "reload": Entry("operation", "RELOAD", "Makes an agent read its configuration files again"),
    "run": Entry("run", "RUN", "Runs a program inside the mesh"),
    "services": Group(
        "Interact with services of an agent",
        "Registers services with the local agent and removes them.\n\n"
        "    $ {program} services register web.hcl\n"
        "    $ {program} services deregister -id web",
    ),
    "services deregister": Entry("services", "DEREGISTER", "Removes services from the local agent"),
    "services register": Entry("services", "REGISTER", "Registers services with the local agent"),
    "validate": Entry("validate", "VALIDATE", "Checks configuration files and directories"),
    "version": Entry("version", "VERSION", "Prints the version"),
}


def children(prefix: str) -> dict[str, str]:
    """The next word of every command right under `prefix` (empty for the first level), with its synopsis."""
    start = prefix + " " if prefix else ""
    return {
        name.removeprefix(start): entry.synopsis
        for name, entry in TABLE.items()
        if name.startswith(start) and " " not in name.removeprefix(start)
    }


def longest_match(words: list[str]) -> tuple[str, list[str]]:
    """The longest name in the table that `words` begin with, and the words after it; ("", words) if none."""
    for length in range(min(3, len(words)), 0, -1):
        name = " ".join(words[:length])
        if name in TABLE:
            return name, words[length:]
    return "", words
