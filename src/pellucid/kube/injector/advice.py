"""What works otherwise than a pod's author may think: warnings, shown by kubectl beside its own answer.

Source: Kubernetes docs, "Dynamic Admission Control - Response" (warnings).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pellucid.kube.annotations import resolve_port
from pellucid.kube.injector.known_annotations import advice_on_names
from pellucid.kube.injector.probes import FIRST_PORTS, is_outward
from pellucid.kube.injector.redirection import EXCLUSIONS, Redirection, Redirector
from pellucid.kube.pods import Object, containers_of, named_ports, native_sidecars_of


def advice(pod: Object, redirection: Redirection, *, ends: bool) -> tuple[str, ...]:
    """Warnings about a pod that gets a sidecar, in the order of what they are about.

    ends: whether its sidecar ends with its application.
    """
    annotations, spec = pod["metadata"].get("annotations") or {}, pod["spec"]
    return (
        *advice_on_names(annotations),
        *_exclusions_without_effect(annotations, redirection),
        *_captured_probes(spec, redirection),
        *_uncaptured_containers(spec, redirection),
        *_job_without_end(pod, ends=ends),
    )


def _exclusions_without_effect(annotations: Mapping[str, str], redirection: Redirection) -> Iterator[str]:
    if redirection.by is Redirector.US:
        return
    whose = "its author redirects" if redirection.by is Redirector.AUTHOR else "nothing redirects"
    for name in EXCLUSIONS:
        if annotations.get(name, "").strip():
            yield f"{name} has no effect: {whose} the pod's traffic"


def _captured_probes(spec: Object, redirection: Redirection) -> Iterator[str]:
    for container in (*containers_of(spec), *native_sidecars_of(spec)):
        for kind in FIRST_PORTS:
            probe = container.get(kind) or {}
            asked = probe.get("httpGet") or probe.get("tcpSocket") or probe.get("grpc") or {}
            port = resolve_port(str(asked.get("port", "")), named_ports([container]))
            if is_outward(probe) and port and redirection.author_captures(port):
                yield (
                    f'container "{container["name"]}": its {kind} to port {port} lands at the sidecar '
                    "and does not reach the application; exclude the port from the redirection"
                )


def _uncaptured_containers(spec: Object, redirection: Redirection) -> Iterator[str]:
    if redirection.by is not Redirector.AUTHOR:
        return
    pods_user = (spec.get("securityContext") or {}).get("runAsUser")
    for container in containers_of(spec):
        user = (container.get("securityContext") or {}).get("runAsUser", pods_user)
        if user == redirection.user:
            yield (
                f'container "{container["name"]}" runs as user {user}, whose connections are not redirected: '
                "they leave the pod past the sidecar"
            )


def _job_without_end(pod: Object, *, ends: bool) -> Iterator[str]:
    owners = pod["metadata"].get("ownerReferences") or ()
    if not ends and any(owner.get("kind") == "Job" for owner in owners):
        yield (
            "without native sidecars, and with its processes kept apart, the pod's sidecar keeps it from "
            "completing: leave out shareProcessNamespace and hostPID, or run the Job without connect-inject"
        )
