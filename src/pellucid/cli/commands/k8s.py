"""`k8s inject-connect`: the injector and the endpoints controller."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.cli.command import Command, CommandFailed, Invocation
from pellucid.cli.go_flags import FALSE_WORDS, TRUE_WORDS, Flag, FlagValues
from pellucid.cli.kube_replica import (
    REPLICA_FLAGS,
    place,
    replica_settings,
    require,
    run_replica,
    server_address,
)

if TYPE_CHECKING:
    from pellucid.kube.cluster_version import Release
    from pellucid.kube.inject_connect import InjectConnectSettings
    from pellucid.kube.injector.settings import InjectorSettings

NATIVE_SINCE = (1, 29)
"""The first Kubernetes release that has native sidecars switched on."""
SLEEP_SINCE = (1, 30)
"""The first that has hooks switched on which sleep (KEP-3960)."""
QUANTITIES = ("requests", "limits")
RESOURCES = ("cpu", "memory")


def _run(invocation: Invocation) -> int:
    return run_replica("the injector", invocation, _inject)


async def _inject(invocation: Invocation) -> None:
    from pellucid.kube.annotations import InvalidAnnotationError
    from pellucid.kube.inject_connect import inject_connect

    try:
        await inject_connect(await _settings(invocation))
    except InvalidAnnotationError as error:
        raise CommandFailed(f"==> {error}") from None


async def _settings(invocation: Invocation) -> InjectConnectSettings:
    from pellucid.kube.cluster_version import cluster_version
    from pellucid.kube.inject_connect import InjectConnectSettings

    flags = invocation.flags
    replica = replica_settings(invocation)
    require(flags, ("image", "grpc-addr", "token-audience"))
    metrics_host, metrics_port = place(flags, "metrics-listen") if flags.text("metrics-listen") else ("", 0)
    kubernetes = await cluster_version()
    return InjectConnectSettings(
        replica=replica,
        metrics_host=metrics_host,
        metrics_port=metrics_port,
        kubernetes=kubernetes,
        injector=injector_settings(flags, kubernetes),
        authority_file=Path(flags.text("server-ca-file")),
        server=server_address(flags),
    )


def injector_settings(flags: FlagValues, kubernetes: Release) -> InjectorSettings:
    """What the flags say of pods, and the release allows; the server's authority is not among it.

    Raises InvalidAnnotationError for what is no quantity, CommandFailed.
    """
    from pellucid.kube.injector.settings import InjectorSettings, LifecycleDefaults, MetricsDefaults

    return InjectorSettings(
        image=flags.text("image"),
        http_address=flags.text("http-addr"),
        grpc_address=flags.text("grpc-addr"),
        server_authority="",
        token_audience=flags.text("token-audience"),
        inject_by_default=flags.boolean("default-inject"),
        transparent_by_default=flags.boolean("default-enable-transparent-proxy"),
        overwrite_probes=flags.boolean("transparent-proxy-default-overwrite-probes"),
        native_sidecars=_native(flags, kubernetes),
        hooks_may_sleep=kubernetes >= SLEEP_SINCE,
        allow_namespaces=frozenset(flags.list("allow-k8s-namespace")),
        deny_namespaces=frozenset(flags.list("deny-k8s-namespace")),
        envoy_extra_args=flags.text("envoy-extra-args"),
        metrics=MetricsDefaults(
            enabled=flags.boolean("default-enable-metrics"),
            merging=flags.boolean("default-enable-metrics-merging"),
            merged_port=flags.integer("default-merged-metrics-port"),
            scrape_port=flags.integer("default-prometheus-scrape-port"),
            scrape_path=flags.text("default-prometheus-scrape-path"),
        ),
        lifecycle=LifecycleDefaults(
            drain_s=flags.integer("default-sidecar-proxy-lifecycle-shutdown-grace-period-seconds"),
            startup_failure_s=flags.integer("default-sidecar-proxy-startup-failure-seconds"),
            liveness_failure_s=flags.integer("default-sidecar-proxy-liveness-failure-seconds"),
        ),
        sidecar_resources=_resources(flags, "default-sidecar-proxy"),
        init_resources=_resources(flags, "init-container"),
    )


def _resources(flags: FlagValues, prefix: str) -> dict[str, dict[str, str]]:
    from pellucid.kube.injector.quantities import checked_quantity

    found: dict[str, dict[str, str]] = {}
    for kind in QUANTITIES:
        for resource in RESOURCES:
            flag = f"{prefix}-{resource}-{kind.removesuffix('s')}"
            if text := flags.text(flag):
                found.setdefault(kind, {})[resource] = checked_quantity(f"flag -{flag}", text)
    return found


def _native(flags: FlagValues, kubernetes: Release) -> bool:
    """Whether sidecars are native: as told, or as the cluster's release has them."""
    told = flags.text("native-sidecars")
    if told in TRUE_WORDS or told in FALSE_WORDS:
        return told in TRUE_WORDS
    if told != "auto":
        raise CommandFailed(f"==> -native-sidecars: {told!r} is none of auto, true and false")
    return kubernetes >= NATIVE_SINCE


def _resource_flags(prefix: str, whose: str) -> tuple[Flag, ...]:
    return tuple(
        Flag(
            f"{prefix}-{resource}-{kind.removesuffix('s')}",
            f"{whose} {resource} {kind}.",
            placeholder="quantity",
        )
        for kind in QUANTITIES
        for resource in RESOURCES
    )


INJECT_CONNECT = Command(
    usage="k8s inject-connect [options]",
    about=(
        "Runs in a deployment of the Helm chart: the webhook that gives pods their sidecar, and the "
        "controller that registers pods of the mesh in the catalog."
    ),
    run=_run,
    flags=(
        Flag("listen", "Where the webhook listens.", default=":8080", placeholder="address"),
        Flag(
            "metrics-listen",
            "Where the webhook's own counters are scraped, in plain; empty for nowhere.",
            default=":9444",
            placeholder="address",
        ),
        *REPLICA_FLAGS,
        Flag("image", "The image of sidecars.", placeholder="image"),
        Flag("grpc-addr", "The mesh server's xDS address.", placeholder="address"),
        Flag("token-audience", "The audience of pods' tokens.", placeholder="audience"),
        Flag("default-inject", "Inject pods that do not say.", "boolean"),
        Flag("default-enable-transparent-proxy", "Redirect pods that do not say.", "boolean", True),
        Flag(
            "transparent-proxy-default-overwrite-probes",
            "Rewrite probes of redirected pods.",
            "boolean",
            default=True,
        ),
        Flag("native-sidecars", "auto, true or false.", default="auto", placeholder="when"),
        Flag("allow-k8s-namespace", "A namespace in which to inject; repeatable, * for all.", "list"),
        Flag("deny-k8s-namespace", "A namespace in which not to; repeatable.", "list"),
        Flag("envoy-extra-args", "Further arguments for every Envoy."),
        Flag("default-enable-metrics", "Offer metrics where a pod does not say.", "boolean"),
        Flag("default-enable-metrics-merging", "Merge the application's into them.", "boolean"),
        Flag("default-merged-metrics-port", "Where they are merged.", "integer", default=20100),
        Flag("default-prometheus-scrape-port", "Where they are scraped.", "integer", default=20200),
        Flag("default-prometheus-scrape-path", "Under which path.", default="/metrics"),
        Flag(
            "default-sidecar-proxy-lifecycle-shutdown-grace-period-seconds",
            "How long a sidecar lets open connections last when its pod ends.",
            "integer",
            default=10,
            placeholder="seconds",
        ),
        Flag(
            "default-sidecar-proxy-startup-failure-seconds",
            "After how long a sidecar that is not ready is started anew.",
            "integer",
            default=3600,
            placeholder="seconds",
        ),
        Flag(
            "default-sidecar-proxy-liveness-failure-seconds",
            "After how long a sidecar that does not answer is started anew; 0 for never.",
            "integer",
            placeholder="seconds",
        ),
        *_resource_flags("default-sidecar-proxy", "Sidecars'"),
        *_resource_flags("init-container", "Init containers'"),
    ),
    takes_client=False,
)
