"""Further arguments for a pod's Envoy. Source: consul-k8s 0.26, connect-inject/envoy_sidecar.go."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from pellucid.kube.annotations import (
    ENVOY_CONCURRENCY,
    ENVOY_EXTRA_ARGS,
    InvalidAnnotationError,
    parse_count,
)
from pellucid.kube.injector.settings import InjectorSettings


def envoy_arguments(annotations: Mapping[str, str], settings: InjectorSettings) -> list[str]:
    """The sidecar's flag for them, if there are any. The pod's own arguments replace the default ones.

    Raises InvalidAnnotationError.
    """
    text = annotations.get(ENVOY_EXTRA_ARGS, settings.envoy_extra_args)
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InvalidAnnotationError(
            f"{ENVOY_EXTRA_ARGS} annotation value of {text} cannot be split into words: {str(error).lower()}"
        ) from None
    if (asked := annotations.get(ENVOY_CONCURRENCY)) is not None:
        words += ["--concurrency", str(parse_count(ENVOY_CONCURRENCY, asked))]
    return [f"-envoy-extra-args={shlex.join(words)}"] if words else []
