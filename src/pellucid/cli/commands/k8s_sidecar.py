"""`k8s sidecar` and `k8s connect-init`: what runs in a pod beside its application."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.cli.command import Command, CommandFailed, Invocation
from pellucid.cli.exclusion_flags import EXCLUSION_FLAGS, exclusions
from pellucid.cli.go_flags import Flag

if TYPE_CHECKING:
    from pellucid.dataplane.redirect_settings import RedirectSettings

TOKEN_FILE = Flag(
    "token-file",
    "The pod's token for the mesh.",
    default="/var/run/secrets/pellucid/token",
    placeholder="file",
)


def _run_sidecar(invocation: Invocation) -> int:
    import asyncio
    import logging

    from pellucid.dataplane.envoy_binary import EnvoyMissingError
    from pellucid.dataplane.redirect_settings import InvalidSettingError
    from pellucid.kube.pod.settings import Metrics, SidecarSettings, pod_of, server_of
    from pellucid.kube.pod.sidecar import Sidecar
    from pellucid.kube.probe_targets import parse_target

    flags, environment = invocation.flags, invocation.environment
    logging.basicConfig(level=logging.INFO, format="%(asctime)s [%(levelname)s] %(message)s")
    metrics = Metrics(
        bind_address=flags.text("prometheus-bind-addr"),
        scrape_path=flags.text("prometheus-scrape-path"),
        merged_port=flags.integer("merged-metrics-port"),
        application_port=flags.integer("service-metrics-port"),
        application_path=flags.text("service-metrics-path"),
    )
    try:
        settings = SidecarSettings(
            pod=pod_of(environment),
            server=server_of(environment),
            token_file=Path(flags.text("token-file")),
            status_port=flags.integer("status-port"),
            drain_seconds=flags.integer("drain-seconds"),
            ends_after_seconds=flags.integer("ends-after-seconds"),
            envoy_arguments=tuple(shlex.split(flags.text("envoy-extra-args"))),
            metrics=metrics,
            probes=tuple(parse_target(text) for text in flags.list("probe")),
        )
        return asyncio.run(Sidecar(settings).run())
    except (InvalidSettingError, EnvoyMissingError, ValueError) as error:
        raise CommandFailed(f"==> {error}") from None
    except OSError as error:
        raise CommandFailed(f"==> the sidecar cannot run: {error}") from None


def _run_connect_init(invocation: Invocation) -> int:
    from pellucid.dataplane.redirect_apply import RedirectError, apply_redirection
    from pellucid.dataplane.redirect_plan import plan_redirection
    from pellucid.dataplane.redirect_settings import InvalidSettingError, RedirectSettings, parse_id

    flags = invocation.flags
    try:
        # Once traffic is redirected, ours would be too, and there is no sidecar yet to take it.
        if flags.boolean("wait"):
            _wait_for_registration(invocation)
        if flags.text("proxy-uid"):
            settings = RedirectSettings(
                proxy_uid=parse_id("-proxy-uid", flags.text("proxy-uid")), **exclusions(flags)
            )
            apply_redirection(plan_redirection(settings))
            invocation.output(_redirected(settings))
    except InvalidSettingError as error:
        raise CommandFailed(f"==> {error}") from None
    except RedirectError as error:
        raise CommandFailed(f"==> Error setting up traffic redirection rules: {error}") from None
    return 0


def _redirected(settings: RedirectSettings) -> str:
    """What was done, for the container's log."""
    left_alone = {
        "inbound ports": settings.exclude_inbound_ports,
        "outbound ports": settings.exclude_outbound_ports,
        "destinations": settings.exclude_outbound_cidrs,
        "users": settings.exclude_uids,
    }
    lines = [
        "Successfully applied traffic redirection rules",
        f"  inbound to port {settings.inbound_port}, outbound to port {settings.outbound_port}, "
        f"but for user {settings.proxy_uid}'s",
        *(f"  left alone: {kind} {', '.join(map(str, each))}" for kind, each in left_alone.items() if each),
    ]
    return "\n".join(lines)


def _wait_for_registration(invocation: Invocation) -> None:
    import asyncio

    from pellucid.kube.pod.login import logged_in
    from pellucid.kube.pod.settings import server_of

    server, token_file = server_of(invocation.environment), Path(invocation.flags.text("token-file"))
    registration = asyncio.run(logged_in(server, token_file, invocation.error))
    invocation.output(f"Registered as {registration.sidecar.id}")


def _run_sidecar_ready(invocation: Invocation) -> int:
    import asyncio

    from pellucid.kube.pod.readiness import until_ready

    flags = invocation.flags
    said = asyncio.run(until_ready(flags.integer("status-port"), flags.integer("within-seconds")))
    if said:
        raise CommandFailed(f"==> the sidecar is not ready: {said}")
    return 0


SIDECAR = Command(
    usage="k8s sidecar [options]",
    about=(
        "Runs in a pod beside its application, where the injector puts it: proves with the pod's own token "
        "whose sidecar it is, starts Envoy with what the server says, and looks after it. Says on "
        "-status-port whether it is /ready and what it counts (/metrics)."
    ),
    run=_run_sidecar,
    flags=(
        TOKEN_FILE,
        Flag("status-port", "Where it says how it is.", "integer", default=21000, placeholder="port"),
        Flag(
            "drain-seconds",
            "How long open connections from outside may last when the pod ends.",
            "integer",
            default=10,
            placeholder="seconds",
        ),
        Flag(
            "ends-after-seconds",
            "End so long after the last process of the pod's other containers; 0: do not.",
            "integer",
            placeholder="seconds",
        ),
        Flag("envoy-extra-args", "Further arguments for Envoy, as a shell would split them."),
        Flag(
            "prometheus-bind-addr",
            "Where Envoy's counters are scraped, e.g. 0.0.0.0:20200.",
            placeholder="address",
        ),
        Flag("prometheus-scrape-path", "Under which path.", default="/metrics", placeholder="path"),
        Flag(
            "merged-metrics-port",
            "A loopback port for Envoy's counters with the application's; 0 for Envoy's alone.",
            "integer",
            placeholder="port",
        ),
        Flag("service-metrics-port", "The application's port with counters.", "integer", placeholder="port"),
        Flag("service-metrics-path", "The path there.", default="/metrics", placeholder="path"),
        Flag(
            "probe",
            "A question to the application that the kubelet may have asked at -status-port; repeatable.",
            "list",
            placeholder="app/readinessProbe=tcp://127.0.0.1:6379",
        ),
    ),
    takes_client=False,
)

CONNECT_INIT = Command(
    usage="k8s connect-init [options]",
    about=(
        "Runs in a pod before its application: hands the pod's traffic to its sidecar and, with -wait, waits "
        "until the pod is registered. Needs NET_ADMIN, and is not privileged."
    ),
    run=_run_connect_init,
    flags=(
        Flag(
            "proxy-uid",
            "The user that the sidecar runs as; without it nothing is redirected.",
            placeholder="uid",
        ),
        *EXCLUSION_FLAGS,
        Flag("wait", "Wait for the pod's registration.", "boolean"),
        TOKEN_FILE,
    ),
    takes_client=False,
)

SIDECAR_READY = Command(
    usage="k8s sidecar-ready [options]",
    about=(
        "Waits until the sidecar of the same pod is ready. As the sidecar's start hook it keeps the kubelet "
        "from starting the application earlier, where there are no native sidecars."
    ),
    run=_run_sidecar_ready,
    flags=(
        Flag("status-port", "The sidecar's -status-port.", "integer", default=21000, placeholder="port"),
        Flag("within-seconds", "When to give up.", "integer", default=120, placeholder="seconds"),
    ),
    takes_client=False,
)
