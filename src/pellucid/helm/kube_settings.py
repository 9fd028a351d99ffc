"""Which cluster and namespace a command line means."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.helm.flags import Flag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pellucid.helm.engine import ClusterAccess
    from pellucid.helm.flags import Said

FLAGS = (
    Flag("namespace", "The namespace of this command; default: the context's.", short="n"),
    Flag("kubeconfig", "The kubeconfig to read; default: $KUBECONFIG, or ~/.kube/config."),
    Flag("kube-context", "The kubeconfig's context to use; default: the current one."),
    Flag("kube-apiserver", "The API server's address."),
    Flag("kube-token", "Bearer token; better given as $HELM_KUBETOKEN."),
    Flag("kube-ca-file", "File of the authorities for the API server's certificate."),
    Flag("kube-as-user", "User to impersonate."),
    Flag("kube-as-group", "Group to impersonate; may be given several times.", kind="list"),
    Flag("kube-tls-server-name", "Name to expect in the API server's certificate."),
    Flag("kube-insecure-skip-tls-verify", "Do not check the API server's certificate.", kind="boolean"),
    Flag("burst-limit", "Requests to the API server that may come at once.", kind="integer", default=100),
    Flag("qps", "Requests to the API server per second.", kind="number"),
    Flag("repository-config", "helm's file of chart repositories."),
    Flag("debug", "Show the engine's log on standard error.", kind="boolean"),
)
_TEXTS = {
    "kube-context": ("kube_context", "HELM_KUBECONTEXT"),
    "kube-apiserver": ("kube_apiserver", "HELM_KUBEAPISERVER"),
    "kube-token": ("kube_token", "HELM_KUBETOKEN"),
    "kube-ca-file": ("kube_ca_file", "HELM_KUBECAFILE"),
    "kube-as-user": ("kube_as_user", "HELM_KUBEASUSER"),
    "kube-tls-server-name": ("kube_tls_server_name", "HELM_KUBETLS_SERVER_NAME"),
}
"""Flag -> the engine's name for it, and the variable that stands in for an absent flag."""


def cluster_access(said: Said, environment: Mapping[str, str]) -> ClusterAccess:
    """What the engine is told about the cluster.

    Several files in $KUBECONFIG are left to the engine, which reads the variable itself and merges them.
    """
    from pellucid.helm.engine import ClusterAccess

    settings: dict[str, Any] = {
        ours: value
        for flag, (ours, variable) in _TEXTS.items()
        if (value := said.text(flag) or environment.get(variable, ""))
    }
    named = said.text("kubeconfig") or environment.get("KUBECONFIG", "")
    if named and os.pathsep not in named:
        settings["kubeconfig_path"] = named
    groups = said.list("kube-as-group") or tuple(
        filter(None, environment.get("HELM_KUBEASGROUPS", "").split(","))
    )
    settings |= {"kube_as_groups": list(groups)} if groups else {}
    if said.boolean("kube-insecure-skip-tls-verify"):
        settings["kube_insecure_skip_tls_verify"] = True
    settings["burst_limit"] = said.integer("burst-limit")
    if said.given("qps"):
        settings["qps"] = said.number("qps")
    if driver := environment.get("HELM_DRIVER"):
        settings["storage_driver"] = driver
    return ClusterAccess(namespace(said, environment), settings)


def namespace(said: Said, environment: Mapping[str, str]) -> str:
    """The namespace of the command line, the environment or the kubeconfig's context, else `default`."""
    named = said.text("namespace") or environment.get("HELM_NAMESPACE")
    return (
        named or _context_namespace(_kubeconfigs(said, environment), _context(said, environment)) or "default"
    )


def _context(said: Said, environment: Mapping[str, str]) -> str:
    return said.text("kube-context") or environment.get("HELM_KUBECONTEXT", "")


def _kubeconfigs(said: Said, environment: Mapping[str, str]) -> list[Path]:
    if file := said.text("kubeconfig"):
        return [Path(file)]
    listed = [Path(part) for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    return listed or [Path(environment.get("HOME") or "~").expanduser() / ".kube" / "config"]


def _context_namespace(files: list[Path], context: str) -> str:
    """Of several kubeconfigs the first that says something wins. The engine complains about bad ones."""
    import yaml

    contexts: dict[str, str] = {}
    for file in files:
        try:
            content = yaml.safe_load(file.read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue
        if not isinstance(content, dict):
            continue
        context = context or str(content.get("current-context") or "")
        for entry in content.get("contexts") or ():
            about = entry.get("context") or {}
            contexts.setdefault(str(entry.get("name")), str(about.get("namespace") or ""))
    return contexts.get(context, "")
